"""Holds a run to stages that are all there and trained to their end, before they are used."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gazejax.config.derived import ENCODER_STAGES, STAGES, stages_to_train
from gazejax.workdir import checkpoints
from gazejax.workdir.layout import checkpoint_folder, load_config, read_resources
from gazejax.workdir.parameters import load_params


def check_finished(workdir: Path, stages: Sequence[str] = STAGES) -> list[str]:
    """Checks that the stages that a run, or a fold, has are finished.

    Args:
        workdir: its folder.
        stages: those that are to be used, of `STAGES`.

    Returns:
        Those of the stages that have a checkpoint.

    Raises:
        ValueError: if a stage has checkpoints, and none of its last step that verifies.
    """
    num_steps = _num_steps(workdir)
    found = [
        stage for stage in stages if not checkpoints.is_empty(checkpoint_folder(workdir, stage))
    ]
    for stage in found:
        checkpoints.check_finished(checkpoint_folder(workdir, stage), num_steps[stage])
    return found


def load_finished(workdir: Path) -> dict[str, Any]:
    """Loads the parameters of all that embeds and predicts, by stage.

    Args:
        workdir: of a run without folds, or of a fold.

    Returns:
        Parameters of `encoder`, and of `saliency` and `universal` if the run trains them.

    Raises:
        FileNotFoundError: if `encoder`, or a stage that the run trains, has no checkpoint.
        ValueError: if a stage has none of its last step that verifies, or it does not load.
    """
    num_steps = _num_steps(workdir)
    # The config is that of the last training, which may have been of one stage only.
    trained = {*stages_to_train(load_config(workdir)), *read_resources(workdir)}
    loaded = {}
    for stage in ("encoder", "saliency", "universal"):
        folder = checkpoint_folder(workdir, stage)
        if checkpoints.is_empty(folder):
            if stage in trained:
                raise FileNotFoundError(
                    f"no checkpoint in {folder}, and the run trains stage {stage}; copy the "
                    "workdir whole, or finish the training: gazejax train with the same workdir"
                )
            if stage != "encoder":
                continue
        loaded[stage] = load_params(workdir, stage, num_steps=num_steps[stage])
    return loaded


def _num_steps(workdir: Path) -> dict[str, int]:
    """Length of the training of each stage; the control is trained as long as the encoder."""
    config = load_config(workdir)
    return {
        stage: config["encoder" if stage in ENCODER_STAGES else stage].num_steps for stage in STAGES
    }
