"""Checkpoints on disk, each verified before it is used. The only module that knows Orbax.

A checkpoint of a stage holds two trees, `params` (all that using the model needs) and `progress`
(what training needs beside them), and metadata: the config and the splits it was trained with. Its
manifest, written once Orbax has committed it, has the SHA-256 of each of its files: a byte that
changed in an array would load without a word.
"""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from gazejax.runtime import distributed

_MANIFEST = "manifest.json"

_DAMAGED = "damaged_checkpoints"


class CheckpointInfo(NamedTuple):
    """A checkpoint on disk.

    Attributes:
        step: its step.
        damage: why it does not verify; None if it does.
        num_bytes: size of all its files.
    """

    step: int
    damage: str | None
    num_bytes: int


class Restored(NamedTuple):
    """What a checkpoint held.

    Attributes:
        step: its step.
        trees: the trees that were asked for, on the devices.
        metadata: the config and the splits it was trained with, and more.
    """

    step: int
    trees: dict[str, Any]
    metadata: dict[str, Any]


class Saver:
    """Saves the checkpoints of one stage in the background; make it with `open_for_saving`."""

    def __init__(self, folder: Path, keep: int) -> None:
        # Imported in functions: who uses an exported model waits .2 s less for the import.
        from orbax.checkpoint import v1 as ocp

        policies = ocp.training.preservation_policies
        self._folder = folder
        self._checkpointer = ocp.training.Checkpointer(
            folder.absolute(),
            save_decision_policy=ocp.training.save_decision_policies.FixedIntervalPolicy(1),
            preservation_policy=policies.LatestN(keep),
            cleanup_tmp_directories=True,
        )
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._pending: Future[None] | None = None

    def save(
        self,
        step: int,
        trees: Mapping[str, Any],
        metadata: Mapping[str, Any],
    ) -> None:
        """Starts to save; the arrays are copied first and may change at once.

        Raises:
            OSError: if the save before this one failed.
        """
        self.wait()
        with _naming_what_failed(self._folder / str(step)):
            response = self._checkpointer.save_checkpointables_async(
                step,
                distributed.to_global(dict(trees)),
                force=True,
                custom_metadata=dict(metadata),
            )
        self._pending = self._thread.submit(_complete, response, self._folder / str(step))

    def wait(self) -> None:
        """Waits for the save that is under way.

        Raises:
            OSError: if it failed; earlier checkpoints are intact.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Ends the thread and Orbax's."""
        self._thread.shutdown()
        self._checkpointer.close()


@contextlib.contextmanager
def open_for_saving(folder: Path, *, keep: int) -> Iterator[Saver]:
    """Opens a stage's checkpoints.

    Args:
        folder: the stage's checkpoint folder.
        keep: how many of the newest to keep.
    """
    saver = Saver(folder, keep)
    try:
        yield saver
        saver.wait()
    finally:
        saver.close()


def list_checkpoints(folder: Path) -> list[CheckpointInfo]:
    """Looks at every checkpoint of a stage, the newest first, and reads all their files."""
    return [
        CheckpointInfo(step, verify(folder / str(step)), _num_bytes(folder / str(step)))
        for step in _steps(folder)
    ]


def verify(checkpoint: Path) -> str | None:
    """Says by which file a checkpoint differs from its manifest; None if by none."""
    manifest = checkpoint / _MANIFEST
    if not manifest.is_file():
        return f"it has no {_MANIFEST}: saving it was not finished"
    try:
        listed = json.loads(manifest.read_bytes())["files"]
        is_whole = manifest.read_text() == _manifest_text(listed)
    except (ValueError, KeyError, TypeError):
        is_whole = False
    if not is_whole:
        return f"its {_MANIFEST} was changed"
    found = _digests(checkpoint)
    for name in sorted(listed.keys() | found.keys()):
        if name not in found:
            return f"its file {name} is missing"
        if name not in listed:
            return f"its file {name} is not in its {_MANIFEST}"
        if found[name] != listed[name]:
            is_empty = not (checkpoint / name).stat().st_size
            return f"its file {name} {'is empty' if is_empty else 'was changed'}"
    return None


