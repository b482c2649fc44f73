"""The `gazejax` command."""
