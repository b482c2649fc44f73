"""Checks raw gaze before a build: counts, errors and a picture of scanpaths."""

import warnings as warnings_of_python
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image

from tfds_builders.common import build, coordinates, gaze_files, gaze_schema, near_copies, pictures
from tfds_builders.common.gaze_files.rows import run_starts
from tfds_builders.gaze_table import gaze_table_dataset_builder
from tfds_builders.gaze_table.look import warn_outside

_MAX_NAMES = 8
_NUM_PICTURES = 6
_TITLE = "scanpaths, by gazejax data check"
# Pixels; an image is drawn on some 500.
_LONGEST_DRAWN = 1000


class Findings(NamedTuple):
    """Results of a check.

    Attributes:
        facts: pairs of a name and a value.
        warnings: fixations and users that a build would leave out.
        errors: messages of the errors of a build, with file, row and rule.
        gaze: some viewings, for `plot_scanpaths`.
    """

    facts: list[tuple[str, str]]
    warnings: list[str]
    errors: list[str]
    gaze: list["Viewing"]


class Viewing(NamedTuple):
    """The gaze of one user on one image.

    Attributes:
        image_id: name of the image.
        user_id: name of the user.
        image: the decoded image, reduced.
        size_px: width and height of the whole image.
        xy_px: [n, 2] x, y in pixels of the image.
    """

    image_id: str
    user_id: str
    image: Image.Image
    size_px: tuple[int, int]
    xy_px: np.ndarray


def find_kind(path: Path) -> str:
    """Returns the data set that a path has raw data of: NAME or NAME/CONFIG of `build.build`.

    Raises:
        FileNotFoundError: the path does not exist.
        ValueError: the folder is neither a release of a known data set nor has files of gaze.
    """
    if path.is_file():
        return "gaze_table"
    if not path.is_dir():
        raise FileNotFoundError(f"{path} does not exist, expected a table or a folder")
    if (path / "data" / "eye").is_dir():
        return "osie/gaze"
    if (path / "Data" / "fixData").is_dir():
        return "personalized_saliency/gaze"
    # Exports of eye trackers have tables of this name too.
    named = [one for one in path.glob("fixations.*") if one.is_file()]
    if named and {gaze_files.format_of(one) for one in named} <= {"", "coco-json"}:
        return "individual_differences"
    try:
        gaze_files.find_files([path])
    except FileNotFoundError as error:
        raise ValueError(
            f"{path} is not a known release, expected data/eye (osie), Data/fixData "
            "(personalized_saliency), fixations.* (individual_differences) or files of gaze in "
            "this folder"
        ) from error
    return "gaze_table"


def check(name: str, options: build.Options, *, min_images: int, seed: int) -> Findings:
    """Reads and checks the raw data of a data set.

    Args:
        name: see `build.build`.
        options: see `build.Options`; the images of a table may be missing.
        min_images: a warning names the users with gaze on fewer images.
        seed: seed of the sample of viewings in `Findings.gaze`.

    Raises:
        ValueError, FileNotFoundError: an option is wrong, or a table cannot be read at all.
    """
    build.check_options(name, options)
    if name == "gaze_table":
        return _check_table(options, min_images=min_images, seed=seed)
    try:
        release = build.read_release(name, options)
    except (ValueError, FileNotFoundError) as error:
        return Findings([("data set", name)], [], [str(error)], [])
    return _check_release(name, release, [], min_images=min_images, seed=seed)


