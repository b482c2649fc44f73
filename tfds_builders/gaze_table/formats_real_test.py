"""OSIE's gaze, written in formats of eye trackers, is read back as what each format holds of it."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tfds_builders.common import coordinates, digests, gaze_files, gaze_schema
from tfds_builders.osie import osie_dataset_builder

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif("GAZEJAX_RAW_DATA" not in os.environ, reason="GAZEJAX_RAW_DATA is not set"),
]

SIZE = (800, 600)
NUM_IMAGES = 60
Gaze = dict[str, gaze_schema.GazeTable]


@pytest.fixture(scope="module")
def gaze() -> Gaze:
    """Gaze of the first images, with whole milliseconds."""
    path = Path(os.environ["GAZEJAX_RAW_DATA"]) / "osie" / "data" / "eye" / "fixations.mat"
    every = osie_dataset_builder.read_fixations(path, num_images=700, num_users=15)
    return {
        name: table._replace(duration_ms=np.round(table.duration_ms))
        for name, table in list(every.items())[:NUM_IMAGES]
    }


def users_of(table: gaze_schema.GazeTable) -> list[tuple[int, np.ndarray]]:
    """Returns each user of an image, and the user's rows."""
    return [(int(user), table.user == user) for user in np.unique(table.user)]


def write_eyelink_report(gaze: Gaze, folder: Path) -> Path:
    """One file, a row a fixation; pixels of a screen of 800 x 600 with one decimal comma."""
    lines = [
        "RECORDING_SESSION_LABEL\tTRIAL_INDEX\tCURRENT_FIX_INDEX\tCURRENT_FIX_X\tCURRENT_FIX_Y\t"
        "CURRENT_FIX_DURATION\tpicture"
    ]
    for number, (name, table) in enumerate(gaze.items(), start=1):
        for user, rows in users_of(table):
            pairs = zip(table.xy_px[rows], table.duration_ms[rows], strict=True)
            for index, ((x, y), ms) in enumerate(pairs, start=1):
                cells = f"{user + 1}\t{number}\t{index}\t{x:.1f}\t{y:.1f}\t{ms:.0f}"
                lines.append(f"{cells.replace('.', ',')}\t{name}")
    (folder / "report.xls").write_bytes("\n".join(lines).encode("utf-16"))
    return folder / "report.xls"


def write_eyelink_asc(gaze: Gaze, folder: Path) -> Path:
    """One file a user, 1000 Hz; the image fills the screen; a blank of 100 ms between fixations."""
    for user in range(15):
        lines, now = ["MSG\t1000 DISPLAY_COORDS 0 0 799 599"], 2000
        for number, (name, table) in enumerate(gaze.items(), start=1):
            rows = table.user == user
            lines += [f"MSG\t{now} TRIALID {number}", f"MSG\t{now} !V IMGLOAD FILL {name}"]
            lines.append(f"START\t{now}\tLEFT\tEVENTS")
            for (x, y), ms in zip(table.xy_px[rows], table.duration_ms[rows], strict=True):
                end = now + int(ms) - 1
                lines.append(f"EFIX L   {now}\t{end}\t{ms:.0f}\t  {x:.1f}\t  {y:.1f}\t    900")
                now = end + 100
            lines.append(f"MSG\t{now} TRIAL_RESULT 0")
            now += 1000
        (folder / f"{user + 1}.asc").write_text("\n".join(lines) + "\n")
    return folder


def write_fixatons(gaze: Gaze, folder: Path) -> Path:
    """One file a user and image: x, y in pixels, start and end in seconds."""
    for name, table in gaze.items():
        scanpaths = folder / "SCANPATHS" / Path(name).stem
        scanpaths.mkdir(parents=True)
        (folder / "STIMULI").mkdir(exist_ok=True)
        (folder / "STIMULI" / name).touch()
        for user, rows in users_of(table):
            starts = np.cumsum(np.append(0, table.duration_ms[rows][:-1] + 30)) / 1000
            (scanpaths / f"{user + 1}").write_text(
                "".join(
                    f"{x:.1f} {y:.1f} {start:.3f} {start + ms / 1000:.3f}\n"
                    for (x, y), ms, start in zip(
                        table.xy_px[rows], table.duration_ms[rows], starts, strict=True
                    )
                )
            )
    return folder / "SCANPATHS"


