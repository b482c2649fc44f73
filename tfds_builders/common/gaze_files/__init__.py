"""Reads gaze from the files of eye trackers and gaze tools: one reader for all commands."""

from tfds_builders.common.gaze_files.fixations import Fixations, group_by_image, only_user
from tfds_builders.common.gaze_files.how import Detection, How
from tfds_builders.common.gaze_files.joined_checks import viewing_numbers
from tfds_builders.common.gaze_files.read import check_options, read
from tfds_builders.common.gaze_files.recognise import FORMATS, PLAIN, Options, find_files, format_of
from tfds_builders.common.gaze_files.rows import normalize

__all__ = [
    "FORMATS",
    "PLAIN",
    "Detection",
    "Fixations",
    "How",
    "Options",
    "check_options",
    "find_files",
    "format_of",
    "group_by_image",
    "normalize",
    "only_user",
    "read",
    "viewing_numbers",
]
