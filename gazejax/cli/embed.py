"""The command `gazejax embed`: users from files of gaze, by the reader of `gazejax data build`."""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gazejax.api import PersonalGaze, load
from gazejax.api.embedding import is_embedding
from gazejax.api.shipped import find_model
from gazejax.cli.data import (
    add_coordinate_options,
    add_exif,
    add_reading_options,
    convention_options,
    reading_options,
)
from gazejax.cli.paths import add_json, add_model, as_path, check_output, run_files
from gazejax.workdir.exported import load_gaze_source
from tfds_builders.common import coordinates, gaze_files, gaze_schema, pictures, plausibility
from tfds_builders.gaze_table import gaze_table_dataset_builder
from tfds_builders.gaze_table.gaze_table_dataset_builder import Source

# Of most file systems.
_MAX_NAME_BYTES = 255


def add_parser(commands: Any) -> None:
    """Adds the command.

    Args:
        commands: what `argparse` gave for the commands of `gazejax`.
    """
    embedding = commands.add_parser(
        "embed",
        help="embed users from files of gaze",
        description="Embeds users from files of gaze. The files are read as by gazejax data "
        "build. For files of the format of the training, an option of the coordinates that is not "
        "given is that of the training, where the files do not say it themselves.",
    )
    add_model(embedding)
    embedding.add_argument(
        "--table",
        type=as_path,
        action="append",
        required=True,
        metavar="FILE_OR_DIR",
        help="a file of gaze, or a folder of such files; may be given several times",
    )
    embedding.add_argument("--images", type=as_path, required=True, metavar="DIR")
    who = embedding.add_mutually_exclusive_group(required=True)
    who.add_argument("--user", help="name of one user")
    who.add_argument("--all", action="store_true", help="all users, a file for each")
    embedding.add_argument(
        "--out", type=as_path, required=True, metavar="E.npz", help="with --all: a folder"
    )
    add_exif(embedding)
    add_coordinate_options(embedding)
    add_reading_options(embedding)
    add_json(embedding)
    embedding.set_defaults(run=_embed)


def _embed(arguments: argparse.Namespace) -> None:
    _check_kind_of_output(arguments.out, is_folder=arguments.all)
    source = Source(
        tables=tuple(arguments.table),
        images_dir=arguments.images,
        convention=convention_options(arguments) or coordinates.Convention(),
        tracking="eye",
        options=reading_options(arguments),
        exif=arguments.exif,
    )
    fixations, errors = gaze_files.read(source.tables, source.options)
    if fixations is None:
        raise ValueError(errors[0])
    folder = find_model(arguments.model)
    stored = load_gaze_source(folder)
    if fixations.format == stored.get("format"):
        source = _as_in_training(source, fixations, stored)
    image_ids = fixations.image_ids  # All of them are inputs, also where one user is read.
    if arguments.user is not None:
        fixations = _only(fixations, arguments.user, source.tables)
    names = _file_names(fixations.user_ids) if arguments.all else {}
    outputs = [arguments.out / name for name in names.values()] or [arguments.out]
    paths = gaze_table_dataset_builder.find_images(source, fixations)
    for note in pictures.renamed(paths, source.images_dir):
        _log(note)
    named = paths
    if arguments.user is not None:
        named, _ = pictures.match_images(image_ids, source.images_dir)
    inputs = [*_inputs(source, named.values()), *run_files(folder)]
    for output in outputs:
        if not arguments.all or output.exists():
            check_output("--out", output, inputs, [".npz"], is_embedding)
    for note in fixations.notes:
        _log(note)
    model = load(folder)
    if model.needs_durations and fixations.duration_ms is None:
        raise ValueError(
            f"{', '.join(map(str, source.tables))} has no column duration_ms; the encoder of "
            f"{arguments.model} was trained on the durations of fixations"
        )
    if model.reads_durations and fixations.duration_ms is None:
        _log(
            "warning: the files hold no durations: the embeddings are made without them, and know "
            "less of the users"
        )
    found = model.embed_people(_viewings(source, fixations, paths))
    if not arguments.all and not found:  # Of all users, a warning names those that are left out.
        raise ValueError(
            f"user {fixations.user_ids[0]!r} has no fixation inside an image; allowed: at least one"
        )
    if arguments.all:
        arguments.out.mkdir(parents=True, exist_ok=True)
    sessions = dict(zip(fixations.user_ids, fixations.session_ids, strict=False))
    for user, embedding in found.items():
        path = arguments.out / names[user] if arguments.all else arguments.out
        named_sessions = sessions.get(user, [])
        is_known = all(named_sessions)  # A row without a session is of one without a name.
        replace(embedding, user=user, sessions=named_sessions if is_known else ()).save(path)
        if arguments.json:
            row = {"user": user, "num_images": embedding.num_images, "path": str(path)}
            print(json.dumps(row | {"sessions": list(named_sessions) if is_known else []}))
        elif not arguments.all:
            print(f"embedded {user} from {embedding.num_images} images: {path}")
    if arguments.all and not arguments.json:
        print(f"embedded {len(found)} users: {arguments.out}")