def _check_table(options: build.Options, *, min_images: int, seed: int) -> Findings:
    # Without a folder of images, only the table is checked.
    source = build.table_source(options._replace(images_dir=options.images_dir or Path()))
    fixations, errors = gaze_files.read(source.tables, source.options)
    if fixations is None:
        return Findings([], [], errors, [])
    paths: dict[str, Path] = {}
    names = ", ".join(map(str, source.tables))
    notes = list(fixations.notes)
    if options.images_dir is not None:
        paths, errors = pictures.match_images(fixations.image_ids, source.images_dir)
        notes += pictures.renamed(paths, source.images_dir)
        missing = [name for name in fixations.image_ids if name not in paths]
        nearest = pictures.nearest_files(missing, source.images_dir, paths.values())
        errors += [
            f"{names} row of image {name!r}: {source.images_dir} has no such file"
            + (f"; nearest: {nearest[name]!r}" if name in nearest else "")
            + (f"; {gaze_table_dataset_builder.advice_on_names(source)}" if not number else "")
            for number, name in enumerate(missing)
        ]
    if paths:
        convention = gaze_table_dataset_builder.convention_of(source, fixations, paths)
    else:
        convention = coordinates.complete(
            source.convention, units=fixations.units, y_axis=fixations.y_axis
        )
    try:
        facts, warnings = gaze_table_dataset_builder.look_at(source, fixations, paths, convention)
    except ValueError:  # A file that is no image is an error of the images below.
        facts, warnings = gaze_table_dataset_builder.look_at(source, fixations, {}, convention)
    release = gaze_table_dataset_builder.make_release(
        source, fixations, paths, convention
    )._replace(has_images=options.images_dir is not None)
    findings = _check_release(
        names, release, errors, min_images=min_images, seed=seed, readable=paths
    )
    return findings._replace(
        facts=[*(("read", note) for note in notes), *findings.facts, *facts],
        warnings=[*warnings, *findings.warnings],
    )


def _check_release(
    name: str,
    release: gaze_schema.Release,
    errors: list[str],
    *,
    min_images: int,
    seed: int,
    readable: Any = None,
) -> Findings:
    """Joins each image with its gaze and collects the errors that a build would raise."""
    gaze_by_image_id = release.gaze_by_image_id
    num_users, num_images = len(release.user_ids), len(gaze_by_image_id)
    errors, warnings = list(errors), []
    sizes: dict[tuple[int, int], int] = {}
    num_rows, num_outside, lengths = 0, 0, []
    images_of_user = np.zeros(num_users, np.int64)
    has_gaze_inside = np.zeros(num_users, bool)
    plottable, signatures = [], []
    for image_id, gaze in gaze_by_image_id.items():
        num_rows += len(gaze.user)
        # Rows are sorted by user, then trial.
        starts = np.flatnonzero(run_starts(gaze.user, gaze.trial))
        lengths.append(np.diff(np.append(starts, len(gaze.user))))
        images_of_user[gaze.user[run_starts(gaze.user)]] += 1
        if not release.has_images or (readable is not None and image_id not in readable):
            has_gaze_inside[gaze.user] = True
            continue
        try:
            image = gaze_schema.decode_image(release, image_id)
        except (ValueError, OSError) as error:
            errors.append(str(error))
            continue
        width, height = image.size
        signatures.append(near_copies.signature(image))
        xy_px = release.to_image_px(np.asarray(gaze.xy_px), width=width, height=height)
        kept, num_dropped = gaze_schema.drop_fixations_outside(
            gaze._replace(xy_px=xy_px), width=width, height=height
        )
        sizes[width, height] = sizes.get((width, height), 0) + 1
        num_outside += num_dropped
        has_gaze_inside[kept.user] = True
        plottable.append((image_id, gaze._replace(xy_px=xy_px)))
    per_viewing: np.ndarray = np.concatenate(lengths)
    num_pairs = int(images_of_user.sum())
    facts = [
        ("data set", name),
        ("images", str(num_images)),
        ("users", str(num_users)),
        *_sessions(release),
        ("fixations", str(num_rows)),
        (
            "fixations of a viewing",
            f"{per_viewing.min()} to {per_viewing.max()}, median {np.median(per_viewing):g}",
        ),
        ("viewings", f"{len(per_viewing)} by {num_pairs} pairs of a user and an image"),
        ("complete", f"{num_pairs / (num_users * num_images):.1%} of all such pairs were viewed"),
        ("durations", "known" if release.has_durations else "not known"),
    ]
    if plottable:
        shown = sorted(sizes, key=lambda size: -sizes[size])[:5]
        facts.append(
            (
                "image sizes",
                ", ".join(f"{width} x {height} ({sizes[width, height]})" for width, height in shown)
                + (f" and {len(sizes) - 5} more" if len(sizes) > 5 else ""),
            )
        )
        facts.append(("outside their image", f"{num_outside} ({num_outside / num_rows:.2%})"))
    # Of a table, the warnings of `look` say it.
    if readable is None:
        warnings += warn_outside(num_outside, num_rows)
    if not errors and not has_gaze_inside.any():
        errors.append(gaze_schema.NOTHING_INSIDE)
    for user in np.flatnonzero(~has_gaze_inside) if readable is None else ():
        warnings.append(f"user {release.user_ids[user]!r} has no fixation inside an image")
    few = np.flatnonzero(images_of_user < min_images)
    if len(few):
        shown = few[:_MAX_NAMES].tolist()
        names = ", ".join(f"{release.user_ids[user]!r} ({images_of_user[user]})" for user in shown)
        more = f" and {len(few) - len(shown)} more" if len(few) > len(shown) else ""
        warnings.append(
            f"{len(few)} users have gaze on fewer than {min_images} images: {names}{more}"
        )
    for copies in near_copies.group([image_id for image_id, _ in plottable], signatures):
        warnings.append(
            f"images {', '.join(map(repr, copies))} are copies of each other, exactly or nearly: "
            "splits by hash keep them on one side"
        )
    return Findings(facts, warnings, errors, _sample_viewings(release, plottable, seed))


