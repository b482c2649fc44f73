"""Prepares a data set of this package on disk: `build` is what `gazejax data build` calls."""

import contextlib
import fcntl
import io
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds

from tfds_builders.osie import osie_dataset_builder
from tfds_builders.personalized_saliency import personalized_saliency_dataset_builder
from tfds_builders.synthetic_gaze import synthetic_gaze_dataset_builder

BUILDER_CLASSES: dict[str, type[tfds.core.GeneratorBasedBuilder]] = {
    "osie": osie_dataset_builder.Builder,
    "personalized_saliency": personalized_saliency_dataset_builder.Builder,
    "synthetic_gaze": synthetic_gaze_dataset_builder.Builder,
}
# Those whose release comes without images.
WITH_IMAGES_APART = {"personalized_saliency"}


def list_names() -> list[str]:
    """Returns every NAME/CONFIG that `build` knows; the first of each NAME is its default."""
    return [
        f"{name}/{config.name}"
        for name, builder_class in BUILDER_CLASSES.items()
        for config in builder_class.BUILDER_CONFIGS
    ]


def build(
    name: str,
    raw_dir: Path | None = None,
    data_dir: Path | None = None,
    images_dir: Path | None = None,
) -> Path:
    """Builds a data set, or finds it built.

    Args:
        name: NAME or NAME/CONFIG, such as "osie" or "synthetic_gaze/tiny".
        raw_dir: folder of the release as its authors publish it; None for a data set that is
            generated.
        data_dir: folder of all prepared data sets; None is TFDS's own default.
        images_dir: folder of the images, for a release that comes without them.

    Returns:
        Folder of the prepared data set, which `tfds.builder_from_directory` opens.

    Raises:
        ValueError: unknown name, a folder missing or not applicable, or malformed raw data.
        FileNotFoundError: raw data that is not there.
        BlockingIOError: another process is building the same data set.

    Source: ours.
    """
    builder_name, _, config_name = name.partition("/")
    if builder_name not in BUILDER_CLASSES or ("/" in name and name not in list_names()):
        raise ValueError(f"unknown data set {name!r}, expected one of: {', '.join(list_names())}")
    options: dict[str, Path] = {}
    if images_dir is not None:
        if builder_name not in WITH_IMAGES_APART:
            raise ValueError(f"--images {images_dir} does not apply to {name}: leave it out")
        options["images_dir"] = Path(images_dir).expanduser()
    builder = BUILDER_CLASSES[builder_name](
        data_dir=None if data_dir is None else Path(data_dir).expanduser(),
        config=config_name or None,
        **options,
    )
    return prepare(builder, raw_dir)


def prepare(builder: tfds.core.GeneratorBasedBuilder, raw_dir: Path | None = None) -> Path:
    """Builds the data set of one TFDS builder; see `build`."""
    name = f"{builder.name}/{builder.builder_config.name}"
    prepared_dir = Path(builder.data_dir)
    if _is_built(builder):
        _say(f"{name} is already built: {prepared_dir}")
        return prepared_dir
    raw_instructions = builder.MANUAL_DOWNLOAD_INSTRUCTIONS
    if raw_instructions is None and raw_dir is not None:
        raise ValueError(f"{name} is generated, so --raw {raw_dir} does not apply: leave it out")
    if raw_instructions is not None:
        if raw_dir is None:
            raise ValueError(f"{name} needs --raw: {raw_instructions}")
        raw_dir = Path(raw_dir).expanduser()
        if not raw_dir.is_dir() or not any(raw_dir.iterdir()):
            raise FileNotFoundError(
                f"--raw {raw_dir} is not a folder with files: {raw_instructions}"
            )

    prepared_dir.parent.mkdir(parents=True, exist_ok=True)
    with _only_builder_in(prepared_dir.parent, name):
        # With the lock held, whatever is unfinished here was left by a build that was killed.
        for stale_dir in prepared_dir.parent.glob(f"incomplete.*_{prepared_dir.name}"):
            shutil.rmtree(stale_dir)
        if _is_built(builder):  # By somebody else, since we looked.
            return prepared_dir
        _say(f"building {name} in {prepared_dir}")
        start_s = time.monotonic()
        # TFDS writes to a temporary folder and renames it at the end, also removes it when an
        # exception passes. Its messages and bars speak of downloads; the builders have their own.
        tfds.disable_progress_bar()
        with (
            tempfile.TemporaryDirectory() as unused_download_dir,
            contextlib.redirect_stdout(io.StringIO()),
        ):
            builder.download_and_prepare(
                file_format="array_record",  # The default format needs TensorFlow.
                download_dir=unused_download_dir,
                download_config=tfds.download.DownloadConfig(manual_dir=raw_dir),
            )
    num_images = builder.info.splits["train"].num_examples
    metadata = builder.info.metadata
    num_dropped = metadata["dropped_fixations"]["total"]
    _say(
        f"built {name}: {num_images} images, {len(metadata['user_ids'])} users, "
        f"{metadata['tracking']} tracking, in {time.monotonic() - start_s:.0f} s; "
        f"{num_dropped} fixations outside their image dropped"
    )
    return prepared_dir


def _is_built(builder: tfds.core.GeneratorBasedBuilder) -> bool:
    prepared_dir = Path(builder.data_dir)
    if not prepared_dir.exists():
        return False
    if not builder.is_prepared():
        raise ValueError(f"{prepared_dir} exists but is not a prepared data set: remove it")
    return True


@contextlib.contextmanager
def _only_builder_in(folder: Path, name: str) -> Iterator[None]:
    """Holds a lock on a folder; the system drops it with the process, however that ends."""
    folder_descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder_descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(
                f"{name} is being built in {folder} by another process: wait for it"
            ) from error
        yield
    finally:
        os.close(folder_descriptor)


def _say(message: str) -> None:
    print(message, file=sys.stderr)
