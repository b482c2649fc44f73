"""Reads gaze from the files of eye trackers and gaze tools: one reader for all commands."""
