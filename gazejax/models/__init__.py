"""The networks: parameters and arithmetic only; no losses, files, randomness or config objects."""