def _check_kind_of_output(out: Path, *, is_folder: bool) -> None:
    """Refuses a file in place of a folder, and the reverse, before anything is read."""
    if is_folder:
        place = next((one for one in (out, *out.parents) if one.exists()), out)
        if place.exists() and not place.is_dir():
            raise ValueError(f"--out is {out}, and {place} is a file; allowed with --all: a folder")
    elif out.is_dir():
        raise ValueError(f"--out {out} is a folder; allowed: a file, or a folder with --all")
    elif out.suffix.lower() != ".npz":
        raise ValueError(f"--out is {out}; allowed: a file that ends with .npz")


def _as_in_training(
    source: Source, fixations: gaze_files.Fixations, stored: Mapping[str, Any]
) -> Source:
    """Fills the coordinates that are not given, and says where the files are read otherwise."""
    before = stored.get("source", stored["convention"])
    is_open = fixations.format in gaze_table_dataset_builder.OPEN_FORMATS
    convention = coordinates.fill(
        source.convention,
        gaze_table_dataset_builder.given_convention(before),
        screen_px=fixations.screen_px,
        frame=None if is_open else fixations.frame,
    )
    filled = coordinates.options_of(convention)
    if filled != coordinates.options_of(source.convention):
        _log(f"coordinates are read as in the training: {filled}")
    options = gaze_table_dataset_builder.describe_options(source)
    now, then = map(gaze_table_dataset_builder.given_reading, (options, before))
    for flag in sorted(now.keys() | then.keys()):
        values = [one.get(flag, "not given") for one in (now, then)]
        if values[0] != values[1]:
            _log(f"warning: {flag} is {values[0]}, and was {values[1]} for the training's data")
    return source._replace(convention=convention)


def _inputs(source: Source, images: Iterable[Path]) -> list[Path]:
    """Returns the tables, and the pictures that the tables name."""
    inputs = [*images]
    for table in source.tables:
        # Embeddings of an earlier call may lie in a folder of tables.
        inputs += [one for one in table.rglob("*") if one.suffix != ".npz"] or [table]
    return inputs


def _only(fixations: gaze_files.Fixations, user: str, tables: tuple[Path, ...]) -> Any:
    """Keeps the rows of one user: all that follows then takes the time of one user."""
    name = gaze_files.normalize(user)
    if name not in fixations.user_ids:
        for warning in fixations.warnings:  # The user may be among those that are left out.
            _log(gaze_table_dataset_builder.with_kind(warning))
        known = ", ".join(fixations.user_ids[:10])
        raise ValueError(
            f"{', '.join(map(str, tables))} has no row of user {user!r}; it has rows of {known}"
        )
    for warning in plausibility.names.check_names(fixations.user_ids):
        if repr(name) in warning:
            _log(gaze_table_dataset_builder.with_kind(warning))
    return gaze_files.only_user(fixations, fixations.user_ids.index(name))


def _viewings(
    source: Source, fixations: gaze_files.Fixations, paths: Mapping[str, Path]
) -> Iterator[tuple[np.ndarray, Mapping[str, PersonalGaze]]]:
    """Gives each image and the gaze of each user on it, without fixations outside the image."""
    convention = gaze_table_dataset_builder.convention_of(source, fixations, paths)
    _, warnings = gaze_table_dataset_builder.look_at(source, fixations, paths, convention)
    for warning in warnings:
        _log(gaze_table_dataset_builder.with_kind(warning))
    num_dropped = 0
    for image_id, gaze in gaze_files.group_by_image(fixations).items():
        image = pictures.read_image(paths[image_id], source.images_dir, source.exif)
        width, height = image.size
        xy_px = coordinates.to_image_px(
            gaze.xy_px, convention=convention, width=width, height=height
        )
        gaze, dropped = gaze_schema.drop_fixations_outside(
            gaze._replace(xy_px=xy_px), width=width, height=height
        )
        num_dropped += dropped
        ends = np.append(np.flatnonzero(np.diff(gaze.user)) + 1, len(gaze.user))
        of_users = [
            slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True) if end
        ]
        if not of_users:
            continue
        pixels = np.asarray(image.convert("RGB"))
        yield (
            pixels,
            {
                fixations.user_ids[gaze.user[rows.start]]: PersonalGaze(
                    np.asarray(gaze.xy_px[rows], np.float64),
                    gaze.trial[rows],
                    gaze.duration_ms[rows] if fixations.duration_ms is not None else None,
                )
                for rows in of_users
            },
        )
    if num_dropped:
        _log(f"{num_dropped} fixations outside their image dropped")


def _file_names(user_ids: list[str]) -> dict[str, str]:
    """Returns the name of each user's file, without characters that a file system may refuse."""
    names = {user: re.sub(r"[^\w.-]+", "_", user) + ".npz" for user in user_ids}
    taken: dict[str, str] = {}
    for user, name in names.items():
        if len(name.encode()) > _MAX_NAME_BYTES:
            raise ValueError(
                f"user {user!r} has a name too long for a file, allowed: {_MAX_NAME_BYTES} bytes "
                "with .npz; embed this user with --user"
            )
        other = taken.setdefault(name.casefold(), user)
        if other != user:
            raise ValueError(
                f"users {other!r} and {user!r} would both be written to {name}: embed them one by "
                "one with --user"
            )
    return names


def _log(message: str) -> None:
    print(message, file=sys.stderr)
