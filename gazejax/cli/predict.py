"""The command `gazejax predict`: a user's map of an image, as numbers or as a picture."""

import argparse
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from gazejax.api import Embedding, load
from gazejax.api.embedding import check_encoder
from gazejax.api.shipped import find_model
from gazejax.cli.data import add_exif
from gazejax.cli.paths import add_json, add_model, as_path, check_output, run_files
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
        help="predict where users look in an image",
        description="Predicts where users look in an image. A map has the size of the image and "
        "sums to 1.",
    )
    add_model(predicting)
    predicting.add_argument("--image", type=as_path, required=True)
    add_exif(predicting)
    predicting.add_argument(
        "--embedding",
        type=as_path,
        action="append",
        metavar="E.npz",
        help="of a user; may be given several times; default: the universal map",
    )
    predicting.add_argument(
        "--out",
        type=as_path,
        metavar="MAP.npy|.npz|.png",
        help="the map: .npy and .npz hold its numbers, float32, .npz as the array `saliency`; .png "
        "is a grey picture whose brightest value is the largest of the map. With several "
        "embeddings: a folder, for a map of each, named as its embedding, .npy",
    )
    predicting.add_argument(
        "--overlay",
        type=as_path,
        metavar="PNG",
        help="a picture of the map over the image; of one embedding only",
    )
    add_json(predicting)
    predicting.set_defaults(run=_predict)


def _predict(arguments: argparse.Namespace) -> None:
    paths = arguments.embedding or []
    is_folder, overlay = len(paths) > 1, arguments.overlay
    folder = find_model(arguments.model)
    inputs = [arguments.image, *paths, *run_files(folder)]
    outputs = [arguments.out]
    if is_folder:
        outputs = _outputs_of_many(arguments.out, overlay, paths)
    for out in outputs:
        if not is_folder or out.exists():
            _check_outputs(out, overlay, inputs)
    image = pictures.read_pixels(arguments.image, exif=arguments.exif)
    embeddings = [Embedding.load(path) for path in paths]
    model = load(folder)
    for path, embedding in zip(paths, embeddings, strict=True):
        check_encoder(embedding, model.encoder_digest, str(path))
    if not is_folder:
        saliency = model.predict(image, embeddings[0] if embeddings else None)
        if overlay is not None:
            from gazejax.plots import plot_prediction  # Imported here: matplotlib takes a second.

            _write_picture(overlay, plot_prediction(image, saliency))
            _say(arguments, paths[0] if paths else None, overlay)
        maps = saliency[None]
    else:
        [maps] = model.predict_many([image], embeddings)
        arguments.out.mkdir(exist_ok=True)
    for path, out, saliency in zip(paths or [None], outputs, maps, strict=True):
        if out is not None:
            _write(out, saliency)
            _say(arguments, path, out)


def _say(arguments: argparse.Namespace, embedding: Path | None, out: Path) -> None:
    if arguments.json:
        of_user = None if embedding is None else str(embedding)
        print(json.dumps({"embedding": of_user, "path": str(out)}))
    else:
        print(f"wrote {out}")


def _outputs_of_many(out: Path | None, overlay: Path | None, embeddings: list[Path]) -> list[Path]:
    """The file of the map of each of several embeddings."""
    if overlay is not None:
        raise ValueError("--overlay is of one map; allowed: one --embedding, or --out alone")
    if out is None:
        raise ValueError("--out is missing; allowed with several embeddings: a folder")
    if (out.exists() and not out.is_dir()) or out.suffix.lower() in (".npy", ".npz", ".png"):
        raise ValueError(f"--out {out} is a file; allowed with several embeddings: a folder")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"--out is {out}; the folder {out.parent} does not exist")
    names = [one.with_suffix(".npy").name for one in embeddings]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(
            f"two embeddings would be written to {out / twice}; allowed: files of different names"
        )
    return [out / name for name in names]


def _check_outputs(out: Path | None, overlay: Path | None, inputs: list[Path]) -> None:
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
