"""A trained model as a folder of three plain files, which needs neither its workdir nor Orbax.

config.json           the config, how the gaze of the training was read, digests
model.safetensors     all arrays, by names such as encoder/head/kernel
README.md             the model card

The files and their names are those that model hubs expect. Nothing is pickled.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors.numpy

from gazejax.config.derived import INPUTS, embedding_layout, has_preference_vector, map_size
from gazejax.inference.networks import encoder_network, saliency_network
from gazejax.inference.same_person import read_curves
from gazejax.inference.two_covariance import TwoCovariance
from gazejax.models.feature_projection import FeatureProjection
from gazejax.runtime.files import write_bytes, write_json, write_text
from gazejax.runtime.version import package_version
from gazejax.workdir import layout
from gazejax.workdir.probes import TraitProbe, as_rows, read_rows
from gazejax.workdir.trained import Trained

ARRAYS_FILE, CONFIG_FILE, CARD_FILE = "model.safetensors", "config.json", "README.md"
# Of exported programs, which run without gazejax; `gazejax.load` reads none.
PROGRAMS_FILE = "programs.json"

# Increased with any change of the names of the arrays.
_FORMAT = 1


def is_exported(folder: Path) -> bool:
    """Whether a folder holds an exported model, whole or not."""
    if (folder / ARRAYS_FILE).is_file():
        return True
    try:
        return "arrays_sha256" in json.loads((folder / CONFIG_FILE).read_text())
    except (OSError, ValueError):
        return False


def write_exported(trained: Trained, folder: Path, card: str) -> None:
    """Writes a trained model into a folder, and makes the folder.

    Args:
        trained: the model.
        folder: without an exported model, or with one, which is replaced.
        card: text of the model card, Markdown.
    """
    parts: dict[str, Any] = {
        "encoder": trained.encoder,
        "saliency": trained.saliency,
        "universal": trained.universal,
        "center_prior": trained.center_prior,
    }
    for name, part in (("projection", trained.projection), ("comparison", trained.comparison)):
        parts[name] = None if part is None else part._asdict()
    rows = as_rows(trained.probes)
    parts["probes"] = {name: np.array(row.pop("weights")) for name, row in rows.items()}
    content = safetensors.numpy.save(_flat(parts))
    config = trained.config.to_dict()
    config["data"]["data_dir"] = None  # A folder of the machine of the training.
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / ARRAYS_FILE, content)
    write_text(folder / CARD_FILE, card)
    # Last: without it, the folder is no whole model.
    described = {
        "format": _FORMAT,
        "gazejax": package_version(),
        "encoder_digest": trained.encoder_digest,
        "arrays_sha256": hashlib.sha256(content).hexdigest(),
        "num_seen_users": trained.num_seen_users,
        "gaze_source": trained.gaze_source,
        "calibration": {
            table: {
                str(n): {"slope": float(slope), "intercept": float(intercept)}
                for n, slope, intercept in zip(*curves, strict=True)
            }
            for table, curves in trained.calibration.items()
        },
        "probes": rows,
        "config": config,
    }
    write_json(folder / CONFIG_FILE, described | {"sha256": _digest(described)})


def load_gaze_source(folder: Path) -> dict[str, Any]:
    """How the gaze of the training of a model was read; see `layout.load_gaze_source`.

    Args:
        folder: a workdir, or the folder of an exported model.

    Raises:
        FileNotFoundError: as of `layout.load_gaze_source`.
        ValueError: likewise.
    """
    if not is_exported(folder):
        return layout.load_gaze_source(folder)
    try:
        return dict(json.loads((folder / CONFIG_FILE).read_text())["gaze_source"])
    except (ValueError, KeyError, TypeError) as error:
        raise _foreign(folder / CONFIG_FILE) from error


def read_exported(folder: Path) -> Trained:
    """Reads what `write_exported` wrote, and compares every byte with its digest.

    Raises:
        FileNotFoundError: if a file is missing.
        ConfigError: if the config is not one of this version.
        ValueError: if a file is damaged, foreign or of another format.
    """
    for name in (CONFIG_FILE, ARRAYS_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name} does not exist; copy the model whole")
    try:
        stored = json.loads((folder / CONFIG_FILE).read_text())
        described_sha256 = stored.pop("sha256")
        found, values = stored["format"], stored["config"]
        digest, encoder_digest = stored["arrays_sha256"], stored["encoder_digest"]
        num_seen_users, gaze_source = int(stored["num_seen_users"]), dict(stored["gaze_source"])
        calibration = read_curves(stored["calibration"])
        rows = dict(stored.get("probes", {}))  # Older versions exported none.
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _foreign(folder / CONFIG_FILE) from error
    if found != _FORMAT:
        raise ValueError(f"{folder / CONFIG_FILE} has format {found!r}; allowed: {_FORMAT}")
    if _digest(stored) != described_sha256:
        raise ValueError(
            f"{folder / CONFIG_FILE} is damaged or was changed: its SHA-256 is another one; "
            "allowed: the file as it was exported: copy it again"
        )
    config = layout.validated_config(values, folder)
    content = (folder / ARRAYS_FILE).read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(
            f"{folder / ARRAYS_FILE} is damaged, or not the one of {CONFIG_FILE}: its SHA-256 is "
            "another one; allowed: the file as it was exported: copy it again"
        )
    try:
        flat = safetensors.numpy.load(content)
    except safetensors.SafetensorError as error:
        raise _foreign(folder / ARRAYS_FILE) from error
    abstract = {"encoder": encoder_network(config, num_users=1).abstract_params["encoder"]}
    for name, num_users in (("saliency", num_seen_users), ("universal", 0)):
        if any(path.startswith(f"{name}/") for path in flat):
            abstract[name] = saliency_network(config, num_users=num_users).abstract_params
    abstract["center_prior"] = {
        name: jax.ShapeDtypeStruct(map_size(config, name), np.float32) for name in INPUTS
    }
    try:
        parts = {name: _filled(tree, flat, name) for name, tree in abstract.items()}
        projection = None
        if has_preference_vector(config):
            projection = _projection(flat, len(config.features.strides))
        trained = Trained(
            config,
            parts["encoder"],
            parts.get("saliency"),
            parts.get("universal"),
            parts["center_prior"],
            projection,
            _comparison(flat),
            gaze_source,
            calibration,
            _probes(rows, flat, sum(embedding_layout(config))),
            num_seen_users,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _foreign(folder / ARRAYS_FILE) from error
    if trained.encoder_digest != encoder_digest:
        raise _foreign(folder / ARRAYS_FILE)
    return trained


def _digest(described: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _filled(abstract: Any, flat: Mapping[str, np.ndarray], path: str) -> Any:
    """The arrays of a tree of which the names and shapes are known; a KeyError if one differs."""
    if isinstance(abstract, Mapping):
        return {name: _filled(part, flat, f"{path}/{name}") for name, part in abstract.items()}
    array = flat[path]
    if (array.shape, array.dtype) != (abstract.shape, abstract.dtype):
        raise KeyError(path)
    return array


def _projection(flat: Mapping[str, np.ndarray], num_levels: int) -> FeatureProjection:
    return FeatureProjection(
        *(
            tuple(flat[f"projection/{name}/{level}"] for level in range(num_levels))
            for name in FeatureProjection._fields
        )
    )


def _comparison(flat: Mapping[str, np.ndarray]) -> TwoCovariance | None:
    names = [f"comparison/{name}" for name in TwoCovariance._fields]
    return TwoCovariance(*(flat[name] for name in names)) if names[0] in flat else None


def _probes(
    rows: Mapping[str, Mapping[str, Any]], flat: Mapping[str, np.ndarray], embedding_size: int
) -> dict[str, TraitProbe]:
    weights = {name: flat[f"probes/{name}"] for name in rows}
    if any(one.shape != (embedding_size,) for one in weights.values()):
        raise KeyError("probes")
    return read_rows({name: {**row, "weights": weights[name]} for name, row in rows.items()})


def _flat(tree: Any, path: str = "") -> dict[str, np.ndarray]:
    """Arrays by their path in nested dictionaries and tuples; what is None is left out."""
    if tree is None:
        return {}
    if isinstance(tree, tuple):
        tree = dict(enumerate(tree))
    if not isinstance(tree, Mapping):
        return {path: np.asarray(tree, order="C")}
    flat: dict[str, np.ndarray] = {}
    for name, part in tree.items():
        flat |= _flat(part, f"{path}/{name}" if path else str(name))
    return flat


def _foreign(path: Path) -> ValueError:
    return ValueError(
        f"{path} is not a file of an exported model; allowed: as gazejax export wrote it"
    )
