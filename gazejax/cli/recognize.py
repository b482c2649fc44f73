"""The commands `gazejax compare-people` and `gazejax identify`."""

import argparse
import json
from pathlib import Path
from typing import Any

from gazejax.api import Comparison, Embedding, load
from gazejax.api.embedding import SUFFIXES, check_encoder
from gazejax.api.recognition import MOST_PROBABILITY
from gazejax.cli.paths import add_json, add_model, as_path

_HOLDS_FOR = {"within": "embeddings of one session", "across": "embeddings of two sessions"}


def add_parsers(commands: Any) -> None:
    """Adds the commands.

    Args:
        commands: what `argparse` gave for the commands of `gazejax`.
    """
    comparing = commands.add_parser(
        "compare-people",
        help="how likely two embeddings are of one person",
        description="Prints the calibrated probability that two embeddings are of one person, if "
        "one person and two were equally likely before.",
    )
    add_model(comparing)
    comparing.add_argument("embeddings", type=as_path, nargs=2, metavar="E.npz")
    add_json(comparing)
    comparing.set_defaults(run=_compare)

    identifying = commands.add_parser(
        "identify",
        help="whose embedding it is, of the users of a gallery or of none",
        description="Prints the most probable users of a gallery, and the probability that the "
        "embedding is of none of them.",
    )
    add_model(identifying)
    identifying.add_argument("--probe", type=as_path, required=True, metavar="E.npz")
    identifying.add_argument(
        "--gallery",
        type=as_path,
        required=True,
        nargs="+",
        metavar="E_OR_DIR",
        help="embeddings of known users, files or folders of files",
    )
    identifying.add_argument(
        "--in-gallery",
        type=float,
        default=0.5,
        metavar="P",
        help="probability, before, that the user is in the gallery; default: 0.5",
    )
    identifying.add_argument("-k", type=int, default=5, help="users to print; default: 5")
    add_json(identifying)
    identifying.set_defaults(run=_identify)


def _compare(arguments: argparse.Namespace) -> None:
    embeddings = [Embedding.load(path) for path in arguments.embeddings]
    model = load(arguments.model)
    for path, embedding in zip(arguments.embeddings, embeddings, strict=True):
        check_encoder(embedding, model.encoder_digest, str(path))
    found = model.compare(*embeddings)
    if arguments.json:
        print(json.dumps(found._asdict()))
        return
    a, b = arguments.embeddings
    print(f"{a} and {b}: one person with probability {_text(found.probability)}")
    print(_basis(found))


def _identify(arguments: argparse.Namespace) -> None:
    probe, gallery = Embedding.load(arguments.probe), _gallery(arguments.gallery)
    model = load(arguments.model)
    for path, embedding in [(arguments.probe, probe), *gallery.items()]:
        check_encoder(embedding, model.encoder_digest, str(path))
    found = model.identify(
        probe,
        {str(path): embedding for path, embedding in gallery.items()},
        arguments.k,
        in_gallery=arguments.in_gallery,
    )
    if arguments.json:
        for match in found.matches:
            print(json.dumps(match._asdict() | {"comparison": match.comparison._asdict()}))
        print(json.dumps({"user": None, "probability": found.none_probability}))
        return
    for match in found.matches:
        print(f"{_text(match.probability)}  {match.user}")
    print(f"{_text(found.none_probability)}  none of the gallery")
    print(_basis(found.matches[0].comparison))


def _gallery(paths: list[Path]) -> dict[Path, Embedding]:
    """Reads embeddings; of folders, all files with the suffixes of embeddings."""
    files: dict[Path, Path] = {}
    for path in paths:
        inside = [path]
        if path.is_dir():
            inside = [one for one in sorted(path.iterdir()) if one.suffix.lower() in SUFFIXES]
            if not inside:
                raise ValueError(f"--gallery {path} holds no embedding; allowed: at least one")
        for one in inside:
            files.setdefault(one.resolve(), one)  # One file is one user, by whatever path.
    return {path: Embedding.load(path) for path in files.values()}


def _text(probability: float) -> str:
    """A probability; at the limit of what pairs of a few users can show, that limit.

    Example:
        >>> _text(0.25), _text(10_000 / 10_001), _text(0.0)
        ('0.2500', '>= 0.9999', '<= 0.0001')
    """
    rounding = 1e-9
    if MOST_PROBABILITY - rounding <= probability:
        return f">= {MOST_PROBABILITY:.4f}"
    if probability <= 1 - MOST_PROBABILITY + rounding:
        return f"<= {1 - MOST_PROBABILITY:.4f}"
    return f"{probability:.4f}"


def _basis(found: Comparison) -> str:
    """What the probability is based on."""
    few, many = sorted(found.num_images)
    return f"from {few} and {many} images; calibrated on {_HOLDS_FOR[found.holds_for]}"
