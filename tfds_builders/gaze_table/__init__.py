"""Gaze in a table, with a folder of images."""
