"""Synthetic scenes and the gaze of observers with known traits."""
