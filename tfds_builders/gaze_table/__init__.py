"""Anybody's own gaze: a table and a folder of images."""
