"""Names of BIDS files, the files that belong together, and their inherited sidecars."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tfds_builders.common import raw_files
from tfds_builders.common.gaze_files import containers

_NAME = re.compile(r"(?P<entities>([a-zA-Z]+-[^_.]+_)*)(?P<kind>[a-zA-Z]+)\.(?P<suffix>.+)")


class BidsName(NamedTuple):
    """The name of a BIDS file.

    Attributes:
        entities: key -> label, such as "sub" -> "01".
        kind: the last part before the suffix, such as "physio".
        suffix: such as "tsv.gz".
    """

    entities: Mapping[str, str]
    kind: str
    suffix: str


def parse(path: Path) -> BidsName | None:
    """Reads the name of a file; None: not a name of BIDS."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    parts = [part.split("-", 1) for part in match["entities"].split("_")[:-1]]
    return BidsName(dict(parts), match["kind"], match["suffix"].lower())


def without_recording(entities: Mapping[str, str]) -> dict[str, str]:
    """Returns the entities that all recordings of a run share."""
    return {key: label for key, label in entities.items() if key != "recording"}


def find_recordings(path: Path) -> list[Path]:
    """Finds the files of samples of the run of a file, in the order of their names."""
    name = parse(path)
    if name is None:
        return []
    run = without_recording(name.entities)
    return [
        other
        for other in sorted(path.absolute().parent.iterdir())
        if (found := parse(other)) is not None
        and found.kind == "physio"
        and found.suffix in ("tsv", "tsv.gz")
        and without_recording(found.entities) == run
    ]


def find_events_of_samples(path: Path) -> Path | None:
    """Finds the physioevents of a file of samples; None: there are none."""
    start, _, end = path.name.rpartition("_physio.")
    for suffix in (end, "tsv.gz", "tsv"):
        found = path.with_name(f"{start}_physioevents.{suffix}")
        if found.is_file():
            return found
    return None


def find_samples_of_events(path: Path) -> Path | None:
    """Finds the samples of a file of physioevents; None: there are none."""
    start, _, end = path.name.rpartition("_physioevents.")
    found = (path.with_name(f"{start}_physio.{suffix}") for suffix in (end, "tsv.gz", "tsv"))
    return next((one for one in found if one.is_file()), None)


def find_inherited(
    path: Path, entities: Mapping[str, str], kind: str, suffix: str
) -> Iterator[Path]:
    """Finds the files that apply to a file: from the top of the data set down to its folder.

    Args:
        path: the file.
        entities: its entities; a file that applies has no other ones.
        kind: of the files to find, such as "events".
        suffix: likewise, such as "json".
    """
    folders = list(path.absolute().parents)
    is_top = [(folder / "dataset_description.json").is_file() for folder in folders]
    is_person = [folder.name.startswith("sub-") for folder in folders]
    top = is_person.index(True) + 1 if any(is_person) else 0
    if any(is_top):
        top = is_top.index(True)
    for folder in reversed(folders[: top + 1]):
        found = [(parse(other), other) for other in folder.iterdir()]
        fits = [
            (len(name.entities), other.name, other)
            for name, other in found
            if name is not None
            and (name.kind, name.suffix) == (kind, suffix)
            and name.entities.items() <= entities.items()
        ]
        yield from (other for _, _, other in sorted(fits))


def read_sidecar(path: Path, entities: Mapping[str, str], kind: str) -> dict[str, Any]:
    """Joins the JSON sidecars of a file; a nearer one replaces the keys of a further one.

    Raises:
        ValueError: a sidecar is not a JSON object.
    """
    joined: dict[str, Any] = {}
    for sidecar in find_inherited(path, entities, kind, "json"):
        try:
            content = sidecar.read_bytes().decode("utf-8-sig")
        except (UnicodeError, OSError) as error:
            raise ValueError(f"{sidecar} is not JSON: {raw_files.one_line(error)}") from error
        found = containers.parse_json(sidecar, content)
        if not isinstance(found, dict):
            raise ValueError(f"{sidecar} is not a JSON object, expected a sidecar of BIDS")
        joined |= found
    return joined
