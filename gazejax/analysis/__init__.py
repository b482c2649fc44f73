"""What an embedding knows of a user, and which images to show."""
