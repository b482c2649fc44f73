"""The trained models that are part of the package, and how a model is found by its name."""

import warnings
from pathlib import Path

from gazejax.runtime.files import expand_home
from gazejax.workdir.exported import CONFIG_FILE, PROGRAMS_FILE, is_exported

_SHIPPED = Path(__file__).parents[1] / "shipped"


def shipped_models() -> dict[str, Path]:
    """Folder of each shipped model, by its name."""
    folders = sorted(_SHIPPED.iterdir()) if _SHIPPED.is_dir() else []
    return {folder.name: folder for folder in folders if is_exported(folder)}


def find_model(name_or_folder: str | Path) -> Path:
    """Finds the folder of a model; see `load`.

    Raises:
        TypeError: if it is neither a text nor a path, or empty.
        FileNotFoundError: if there is neither such a folder nor such a shipped model, or the folder
            has the name of a shipped model and is no model.
        ValueError: if the folder is to be in a home folder that is not known, or holds exported
            programs.
    """
    if not isinstance(name_or_folder, str | Path) or str(name_or_folder) == "":
        raise TypeError(
            f"name_or_folder is {name_or_folder!r}; allowed: the path of a folder, or a name"
        )
    folder, shipped = Path(expand_home(name_or_folder)).absolute(), shipped_models()
    found = shipped.get(str(name_or_folder))
    if folder.is_dir():
        is_model = is_exported(folder) or (folder / CONFIG_FILE).is_file()
        if (folder / PROGRAMS_FILE).is_file() and not is_model:
            raise ValueError(
                f"{folder} holds the programs embed and predict of an exported model, which run "
                "without gazejax as its README.md says; allowed: a workdir, or what gazejax export "
                "--to safetensors wrote"
            )
        if found is not None and not is_model:
            raise FileNotFoundError(
                f"{folder} is no model, and a folder has precedence over the shipped model "
                f"{str(name_or_folder)!r} of the same name; rename the folder, or call from "
                "another one"
            )
        if found is not None:
            warnings.warn(
                f"{folder} is loaded, not the shipped model {str(name_or_folder)!r} of the same "
                "name; for the shipped model, call from another folder",
                UserWarning,
                stacklevel=4,  # The caller of `load`, which has a decorator.
            )
        return folder
    if found is None:
        what = "is a file" if folder.exists() else "does not exist"
        names = ", ".join(map(repr, shipped)) or "none is in this copy of the package"
        raise FileNotFoundError(
            f"{folder} {what}, and no shipped model has this name; allowed: a folder, or a "
            f"shipped model: {names}"
        )
    return found
