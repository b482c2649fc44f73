"""Eye tracking in BIDS: samples (physio), fixations (physioevents) and pictures (events)."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfds_builders.common.coordinates import YAxis
from tfds_builders.common.gaze_files import (
    bids_names,
    bids_pictures,
    bids_samples,
    containers,
    detection,
    one_eye,
    rows,
)
from tfds_builders.common.gaze_files.bids_pictures import Shown
from tfds_builders.common.gaze_files.bids_samples import Samples
from tfds_builders.common.gaze_files.containers import Opened
from tfds_builders.common.gaze_files.how import How, Role
from tfds_builders.common.gaze_files.rows import Names, Rows

# The last part of the name in drafts of BIDS.
_OLD_KIND = "eyetrack"
_PIXEL_UNITS = ("pixel", "pixels", "px")
_FIXATION = re.compile(r"^[^\n]*\bfixation\b", re.IGNORECASE | re.MULTILINE)
# One viewing of a picture has a number below this.
_RUN_FACTOR = 1_000_000


def check_one_set(opened: Sequence[Opened]) -> None:
    """Checks that files are of one data set: subjects of two are others, whatever their names.

    Raises:
        ValueError: the folders of subjects are in the folders of two data sets.
    """

    def folder_of(path: Path) -> Path | None:
        subjects = [one for one in path.parents if one.name.startswith("sub-")]
        return subjects[-1].parent if subjects else None

    containers.check_one_folder(opened, folder_of, "data sets")


def recognise_bids(opened: Opened) -> Role:
    """Recognises files of eye tracking by their names.

    The first recording of a run stands for all eyes; `read_bids` chooses the eye. Samples of a run
    with fixations belong to the fixations.
    """
    name = bids_names.parse(opened.path)
    if name is None or not name.entities:
        return ""
    if name.suffix == "json":
        return "beside" if name.kind in ("physio", "physioevents", "events", _OLD_KIND) else ""
    if name.suffix not in ("tsv", "tsv.gz"):
        return ""
    if name.kind == "events":
        return "beside"
    if name.kind == _OLD_KIND:
        return "samples"  # The reader says what is wrong.
    if name.kind not in ("physio", "physioevents") or "sub" not in name.entities:
        return ""
    eyes = _find_eyes(opened.path)
    if not eyes:
        if name.kind == "physioevents":
            # `read_bids` says that the samples are missing.
            is_alone = bids_names.find_samples_of_events(opened.path) is None
            return "fixations" if is_alone else "beside"
        return "samples" if _lacks_columns(opened.path, name.entities) else ""
    events_of = {path: bids_names.find_events_of_samples(path) for path in eyes}
    with_fixations = [
        path for path, events in events_of.items() if events and _names_fixation(events)
    ]
    if not with_fixations and any(
        events and not _is_readable(events) for events in events_of.values()
    ):
        return "beside"  # The file that cannot be read is named.
    if not with_fixations:
        return "samples" if opened.path.absolute() == next(iter(eyes)) else "beside"
    first = bids_names.find_events_of_samples(with_fixations[0])
    return "fixations" if opened.path.absolute() == first else "beside"


def recordings_of_bids(opened: Opened) -> set[tuple[str, str]]:
    """Returns the run of a file, and no recording: all files of a run are of one."""
    name = bids_names.parse(opened.path)
    entities = {} if name is None else bids_names.without_recording(name.entities)
    return {("_".join(f"{key}-{label}" for key, label in entities.items()), "")}


def read_bids(opened: Opened, how: How) -> Rows:
    """Reads the fixations of one eye in one run.

    The place of a fixation is the average of its samples, since physioevents hold none.

    Raises:
        ValueError: a sidecar lacks what the reading needs, the numbers do not decide the unit of
            the durations, or the file holds samples without fixations.
    """
    name = bids_names.parse(opened.path)
    if name is None:
        raise ValueError(f"{opened.path} has no name of BIDS, such as sub-01_task-a_physio.tsv.gz")
    if name.kind == _OLD_KIND:
        raise ValueError(
            f"{opened.path} has the suffix '_{_OLD_KIND}' of drafts of BIDS, expected '_physio': "
            "rename the file and its sidecar, with Columns, RecordedEye and Units as in BIDS 1.10"
        )
    entities = bids_names.without_recording(name.entities)
    path, sidecar = _choose_eye(opened.path, how)
    y_axis, screen_px, screen_taken = _read_screen(opened.path, entities, sidecar)
    if name.kind == "physioevents":
        samples, found = bids_samples.read_fixations(path, sidecar)
        shown = bids_pictures.read_shown(opened.path, entities, samples, how.where)
    else:
        source = "timestamp" if "timestamp" in sidecar["Columns"] else "n/a"
        samples = bids_samples.read_samples(path, sidecar, source)
        shown = bids_pictures.read_shown(opened.path, entities, samples, how.where)
        found = _detect(samples, shown, how)
    length = len(found.place)
    trial = np.full(length, int(run) if (run := entities.get("run", "")).isdecimal() else 0)
    image, variables = None, {}
    if shown is not None and found.t_ms is not None:
        showing = bids_pictures.showing_at(found.t_ms.values, shown)

        def at_fixations(names: Names) -> Names:
            return Names(np.append(names.codes, -1)[showing].astype(np.int32), names.names)

        image = None if shown.image is None else at_fixations(shown.image)
        variables = {name: at_fixations(names) for name, names in shown.variables.items()}
        trial = trial * _RUN_FACTOR + np.append(shown.number, 0)[showing]
    session = _session(opened.path, entities)
    taken = [
        f"image from {shown.taken}" if shown is not None else "no image",
        "person from sub-, session from ses-, trial from run-",
        found.taken,
        screen_taken,
    ]
    if shown is not None and how.where and not len(shown.start_ms):  # No event fulfils them.
        found = rows.take(found, np.zeros(length, bool), f"not {' and '.join(how.where)}")
        length, trial, image = 0, trial[:0], rows.no_names(0)
    return found._replace(
        image=image,
        variables=variables,
        user=rows.one_name(entities["sub"], length) if "sub" in entities else None,
        session=None if session is None else rows.one_name(session, length),
        trial=rows.exact(trial),
        frame="screen",
        y_axis=y_axis,
        screen_px=screen_px,
        taken=", ".join(taken),
    )


def _find_eyes(path: Path) -> dict[Path, dict[str, Any]]:
    """Returns the files of samples of gaze of a run, and their sidecars."""
    found = {}
    for recording in bids_names.find_recordings(path):
        name = bids_names.parse(recording)
        sidecar = bids_names.read_sidecar(recording, name.entities if name else {}, "physio")
        columns = sidecar.get("Columns")
        # Other recordings are of the heart, of breathing and so on.
        if isinstance(columns, list) and {"x_coordinate", "y_coordinate"} <= set(map(str, columns)):
            found[recording] = sidecar
    return found


def _lacks_columns(path: Path, entities: Mapping[str, str]) -> bool:
    """Whether samples are of an eye tracker by all but the columns, which their sidecar lacks."""
    sidecar = bids_names.read_sidecar(path, entities, "physio")
    is_of_eye = sidecar.get("PhysioType") == "eyetrack" or "RecordedEye" in sidecar
    is_of_eye |= bids_names.find_events_of_samples(path) is not None
    return is_of_eye and not isinstance(sidecar.get("Columns"), list)


def _names_fixation(events: Path) -> bool:
    """Whether a file of physioevents can be read and has a fixation."""
    if not _is_readable(events):
        return False
    return _FIXATION.search(containers.read_text(containers.open_file(events))) is not None


def _is_readable(path: Path) -> bool:
    try:
        containers.open_file(path)
    except ValueError:
        return False
    return True


def _choose_eye(path: Path, how: How) -> tuple[Path, dict[str, Any]]:
    """Returns the file of samples of the eye to read, and its sidecar."""
    eyes = _find_eyes(path)
    if not eyes:
        name = bids_names.parse(path)
        is_events = name is not None and name.kind == "physioevents"
        if is_events and bids_names.find_samples_of_events(path) is None:
            raise rows.NoFixationError(
                f"{path} has no samples beside it (*_physio.tsv.gz), which hold the places of its "
                "fixations"
            )
        raise ValueError(
            f"{path} has no samples beside it whose sidecar (*_physio.json) names the Columns "
            "x_coordinate and y_coordinate"
        )
    if len(eyes) == 1:
        [(only, sidecar)] = eyes.items()
        recorded_eye = str(sidecar.get("RecordedEye")).lower()
        is_left, is_right = np.array([recorded_eye == "left"]), np.array([recorded_eye == "right"])
        one_eye.check(only, is_left, is_right, how.eye)
        return only, sidecar
    wanted = how.eye or "left"
    recorded = [str(sidecar.get("RecordedEye")) for sidecar in eyes.values()]
    if recorded.count(wanted) != 1:
        raise ValueError(
            f"{path} belongs to recordings with RecordedEye {', '.join(recorded)}, expected one "
            f"{wanted!r}: set RecordedEye in *_physio.json, or give --eye"
        )
    return list(eyes.items())[recorded.index(wanted)]


def _read_screen(
    path: Path, entities: Mapping[str, str], sidecar: Mapping[str, Any]
) -> tuple[YAxis, tuple[int, int] | None, str]:
    """Returns the direction of y, the size of the screen in pixels, and both in words."""
    system = sidecar.get("SampleCoordinateSystem", "gaze-on-screen")
    if system != "gaze-on-screen":
        raise ValueError(f"{path}: SampleCoordinateSystem is {system!r}, expected gaze-on-screen")
    for column in ("x_coordinate", "y_coordinate"):
        described = sidecar.get(column)
        units = described.get("Units") if isinstance(described, dict) else None
        if str(units).lower() not in _PIXEL_UNITS:
            raise ValueError(f"{path}: Units of {column} is {units!r}, expected pixel")
    screen = bids_names.read_sidecar(path, entities, "events").get("StimulusPresentation")
    screen = screen if isinstance(screen, dict) else {}
    origin = screen.get("ScreenOrigin")
    words = sorted(str(word).lower() for word in origin) if isinstance(origin, list) else []
    if words not in (["left", "top"], ["bottom", "left"]):
        # From the centre, BIDS does not say whether y goes up or down.
        raise ValueError(
            f"{path}: StimulusPresentation.ScreenOrigin of *_events.json is {origin!r}, expected "
            "['top', 'left'] or ['bottom', 'left']"
        )
    y_axis: YAxis = "down" if "top" in words else "up"
    taken = f"origin {' '.join(reversed(words))}" if y_axis == "down" else "origin bottom left"
    resolution = screen.get("ScreenResolution")
    if resolution in (None, "n/a"):
        return y_axis, None, taken
    if (
        not isinstance(resolution, list)
        or len(resolution) != 2
        or not all(isinstance(one, int | float) and 1 <= one < 1e6 for one in resolution)
    ):
        raise ValueError(
            f"{path}: ScreenResolution is {resolution!r}, expected a width and a height in pixels"
        )
    width, height = (int(one) for one in resolution)
    if width % 2 and height % 2:
        # Screens have even sizes: EyeLink gives the number of the last pixel, from 0.
        width, height = width + 1, height + 1
        taken += f", screen {width} x {height} from its last pixel"
    return y_axis, (width, height), taken


def _session(path: Path, entities: Mapping[str, str]) -> str | None:
    """Returns the session, with the task where the folder has runs of several tasks."""
    tasks = {
        name.entities.get("task")
        for other in path.absolute().parent.iterdir()
        if (name := bids_names.parse(other)) is not None and name.kind == "physio"
    }
    parts = [entities.get("ses")]
    if len(tasks - {None}) > 1:
        parts.append(entities.get("task"))
    return " ".join(part for part in parts if part) or None


def _detect(samples: Samples, shown: Shown | None, how: How) -> Rows:
    """Detects fixations in samples, within each showing of a picture."""
    if how.detection is None:
        events = bids_samples.in_place_of_fixations(samples.path) or "physioevents"
        raise ValueError(
            f"{samples.path} holds samples without fixations ({events}): --detect-fixations "
            "detects fixations"
        )
    time_ms = samples.time * samples.ms_per_unit
    group = np.zeros(len(time_ms), np.int64)
    if shown is not None:
        # Each time without a picture is a group of its own: groups are not in two parts.
        group = np.cumsum(rows.run_starts(bids_pictures.showing_at(time_ms, shown))) - 1
    found = detection.detect_fixations(time_ms, samples.xy, group, how.detection)
    detection.check_found(samples.path, found, time_ms, samples.xy, group, how.detection)
    return Rows(
        place=np.asarray(found.first) + 1,
        image=None,
        user=None,
        x=rows.exact(found.xy_px[:, 0]),
        y=rows.exact(found.xy_px[:, 1]),
        duration_ms=rows.exact(found.duration_ms),
        t_ms=rows.exact(found.start_ms),
        place_text=lambda place: f"row {place} of {samples.path.name}",
        taken=(
            f"eye {samples.sidecar.get('RecordedEye', 'not named')}, fixations detected in the "
            "samples (pixels of the screen)"
        ),
    )
