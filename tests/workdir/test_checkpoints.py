"""Nothing that changed on disk is ever loaded, and what is whole is found."""

import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gazejax.runtime.devices import replicated
from gazejax.workdir import checkpoints


def make_trees(value=1.0):
    return {
        "params": {"layer": {"kernel": jnp.full((2, 3), float(value)), "bias": jnp.zeros(3)}},
        "progress": {
            "step": jnp.int32(value),
            "optimizer": (jnp.full(2, float(value)), jnp.ones(1)),
        },
    }


def save(folder, *numbers, keep=5):
    with checkpoints.open_for_saving(folder, keep=keep) as saver:
        for number in numbers:
            saver.save(number, make_trees(number), {"config": {"a": number}})


def restore(folder, trees=None):
    sharding = replicated(jax.local_devices()[:1])
    return checkpoints.restore(folder, lambda _: trees or make_trees(), sharding)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "checkpoints"
    save(folder, 4, 8)
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "stage" / "checkpoints")


def files_of(checkpoint):
    return sorted(path for path in checkpoint.rglob("*") if path.is_file())


def test_the_newest_is_restored_as_it_was_saved(saved):
    step, trees, _ = restore(saved)
    assert step == 8
    jax.tree.map(np.testing.assert_array_equal, trees, make_trees(8))
    assert checkpoints.latest_step(saved) == 8
    assert checkpoints.read_metadata(saved) == {"config": {"a": 8}}
    assert [(found.step, found.damage) for found in checkpoints.list_checkpoints(saved)] == [
        (8, None),
        (4, None),
    ]


def test_every_flipped_byte_is_caught(copy):
    """Of every file of a checkpoint, every fifth: arrays, metadata and manifest alike."""
    num_flips = 0
    for path in files_of(copy / "8"):
        content = path.read_bytes()
        for position in range(0, len(content), 5):
            path.write_bytes(
                content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]
            )
            assert checkpoints.verify(copy / "8") is not None, (path, position)
            num_flips += 1
        path.write_bytes(content)
    assert num_flips > 600
    assert checkpoints.verify(copy / "8") is None


@pytest.mark.parametrize(
    ("spoil", "damage"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "was changed"),
        (lambda path: path.write_bytes(b""), "(is empty|was changed)"),
        (lambda path: path.unlink(), "(is missing|it has no manifest.json)"),
        (lambda path: path.with_name("more").touch(), "is not in its manifest.json"),
    ],
)
def test_every_spoilt_file_is_caught_and_the_one_before_is_used(spoil, damage, copy, capsys):
    for path in files_of(copy / "8"):
        other = shutil.copytree(copy, copy.parent / "other")
        spoil(other / path.relative_to(copy))
        step, trees, _ = restore(other)
        assert step == 4
        jax.tree.map(np.testing.assert_array_equal, trees, make_trees(4))
        printed = capsys.readouterr().err
        assert printed.startswith(f"passed over checkpoint {other / '8'}: it")
        assert np.any([part in printed for part in damage.strip("()").split("|")]), printed
        shutil.rmtree(other)


def test_with_none_left_nothing_is_loaded(copy):
    for step in ("4", "8"):
        (copy / step / "manifest.json").unlink()
    for use in (checkpoints.latest_step, checkpoints.read_metadata, restore):
        with pytest.raises(
            ValueError, match=r"no checkpoint in .* verifies: 8: it has no manifest"
        ):
            use(copy)
    with pytest.raises(FileNotFoundError, match=r"no checkpoint in .*; train the stage first"):
        restore(copy / "nothing")
    assert checkpoints.latest_step(copy / "nothing") is None


def test_what_is_damaged_is_set_aside_and_kept(copy):
    (copy / "8" / "_CHECKPOINT_METADATA").write_text("")
    checkpoints.quarantine_damaged(copy)
    assert [found.step for found in checkpoints.list_checkpoints(copy)] == [4]
    assert (copy.parent / "damaged_checkpoints" / "8" / "manifest.json").is_file()
    # The same step can be saved again, and be damaged again.
    save(copy, 8)
    assert restore(copy)[0] == 8
    (copy / "8" / "_CHECKPOINT_METADATA").write_text("")
    checkpoints.quarantine_damaged(copy)
    assert (copy.parent / "damaged_checkpoints" / "8_2").is_dir()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"kernel": jnp.ones((3, 3))},
            r"params/layer/kernel is float32 \(2, 3\), expected float32 \(3, 3\)",
        ),
        (
            {"bias": jnp.zeros(3, jnp.bfloat16)},
            r"params/layer/bias is float32 \(3,\), expected bfl",
        ),
        ({"more": jnp.zeros(1)}, r"params/layer/more is missing, expected float32 \(1,\)"),
    ],
)
def test_other_arrays_are_refused_by_name_and_both_values(change, message, saved):
    trees = make_trees()
    trees["params"]["layer"] |= change
    with pytest.raises(ValueError, match=message):
        restore(saved, trees)
    del trees["params"]["layer"]
    with pytest.raises(ValueError, match=r"params/layer/bias is float32 \(3,\), expected missing"):
        restore(saved, trees)


def test_the_newest_are_kept(tmp_path):
    save(tmp_path, 2, 4, 6, 8, 10, keep=2)
    assert [found.step for found in checkpoints.list_checkpoints(tmp_path)] == [10, 8]


@pytest.mark.parametrize("where", ["arrays", "manifest"])
def test_a_full_disk_is_reported_and_earlier_checkpoints_are_intact(where, copy, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device", "somewhere")

    if where == "manifest":
        monkeypatch.setattr(type(copy), "write_text", full)
    else:
        monkeypatch.setattr(checkpoints, "_digests", full)
    with pytest.raises(
        OSError, match=r"saving .*12 failed: .*No space left.*; those before it are"
    ):
        save(copy, 12)
    monkeypatch.undo()
    assert restore(copy)[0] == 8


def test_a_folder_that_cannot_be_written_is_named(copy, monkeypatch):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    copy.chmod(0o500)
    with pytest.raises(OSError, match=r"saving .*12 failed"):
        save(copy, 12)


def test_the_digest_of_arrays_is_that_of_their_values(saved):
    _, trees, _ = restore(saved)
    assert checkpoints.digest(trees) == checkpoints.digest(make_trees(8))
    assert checkpoints.digest(trees) != checkpoints.digest(make_trees(9))
    renamed = {"params": trees["progress"], "progress": trees["params"]}
    assert checkpoints.digest(trees) != checkpoints.digest(renamed)
