"""A stage that is lost, damaged or not trained to its end is not used as if it were finished."""

import json
import shutil

import pytest

import gazejax
from gazejax.evaluation.folds import open_fold
from gazejax.workdir.finished import check_finished, load_finished
from gazejax.workdir.layout import load_config


@pytest.fixture
def run(tiny_run, tmp_path):
    """A run of all stages, 12 steps each, with the checkpoints 8 and 12."""
    return shutil.copytree(tiny_run, tmp_path / "run")


def damage(checkpoint):
    file = next(path for path in (checkpoint / "params" / "d").iterdir() if path.is_file())
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("stage", ["encoder", "saliency", "universal", "permuted_encoder"])
def test_every_stage_of_a_run_is_there_and_finished(run, tiny_dataset, stage):
    config, last = load_config(run), run / stage / "checkpoints" / "12"
    uses = [lambda: open_fold(run, config, tiny_dataset)]
    if stage != "permuted_encoder":  # Nothing that is embedded or predicted depends on it.
        uses += [lambda: gazejax.load(run), lambda: load_finished(run)]
    of_stage = f"{run / stage / 'checkpoints'}: the newest checkpoint of stage {stage} that verif"
    unfinished = "of step 8 of 12; .*finish the training: gazejax train with the same workdir"
    damage(last)
    for use in uses:
        with pytest.raises(ValueError, match=f"^{of_stage}.* {unfinished}") as refusal:
            use()
        assert "; newer are damaged: 12: its file params/" in str(refusal.value)
        assert ": copy the run again, or " in str(refusal.value)
    shutil.rmtree(last)
    for use in uses:
        with pytest.raises(ValueError, match=f"^{of_stage}.* {unfinished}") as refusal:
            use()
        assert "damaged" not in str(refusal.value)
    shutil.rmtree(run / stage)
    for use in uses[1:]:  # An evaluation leaves out the rows of a stage that is not there.
        with pytest.raises(FileNotFoundError, match=f"trains stage {stage}; copy the workdir who"):
            use()


def test_a_stage_that_was_never_trained_is_not_missed(run):
    assert check_finished(run) == ["encoder", "saliency", "universal", "permuted_encoder"]
    shutil.rmtree(run / "universal")
    shutil.rmtree(run / "permuted_encoder")
    stored = json.loads((run / "config.json").read_text())
    stored["config"]["stage"] = "saliency"
    (run / "config.json").write_text(json.dumps(stored))
    # It has cost time: it was trained by an earlier call.
    with pytest.raises(FileNotFoundError, match="the run trains stage universal"):
        gazejax.load(run)
    costs = json.loads((run / "resources.json").read_text())
    del costs["universal"]
    (run / "resources.json").write_text(json.dumps(costs))
    assert gazejax.load(run)._trained.universal is None
    assert check_finished(run) == ["encoder", "saliency"]
    assert check_finished(run, ("universal",)) == []
