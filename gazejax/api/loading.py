"""Loads a trained model by its name or folder; pickles a model as its folder."""

import copyreg
from pathlib import Path
from typing import Any

from gazejax.api.model import Model
from gazejax.api.shipped import find_model
from gazejax.runtime.cache import keep_compiled
from gazejax.runtime.devices import check_not_forked, in_32_bits
from gazejax.workdir.exported import is_exported, read_exported
from gazejax.workdir.trained import Trained, read_workdir


@in_32_bits
def load(name_or_folder: str | Path) -> Model:
    """Loads a trained model.

    Args:
        name_or_folder: name of a shipped model (see `shipped_models`), the folder of an exported
            model, the workdir of a finished training, or a fold of it. A folder has precedence
            over a shipped model of the same name, and a UserWarning says so. A leading `~` is the
            home folder.

    What JAX compiles is kept in the user's cache folder from here on; see `cache.keep_compiled`.

    Raises:
        FileNotFoundError: if there is neither such a folder nor such a model, the folder is no
            workdir, or a stage that it trains has no checkpoint.
        ValueError: if a stage is not finished or its last checkpoint damaged, the encoder is not
            that of stage 2, the folder holds several folds, an exported file is damaged or foreign,
            or this process was forked after JAX had started.
    """
    return load_with_parts(name_or_folder)[0]


@in_32_bits
def load_with_parts(name_or_folder: str | Path) -> tuple[Model, Trained]:
    """Loads a model as `load` does, and also returns what it is made of.

    Args:
        name_or_folder: see `load`.

    Raises:
        FileNotFoundError, ValueError: see `load`.
    """
    check_not_forked()
    keep_compiled()
    folder = find_model(name_or_folder)
    trained = read_exported(folder) if is_exported(folder) else read_workdir(folder)
    return Model(trained, folder), trained


def _load_same(folder: str, digest: str) -> Model:
    """Loads a pickled model again; refuses a folder that has changed since."""
    model = load(folder)
    if model.digest != digest:
        raise ValueError(
            f"{folder} has changed since the model was pickled: its digest was "
            f"{digest[:12]} and is now {model.digest[:12]}; pickle the model again"
        )
    return model


def _reduce(model: Model) -> tuple[Any, ...]:
    return _load_same, (str(model.folder), model.digest)


copyreg.pickle(Model, _reduce)