def write_coco_json(gaze: Gaze, folder: Path) -> Path:
    """One list; pixels of the image."""
    scanpaths = [
        {
            "name": name,
            "subject": user + 1,
            "X": np.round(table.xy_px[rows, 0], 1).tolist(),
            "Y": np.round(table.xy_px[rows, 1], 1).tolist(),
            "T": table.duration_ms[rows].tolist(),
            "task": "none",
        }
        for name, table in gaze.items()
        for user, rows in users_of(table)
    ]
    (folder / "scanpaths.json").write_text(json.dumps(scanpaths))
    return folder / "scanpaths.json"


def write_gazepoint(gaze: Gaze, folder: Path) -> Path:
    """One file a user; fractions of the screen with five decimals, seconds."""
    for user in range(15):
        lines, number, now = [], 0, 0.0
        for media, (name, table) in enumerate(gaze.items()):
            rows = table.user == user
            for (x, y), ms in zip(table.xy_px[rows], table.duration_ms[rows], strict=True):
                number, start, now = number + 1, now + 0.05, now + 0.05 + ms / 1000
                lines.append(
                    f"{media},{name},{number},{now:.5f},{x / 800:.5f},{y / 600:.5f},{start:.5f},"
                    f"{ms / 1000:.5f},{number},1,"
                )
        header = "MEDIA_ID,MEDIA_NAME,CNT,TIME(2025/01/02 03:04:05.678),FPOGX,FPOGY,FPOGS,FPOGD,"
        (folder / f"{user + 1}_fixations.csv").write_text(
            "\n".join([f"{header}FPOGID,FPOGV,USER", *lines]) + "\n"
        )
    return folder


def write_tobii(gaze: Gaze, folder: Path) -> Path:
    """One file a user; two samples a fixation; the media at (320, 60), twice its size."""
    names = (
        "Recording timestamp [ms]",
        *("Sensor", "Participant name", "Recording name", "Presented Media name"),
        *("Presented Media width [px]", "Presented Media height [px]"),
        *("Presented Media position X [DACS px]", "Presented Media position Y [DACS px]"),
        *("Eye movement type", "Gaze event duration [ms]", "Eye movement type index"),
        *("Fixation point X [DACS px]", "Fixation point Y [DACS px]"),
        *("Fixation point X [MCS norm]", "Fixation point Y [MCS norm]"),
    )
    for user in range(15):
        lines, now, index = ["\t".join(names)], 0, 0
        for name, table in gaze.items():
            rows = table.user == user
            for (x, y), ms in zip(table.xy_px[rows], table.duration_ms[rows], strict=True):
                index += 1
                place = f"{2 * x + 320:.0f}\t{2 * y + 60:.0f}\t{x / 800:.5f}\t{y / 600:.5f}"
                event = f"1600\t1200\t320\t60\tFixation\t{ms:.0f}\t{index}"
                who = f"Eye Tracker\t{user + 1}\tRecording{user + 1}\t{name}"
                for step in (0, 8):
                    lines.append(f"{now + step}\t{who}\t{event}\t{place.replace('.', ',')}")
                now += int(ms) + 50
        (folder / f"{user + 1}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return folder


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_eyelink_report, "eyelink-report"),
        (write_eyelink_asc, "eyelink-asc"),
        (write_fixatons, "fixatons"),
        (write_coco_json, "coco-json"),
        (write_gazepoint, "gazepoint"),
        (write_tobii, "tobii"),
    ],
)
def test_gaze_of_osie_comes_back(
    write: Callable[[Gaze, Path], Path], name: str, gaze: Gaze, tmp_path: Path
) -> None:
    fixations, errors = gaze_files.read([write(gaze, tmp_path)], gaze_files.Options())
    assert errors == []
    assert fixations is not None
    assert fixations.format == name
    fit: coordinates.Fit | None = "stretch" if fixations.frame == "screen" else None
    screen = SIZE if fixations.frame == "screen" else None
    convention = coordinates.complete(
        coordinates.Convention(fit=fit, screen_px=screen), units=fixations.units
    )
    records, expected = [], []
    for image_id, table in gaze_files.group_by_image(fixations).items():
        xy_px = coordinates.to_image_px(table.xy_px, convention=convention, width=800, height=600)
        # Fractions with five decimals and seconds hold tenths of pixels and milliseconds.
        rounded = table._replace(
            xy_px=np.round(xy_px, 1), duration_ms=np.round(table.duration_ms), session=None
        )
        records.append(gaze_schema.make_example(b"", image_id, *rounded))
    for image_id, table in gaze.items():
        rounded = table._replace(xy_px=np.round(table.xy_px, 1))
        expected.append(gaze_schema.make_example(b"", image_id, *rounded))
    user_ids = [str(user + 1) for user in range(15)]
    assert fixations.user_ids == user_ids
    found = digests.of_records(records, user_ids)
    assert found == digests.of_records(expected, user_ids)