def latest_step(folder: Path) -> int | None:
    """Step of the newest checkpoint of a stage that verifies, None if there is no checkpoint.

    Raises:
        ValueError: if there are some, and none verifies.
    """
    step, passed_over = _newest(folder)
    return _required(folder, step, passed_over) if passed_over else step


def is_empty(folder: Path) -> bool:
    """Whether a stage has no checkpoint at all, whole or damaged."""
    return not _steps(folder)


def check_finished(folder: Path, num_steps: int) -> None:
    """Checks that the newest checkpoint of a stage that verifies is that of its last step.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ValueError: if none verifies, or the newest that does is of an earlier step.
    """
    _required(folder, *_newest(folder), num_steps=num_steps)


def read_metadata(folder: Path) -> dict[str, Any]:
    """Metadata of the newest checkpoint of a stage that verifies: its config and splits.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ValueError: if none verifies.
    """
    return _open(folder / str(_required(folder, *_newest(folder)))).custom_metadata


def read_metrics(folder: Path, step: int) -> dict[str, float]:
    """Metrics that were saved with a checkpoint that verifies."""
    return _open(folder / str(step)).custom_metadata["metrics"]


def restore(
    folder: Path,
    make_abstract_trees: Callable[[dict[str, Any]], Mapping[str, Any]],
    sharding: jax.sharding.Sharding,
    *,
    num_steps: int = 0,
) -> Restored:
    """Loads the newest checkpoint of a stage that verifies, and tells which were passed over.

    Args:
        folder: the stage's checkpoint folder.
        make_abstract_trees: metadata -> the trees to load, with shapes and dtypes as leaves.
        sharding: where the arrays go; the number of devices may differ from the saved one.
        num_steps: length of the training, to load a finished stage only; 0: any checkpoint.

    Raises:
        FileNotFoundError: if there is no checkpoint.
        ValueError: if none verifies, or the newest that does is of an earlier step than `num_steps`
            or holds other trees.
    """
    step, passed_over = _newest(folder)
    step = _required(folder, step, passed_over, num_steps=num_steps)
    for one in passed_over:
        distributed.log(f"passed over checkpoint {folder / one}")
    checkpoint = folder / str(step)
    from orbax.checkpoint import v1 as ocp

    saved = _open(checkpoint)
    abstract = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        dict(make_abstract_trees(saved.custom_metadata)),
    )
    _check_same_trees(checkpoint, saved.metadata, abstract)
    try:
        with _on_its_own():
            trees = ocp.load_checkpointables(checkpoint.absolute(), abstract)
            return Restored(step, trees, saved.custom_metadata)
    except Exception as error:  # Orbax wraps every cause in an error about its own handlers.
        raise ValueError(f"checkpoint {checkpoint} does not load: {_root_cause(error)}") from error


def quarantine_damaged(folder: Path) -> None:
    """Moves the checkpoints that do not verify out of the way of those to come, and keeps them."""
    for found in list_checkpoints(folder):
        if found.damage is not None:
            target = folder.parent / _DAMAGED / str(found.step)
            number = 1
            while target.exists():
                number += 1
                target = folder.parent / _DAMAGED / f"{found.step}_{number}"
            target.parent.mkdir(exist_ok=True)
            shutil.move(folder / str(found.step), target)


def digest(tree: Any) -> str:
    """SHA-256 of the arrays of a tree, whatever the devices they lie on."""
    total = hashlib.sha256()
    for path, leaf in sorted(_leaves(tree).items()):
        array = np.asarray(leaf)
        total.update(f"{path} {array.dtype} {array.shape}\n".encode() + array.tobytes())
    return total.hexdigest()


def _open(checkpoint: Path) -> Any:
    """What a checkpoint says of itself."""
    from orbax.checkpoint import v1 as ocp

    # By its own folder: given the one above, Orbax reads the other checkpoints too, whole or not.
    with _on_its_own():
        return ocp.checkpointables_metadata(checkpoint.absolute())


def _on_its_own() -> Any:
    """Within, Orbax reads without waiting for the other processes."""
    from orbax.checkpoint import v1 as ocp

    context, number = ocp.Context(), jax.process_index()
    context.multiprocessing.primary_host = number
    context.multiprocessing.active_processes = {number}
    return context


