"""The command `gazejax predict`: a user's map of an image, as numbers or as a picture."""

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from gazejax.api import Embedding, load
from gazejax.api.embedding import check_encoder
from gazejax.cli.data import add_exif
from gazejax.cli.paths import as_path, check_output, run_files
from gazejax.runtime.files import write_arrays, write_bytes
from tfds_builders.common import pictures

# In the pictures, by which they are known as such.
_TITLE = "map, by gazejax predict"


def add_parser(commands: Any) -> None:
    """Adds the command.

    Args:
        commands: what `argparse` gave for the commands of `gazejax`.
    """
    predicting = commands.add_parser(
        "predict",
        help="predict where a user looks in an image",
        description="Predicts where a user looks in an image. The map has the size of the image "
        "and sums to 1.",
    )
    predicting.add_argument("workdir", type=as_path)
    predicting.add_argument("--image", type=as_path, required=True)
    add_exif(predicting)
    predicting.add_argument(
        "--embedding", type=as_path, metavar="E.npz", help="default: the universal map"
    )
    predicting.add_argument(
        "--out",
        type=as_path,
        metavar="MAP.npy|.npz|.png",
        help="the map: .npy and .npz hold its numbers, float32, .npz as the array `saliency`; .png "
        "is a grey picture whose brightest value is the largest of the map",
    )
    predicting.add_argument(
        "--overlay", type=as_path, metavar="PNG", help="a picture of the map over the image"
    )
    predicting.set_defaults(run=_predict)


def _predict(arguments: argparse.Namespace) -> None:
    out, overlay = arguments.out, arguments.overlay
    _check_outputs(
        out, overlay, [arguments.image, arguments.embedding, *run_files(arguments.workdir)]
    )
    image = pictures.read_pixels(arguments.image, exif=arguments.exif)
    embedding = None
    if arguments.embedding is not None:
        embedding = Embedding.load(arguments.embedding)
    model = load(arguments.workdir)
    check_encoder(embedding, model.encoder_digest, str(arguments.embedding))
    saliency = model.predict(image, embedding)
    if out is not None:
        _write(out, saliency)
        print(f"wrote {out}")
    if overlay is not None:
        from gazejax.plots import plot_prediction  # Imported here: matplotlib takes a second.

        _write_picture(overlay, plot_prediction(image, saliency))
        print(f"wrote {overlay}")


def _check_outputs(out: Path | None, overlay: Path | None, inputs: list[Path | None]) -> None:
    if out is None and overlay is None:
        raise ValueError("--out and --overlay are missing; allowed: one of them, or both")
    if out is not None:
        check_output("--out", out, inputs, (".npy", ".npz", ".png"), _is_own)
    if overlay is not None:
        check_output("--overlay", overlay, inputs, [".png"], _is_own)
    if out is not None and overlay is not None and out.resolve() == overlay.resolve():
        raise ValueError(f"--out and --overlay are both {out}; allowed: two files")


def _write(path: Path, saliency: np.ndarray) -> None:
    """Writes a map in the format that the suffix names."""
    match path.suffix.lower():
        case ".npy":
            content = io.BytesIO()
            np.save(content, saliency)
            write_bytes(path, content.getvalue())
        case ".npz":
            write_arrays(path, {"saliency": saliency})
        case _:
            _write_picture(path, np.round(saliency * (255 / saliency.max())).astype(np.uint8))


def _write_picture(path: Path, pixels: np.ndarray) -> None:
    content, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_text("Title", _TITLE)
    Image.fromarray(pixels).save(content, format="PNG", pnginfo=info)
    write_bytes(path, content.getvalue())


def _is_own(path: Path) -> bool:
    """Whether this command wrote a file."""
    try:
        if path.suffix.lower() == ".png":
            with Image.open(path) as picture:
                return picture.info.get("Title") == _TITLE
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
        if path.suffix.lower() == ".npz":
            with stored:
                return stored.files == ["saliency"]
        total = stored.sum(dtype=np.float64)
        return stored.dtype == np.float32 and stored.ndim == 2 and bool(abs(total - 1) < 1e-3)
    except Exception:  # The readers of the formats raise errors of many classes.
        return False