def _sessions(release: gaze_schema.Release) -> list[tuple[str, str]]:
    """How many recording sessions users have, and names of some; [] if none are known."""
    if not release.session_ids:
        return []
    numbers = [len(names) for names in release.session_ids]
    least, most = min(numbers), max(numbers)
    names = list(dict.fromkeys(name for names in release.session_ids for name in names))
    shown = ", ".join(map(repr, names[:_MAX_NAMES])) + (", ..." if len(names) > _MAX_NAMES else "")
    return [
        (
            "sessions",
            f"{least if least == most else f'{least} to {most}'} of each user, with {len(names)} "
            f"names: {shown}",
        )
    ]


def _sample_viewings(
    release: gaze_schema.Release,
    plottable: Sequence[tuple[str, gaze_schema.GazeTable]],
    seed: int,
) -> list[Viewing]:
    generator = np.random.default_rng(seed)
    viewings = []
    for position in generator.permutation(len(plottable))[:_NUM_PICTURES]:
        image_id, gaze = plottable[position]
        user = generator.choice(np.unique(gaze.user))
        first = (gaze.user == user) & (gaze.trial == gaze.trial[gaze.user == user].min())
        image = gaze_schema.decode_image(release, image_id)
        viewings.append(
            Viewing(
                image_id,
                release.user_ids[user],
                pictures.reduce(image, _LONGEST_DRAWN),
                image.size,
                gaze.xy_px[first],
            )
        )
    return viewings


def is_plot(path: Path) -> bool:
    """Whether `plot_scanpaths` wrote a file."""
    try:
        with Image.open(path) as image:
            return image.info.get("Title") == _TITLE
    except OSError:
        return False


def plot_scanpaths(viewings: Sequence[Viewing], file: Path | IO[bytes]) -> None:
    """Writes a picture of scanpaths on their images, which shows a wrong convention.

    Args:
        viewings: the scanpaths, at least one.
        file: the PNG file.
    """
    from matplotlib.figure import Figure  # Slow to import; only this function needs matplotlib.

    columns = min(3, len(viewings))
    rows = -(-len(viewings) // columns)
    figure = Figure(figsize=(5 * columns, 4 * rows), layout="constrained")
    for position, viewing in enumerate(viewings, start=1):
        axes = figure.add_subplot(rows, columns, position)
        width, height = viewing.size_px
        # The axes extend beyond the image, for gaze outside the image.
        axes.imshow(viewing.image, extent=(0, width, height, 0), alpha=0.75)
        # The library cannot draw lines to places far off, such as 1e8, a mark of missing gaze.
        xy_px = np.clip(viewing.xy_px, [-9 * width, -9 * height], [10 * width, 10 * height])
        x, y = xy_px.T
        axes.plot(x, y, "-", color="white", linewidth=3)
        axes.plot(x, y, "o-", color="tab:red", linewidth=1.2, markersize=11)
        for number, (column, row) in enumerate(xy_px, start=1):
            axes.text(
                column,
                row,
                str(number),
                color="white",
                fontsize=7,
                ha="center",
                va="center",
                clip_on=True,
            )
        axes.set_xlim(-0.1 * width, 1.1 * width)
        axes.set_ylim(1.1 * height, -0.1 * height)
        title = f"{viewing.image_id}, user {viewing.user_id}"
        axes.set_title(title, fontsize=9, parse_math=False)
        axes.tick_params(labelsize=7)
    with warnings_of_python.catch_warnings():
        # The font lacks letters of some names: the boxes in their place say enough.
        warnings_of_python.filterwarnings("ignore", message="Glyph")
        figure.savefig(file, format="png", dpi=100, metadata={"Title": _TITLE})
