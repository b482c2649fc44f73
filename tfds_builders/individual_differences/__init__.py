"""ID: over 100 observers on the images of OSIE."""
