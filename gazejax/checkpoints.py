"""Checkpoints on disk. The only module that knows Orbax.

A checkpoint of a stage holds two trees, `params` (all that using the model needs) and `progress`
(what training needs beside them), and metadata: the config and the splits it was trained with.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import jax
from orbax.checkpoint import v1 as ocp

Checkpointer: TypeAlias = ocp.training.Checkpointer


def open_for_saving(folder: Path, *, keep: int) -> Checkpointer:
    """Opens a stage's checkpoints, keeping the newest `keep`; a context that waits for saves."""
    return Checkpointer(
        folder.absolute(),
        save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
        preservation_policy=ocp.training.preservation_policies.LatestN(keep),
        cleanup_tmp_directories=True,
    )


def save(
    checkpointer: Checkpointer, step: int, trees: Mapping[str, Any], metadata: Mapping[str, Any]
) -> None:
    """Saves in the background; the arrays are copied first and may change at once."""
    checkpointer.save_checkpointables_async(
        step, dict(trees), force=True, custom_metadata=dict(metadata)
    )


def latest_step(folder: Path) -> int | None:
    """Step of the newest complete checkpoint of a stage, None if there is none."""
    if not folder.is_dir():
        return None
    with Checkpointer(folder.absolute()) as checkpointer:
        return None if checkpointer.latest is None else checkpointer.latest.step


def read_metadata(folder: Path) -> dict[str, Any]:
    """Metadata of the newest checkpoint of a stage: its config and splits.

    Raises:
        FileNotFoundError: if there is no checkpoint.
    """
    step = _newest(folder)
    with Checkpointer(folder.absolute()) as checkpointer:
        return checkpointer.metadata(step).custom_metadata


def restore(
    folder: Path, abstract_trees: Mapping[str, Any], sharding: jax.sharding.Sharding
) -> tuple[int, dict[str, Any]]:
    """Loads the newest checkpoint of a stage.

    Args:
        folder: the stage's checkpoint folder.
        abstract_trees: the trees to load, with shapes and dtypes as leaves.
        sharding: where the arrays go; the number of devices may differ from the saved one.

    Returns:
        Step and trees.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ValueError: if the newest one does not hold such trees.
    """
    step = _newest(folder)
    abstract = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        dict(abstract_trees),
    )
    with Checkpointer(folder.absolute()) as checkpointer:
        try:
            return step, checkpointer.load_checkpointables(step, abstract)
        except Exception as error:  # Orbax wraps every cause in an error about its own handlers.
            cause: BaseException = error
            while cause.__cause__ is not None:
                cause = cause.__cause__
            raise ValueError(f"checkpoint {folder / str(step)} does not load: {cause}") from error


def _newest(folder: Path) -> int:
    step = latest_step(folder)
    if step is None:
        raise FileNotFoundError(f"no checkpoint in {folder}; train the stage first")
    return step
