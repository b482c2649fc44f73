"""What a config may hold, and how configs are changed and compared."""
