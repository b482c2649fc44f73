"""OSIE: 700 natural images, gaze of 15 observers."""
