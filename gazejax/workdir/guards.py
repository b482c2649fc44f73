"""Refuses another experiment, another encoder and leaks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from gazejax.config.derived import STAGES, dataset_names
from gazejax.config.identity import difference, not_part_of
from gazejax.data.joining import with_prefix, without_prefix
from gazejax.data.splits import Splits, named_splits
from gazejax.runtime import distributed
from gazejax.types import Dataset
from gazejax.workdir import checkpoints
from gazejax.workdir.layout import checkpoint_folder, latest_step, load_config


def check_same_encoder(workdir: Path, encoder_params: Any) -> None:
    """Keeps stage 2 to the encoder whose embeddings it was trained with.

    Raises:
        ValueError: if its checkpoint names another.
    """
    folder = checkpoint_folder(workdir, "saliency")
    stored = checkpoints.read_metadata(folder)["encoder_digest"]
    found = checkpoints.digest(encoder_params)
    if stored != found:
        raise ValueError(
            f"{workdir}: stage saliency was trained with the encoder {stored[:12]}, and the one "
            f"here is {found[:12]}; train stage saliency again, in another workdir"
        )


def check_same_experiment(
    workdir: Path, config: ConfigDict, splits: Splits, dataset: Dataset
) -> None:
    """Keeps a workdir to one experiment, once something was trained in it.

    With `config.checkpoint.accept_changes` a changed value, or changed data, are reported and
    accepted. Changed splits are never accepted: unseen users would not be known any more.

    Raises:
        ValueError: naming the value, or the part of the splits, that differs.
    """
    is_accepted = config.checkpoint.accept_changes

    def refuse(changed: str) -> None:
        if not is_accepted:
            raise ValueError(
                f"{workdir} holds another experiment: {changed}; use another workdir, or accept it "
                "with --config.checkpoint.accept_changes=True"
            )
        distributed.log(f"{workdir}: accepted, by config.checkpoint.accept_changes: {changed}")

    for stage in STAGES:
        if latest_step(workdir, stage) is None:
            continue
        metadata = checkpoints.read_metadata(checkpoint_folder(workdir, stage))
        ignored = not_part_of(stage, config.data.universal_map)
        changed = difference(metadata["config"], config.to_dict(), ignored)
        if changed:
            refuse(changed)
        check_same_splits(workdir, stage, splits, dataset)
        if metadata["data_digest"] != dataset.digest:
            refuse(
                f"the digest of {dataset.name} was {metadata['data_digest']} and is now "
                f"{dataset.digest}"
            )


def check_same_folds(workdir: Path, config: ConfigDict) -> None:
    """Keeps a workdir to one fold, or to one cross-validation.

    Raises:
        ValueError: naming the first value by which the experiments differ.
    """
    if not (workdir / "config.json").is_file():
        return
    stored = load_config(workdir)
    if not (stored.split.cross_validate or config.split.cross_validate):
        return  # Its checkpoints say more, and a folder without any may hold any experiment.
    changed = difference(stored.to_dict(), config.to_dict())
    if changed:
        raise ValueError(f"{workdir} holds another experiment: {changed}; use another workdir")


def check_no_leaks(workdir: Path, stage: str, splits: Splits, dataset: Dataset) -> None:
    """Refuses to call a user or an image unseen that a stage was trained with.

    The splits in the stage's checkpoint decide, not the config.

    Raises:
        ValueError: naming the first user or image that leaked, or the part of the splits that
            differs otherwise.
    """
    stored = checkpoints.read_metadata(checkpoint_folder(workdir, stage))["splits"]
    now = named_splits(splits, dataset)
    for held_out, trained in (("unseen_users", "seen_users"), ("test_images", "train_images")):
        leaked = sorted(set(now[held_out]) & set(stored[trained]))
        if leaked:
            raise ValueError(
                f"{workdir}: {leaked[0]!r} is one of {len(leaked)} of the {held_out} that stage "
                f"{stage} was trained with; metrics for {held_out} would be wrong"
            )
    check_same_splits(workdir, stage, splits, dataset)


def check_no_trained_images(
    workdir: Path, stage: str, dataset: Dataset, copies: Sequence[Sequence[str]] | None
) -> None:
    """Refuses a data set that has an image that a stage was trained with, or a copy of it.

    The same are images of one name in one data set, and copies. Other data sets may have other
    images of that name.

    Args:
        workdir: of the stage.
        stage: the stage.
        dataset: the data set.
        copies: groups of images that are copies of each other, of the data set and of those of the
            training, by prefixed names; see `find_copies`. None: not known, and images of one name
            are the same, in whatever data set.

    Raises:
        ValueError: naming the first of them.
    """
    metadata = checkpoints.read_metadata(checkpoint_folder(workdir, stage))
    names, images = dataset_names(metadata["config"]["data"]["name"]), metadata["splits"]
    trained = {without_prefix(name, names) for name in images["train_images"]}
    prefixed = set(images["train_images"])
    if len(names) == 1:
        prefixed = {with_prefix(names[0], name) for name in prefixed}
    own = {with_prefix(dataset.name, name): name for name in dataset.image_ids}
    same = {own[name] for name in prefixed & own.keys()}
    if copies is None:
        same |= set(dataset.image_ids) & trained
    else:
        groups = [group for group in copies if prefixed & set(group)]
        same |= {own[name] for group in groups for name in group if name in own}
    leaked = sorted(same)
    if leaked:
        raise ValueError(
            f"{workdir}: stage {stage} was trained with {len(leaked)} images of {dataset.name}, "
            f"such as {leaked[0]!r}; allowed: a data set without any"
        )


def check_same_splits(workdir: Path, stage: str, splits: Splits, dataset: Dataset) -> None:
    """Holds the splits of now against those a stage was trained with, as its checkpoint says.

    Raises:
        ValueError: if they differ: metrics would not be about unseen users and images.
    """
    stored = checkpoints.read_metadata(checkpoint_folder(workdir, stage))["splits"]
    for name, members in named_splits(splits, dataset).items():
        if stored[name] != members:
            raise ValueError(
                f"{workdir}: {name} of the {stage}'s training differ from those of the data set "
                "now, so unseen users are not known; use the data set of the training"
            )
