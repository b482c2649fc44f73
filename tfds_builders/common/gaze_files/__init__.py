"""Reads gaze from the files of eye trackers and gaze tools: one reader for all commands."""

from tfds_builders.common.gaze_files.fixations import Fixations, group_by_image
from tfds_builders.common.gaze_files.how import Detection, How
from tfds_builders.common.gaze_files.read import read
from tfds_builders.common.gaze_files.recognise import FORMATS, Options, find_files

__all__ = [
    "FORMATS",
    "Detection",
    "Fixations",
    "How",
    "Options",
    "find_files",
    "group_by_image",
    "read",
]