def _newest(folder: Path) -> tuple[int | None, list[str]]:
    """The newest step that verifies, and the newer ones: each with what is wrong with it."""
    passed_over: list[str] = []
    for step in _steps(folder):
        damage = verify(folder / str(step))
        if damage is None:
            return step, passed_over
        passed_over.append(f"{step}: {damage}")
    return None, passed_over


def _steps(folder: Path) -> list[int]:
    """Steps of all checkpoints that Orbax has named, the newest first."""
    names = [one.name for one in folder.iterdir()] if folder.is_dir() else []
    return sorted((int(name) for name in names if name.isdecimal()), reverse=True)


def _required(folder: Path, step: int | None, passed_over: list[str], *, num_steps: int = 0) -> int:
    """What `_newest` found, or an error that says why it found nothing, or no finished training."""
    if step is not None and step >= num_steps:
        return step
    if step is not None:
        remedy = "finish the training: gazejax train with the same workdir"
        if passed_over:
            remedy = f"newer are damaged: {'; '.join(passed_over)}: copy the run again, or {remedy}"
        raise ValueError(
            f"{folder}: the newest checkpoint of stage {folder.parent.name} that verifies is of "
            f"step {step} of {num_steps}; {remedy}"
        )
    if passed_over:
        raise ValueError(f"no checkpoint in {folder} verifies: {'; '.join(passed_over)}")
    remedy = "train the stage first: gazejax train with the same workdir and --config.stage=all"
    raise FileNotFoundError(f"no checkpoint in {folder}; {remedy}")


def _complete(response: Any, checkpoint: Path) -> None:
    """Waits until Orbax has committed, then writes the manifest."""
    with _naming_what_failed(checkpoint):
        response.result()
        if distributed.is_main_process() and checkpoint.is_dir():
            temporary = checkpoint.parent / f"{_MANIFEST}.{checkpoint.name}.tmp"
            temporary.write_text(_manifest_text(_digests(checkpoint)))
            temporary.replace(checkpoint / _MANIFEST)


@contextlib.contextmanager
def _naming_what_failed(checkpoint: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(error, jax.errors.JaxRuntimeError) and distributed.is_distributed():
            raise  # Not the disk, but another process is lost.
        raise OSError(
            f"saving {checkpoint} failed: {_root_cause(error)}; those before it are intact"
        ) from error


def _manifest_text(listed: Mapping[str, str]) -> str:
    """The one text that says this: a changed byte makes it another, or no JSON."""
    files = dict(sorted(listed.items()))
    of_files = hashlib.sha256(json.dumps(files).encode()).hexdigest()
    return json.dumps({"files": files, "sha256": of_files}, indent=1) + "\n"


def _digests(checkpoint: Path) -> dict[str, str]:
    return {
        path.relative_to(checkpoint).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in checkpoint.rglob("*")
        if path.is_file() and path != checkpoint / _MANIFEST
    }


def _num_bytes(checkpoint: Path) -> int:
    return sum(path.stat().st_size for path in checkpoint.rglob("*") if path.is_file())


def _check_same_trees(checkpoint: Path, saved: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Orbax casts another dtype without a word, and says little about another shape."""
    for name, tree in asked.items():
        found, expected = _leaves(saved[name]), _leaves(tree)
        for path in sorted(found.keys() | expected.keys()):
            have, want = (_describe(leaves.get(path)) for leaves in (found, expected))
            if have != want:
                raise ValueError(
                    f"checkpoint {checkpoint}: {name}{path} is {have}, expected {want}"
                )


def _leaves(tree: Any) -> dict[str, Any]:
    """Leaves by their path; Orbax names an entry of a list, tuple or dictionary alike."""
    return {
        "".join(f"/{_entry(key)}" for key in path): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def _entry(key: Any) -> Any:
    for name in ("key", "name", "idx"):
        if hasattr(key, name):
            return getattr(key, name)
    return key


def _describe(leaf: Any) -> str:
    return "missing" if leaf is None else f"{np.dtype(leaf.dtype).name} {tuple(leaf.shape)}"


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__
