"""The commands `gazejax export` and `gazejax models`."""

import argparse
import sys
from typing import Any

from gazejax.api.shipped import find_model, shipped_models
from gazejax.cli.paths import as_path, as_path_or_name
from gazejax.export import export_folder, export_programs
from gazejax.export.folder import FORMATS
from gazejax.workdir.exported import CARD_FILE, is_exported


def add_parsers(commands: Any) -> None:
    """Adds the commands.

    Args:
        commands: what `argparse` gave for the commands of `gazejax`.
    """
    exporting = commands.add_parser(
        "export",
        help="write a trained model as plain files for other programs",
        description="Writes the model of an evaluated run as a folder of plain files with a model "
        "card. safetensors: parameters and config, which gazejax.load reads. stablehlo, onnx: the "
        "programs embed and predict, which need jax or onnxruntime and no gazejax; also of a model "
        "that is exported or shipped. Nothing is pickled.",
    )
    exporting.add_argument(
        "workdir",
        type=as_path_or_name,
        help="a workdir; for stablehlo and onnx also the folder of an exported model, or the name "
        "of a shipped one",
    )
    exporting.add_argument("--to", choices=FORMATS, default=FORMATS[0])
    exporting.add_argument("--out", type=as_path, required=True, metavar="DIR")
    exporting.add_argument(
        "--name", metavar="NAME", help="name of the model in its card; default: that of --out"
    )
    exporting.add_argument(
        "--about",
        type=as_path,
        metavar="FILE",
        help="Markdown for the model card: the data and their licence",
    )
    exporting.set_defaults(run=_export)

    listing = commands.add_parser("models", help="list the models that are part of the package")
    listing.set_defaults(run=_list_models)


def _export(arguments: argparse.Namespace) -> None:
    about = "The licence of the data was not stated when the model was exported."
    if arguments.about is not None:
        about = arguments.about.read_text()
    named = {"name": arguments.name or arguments.out.name, "about": about}
    folder = find_model(arguments.workdir)
    if arguments.to == "safetensors":
        if is_exported(folder):
            raise ValueError(
                f"{folder} is an exported model already: copy it; allowed: a workdir, or --to "
                f"{' or '.join(one for one in FORMATS if one != 'safetensors')}"
            )
        for missing in export_folder(folder, arguments.out, **named):
            print(f"warning: {missing}", file=sys.stderr)
    else:
        export_programs(folder, arguments.out, to=arguments.to, **named)
    print(f"exported {arguments.workdir}: {arguments.out}")


def _list_models(arguments: argparse.Namespace) -> None:  # noqa: ARG001
    for name, folder in shipped_models().items():
        num_bytes = sum(one.stat().st_size for one in folder.iterdir())
        card = (folder / CARD_FILE).read_text()
        about = card.partition("\n## ")[0].rstrip().split("\n\n")[-1].replace("\n", " ")
        print(f"{name:<12} {num_bytes / 1e6:.1f} MB  {about}")
