"""Compiled programs are kept in the user's cache folder, where the user has not chosen another."""

import os

import jax
import pytest

from gazejax.cli.main import main
from gazejax.runtime import cache


@pytest.fixture
def no_folder(monkeypatch, tmp_path):
    """As without `JAX_COMPILATION_CACHE_DIR`; the cache of the user is `tmp_path`."""
    before = jax.config.values["jax_compilation_cache_dir"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    jax.config.update("jax_compilation_cache_dir", before)


def test_the_folder_of_the_user_stays():
    before = jax.config.values["jax_compilation_cache_dir"]
    assert before  # That of the tests.
    cache.keep_compiled()
    assert jax.config.values["jax_compilation_cache_dir"] == before


@pytest.mark.usefixtures("no_folder")
def test_programs_are_kept_for_this_kind_of_processor(tmp_path):
    cache.keep_compiled()
    [folder] = (tmp_path / "gazejax" / "compiled").iterdir()
    assert jax.config.values["jax_compilation_cache_dir"] == str(folder)


@pytest.mark.usefixtures("no_folder")
def test_a_folder_that_cannot_be_made_is_named_and_nothing_is_kept(tmp_path, capsys):
    (tmp_path / "gazejax").write_text("a file")
    cache.keep_compiled()
    assert jax.config.values["jax_compilation_cache_dir"] is None
    assert str(tmp_path / "gazejax") in capsys.readouterr().err


def test_the_oldest_are_removed_until_half_is_left(tmp_path):
    for number in range(10):
        path = tmp_path / f"{number}-cache"
        path.write_bytes(b"x" * 100)
        os.utime(path, (number, number))
    cache._remove_oldest(tmp_path, 1000)
    assert len(list(tmp_path.iterdir())) == 10
    cache._remove_oldest(tmp_path, 999)
    assert sorted(one.name[0] for one in tmp_path.iterdir()) == ["6", "7", "8", "9"]


def test_the_cache_is_listed_and_cleared(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["cache", "list"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'gazejax'}: 0.0 MB\n"
    for name in (
        "compiled/0a/p-cache",
        "features/f.npz",
        "weights.npz",
        "weights.npz.sha256",
        "mine",
    ):
        path = tmp_path / "gazejax" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1_000_000))
    assert main(["cache", "list"]) == 0
    assert [line.split()[::2] for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["1.0", "1", "compiled"],
        ["1.0", "1", "features", "images"],
        ["2.0", "2", "weights"],
    ]
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out == f"removed 4.0 MB from {tmp_path / 'gazejax'}\n"
    # What nothing here writes stays.
    assert [one.name for one in (tmp_path / "gazejax").rglob("*") if one.is_file()] == ["mine"]
