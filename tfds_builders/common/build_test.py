"""Builds: names, options, interruptions and imports."""

import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import tensorflow_datasets as tfds

import tfds_builders
from tfds_builders.common import prepared
from tfds_builders.common.build import BUILDER_CLASSES, Options, build, list_names, read_release
from tfds_builders.synthetic_gaze import generative_model

REPOSITORY_DIR = Path(__file__).parents[2]


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs code in another process, whose stderr is not a terminal."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=REPOSITORY_DIR,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def assert_nothing_looks_finished(data_dir: Path) -> None:
    """Asserts that there is no prepared data set and no part of a data set."""
    assert not list(data_dir.rglob("dataset_info.json"))
    assert not (data_dir / "synthetic_gaze" / "tiny" / "1.2.0").exists()


def test_names_are_listed() -> None:
    assert list_names() == [
        "osie/gaze",
        "osie/mouse_lab",
        "osie/mouse_amt",
        "personalized_saliency/gaze",
        "personalized_saliency/osie_overlap",
        "personalized_saliency/fixations_only",
        "individual_differences",
        "gaze_table",
        "synthetic_gaze/default",
        "synthetic_gaze/tiny",
        "synthetic_gaze/sessions",
    ]


@pytest.mark.parametrize(
    "name", ["", "osi", "osie/", "osie/mouse", "tiny", "osie/gaze/1.1.0", "synthetic_gaze/gaze"]
)
def test_an_unknown_name_is_refused_with_the_known_ones(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"unknown data set '{name}', expected one of") as error:
        build(name, data_dir=tmp_path)
    assert str(error.value).endswith(": " + ", ".join(list_names()))
    assert not list(tmp_path.iterdir())


def test_raw_data_for_generated_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"synthetic_gaze/tiny is generated, so --raw .* leave it"):
        build("synthetic_gaze/tiny", tmp_path, tmp_path)


def test_generated_data_have_no_release_to_read() -> None:
    with pytest.raises(ValueError, match="synthetic_gaze/tiny is generated: it has no raw data"):
        read_release("synthetic_gaze/tiny", Options())


@pytest.mark.parametrize("name", ["osie/mouse_lab", "synthetic_gaze/tiny"])
def test_images_for_data_with_images_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"--images .* does not apply to {name}: leave it out"):
        build(name, None, tmp_path, tmp_path)


@pytest.mark.parametrize("name", BUILDER_CLASSES)
def test_importing_the_package_registers_the_builder(name: str) -> None:
    module = getattr(tfds_builders, f"{name}_dataset_builder")
    assert tfds.builder_cls(name) is module.Builder is BUILDER_CLASSES[name]


def test_a_data_set_is_built_once(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    temporary_dir = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary_dir))
    prepared_dir = build("synthetic_gaze/tiny", data_dir=tmp_path)
    assert prepared_dir == tmp_path / "synthetic_gaze" / "tiny" / "1.2.0"
    captured = capfd.readouterr()
    # No messages of TFDS, and no progress bar without a terminal.
    assert captured.out == ""
    assert captured.err.splitlines()[0] == f"building synthetic_gaze/tiny in {prepared_dir}"
    assert captured.err.splitlines()[1].startswith(
        "built synthetic_gaze/tiny: 40 images, 8 users, 3159 fixations, generated tracking, in "
    )
    assert len(captured.err.splitlines()) == 2

    files = {path: path.stat().st_mtime_ns for path in prepared_dir.iterdir()}
    assert build("synthetic_gaze/tiny", data_dir=tmp_path) == prepared_dir
    assert capfd.readouterr().err == f"synthetic_gaze/tiny is already built: {prepared_dir}\n"
    assert {path: path.stat().st_mtime_ns for path in prepared_dir.iterdir()} == files
    # No folder for downloads, and nothing among the temporary files.
    assert [path.name for path in tmp_path.iterdir()] == ["synthetic_gaze"]
    assert list(temporary_dir.iterdir()) == []


def test_a_folder_without_a_data_set_is_named(tmp_path: Path) -> None:
    prepared_dir = tmp_path / "synthetic_gaze" / "tiny" / "1.2.0"
    prepared_dir.mkdir(parents=True)
    with pytest.raises(
        ValueError, match=r"1\.2\.0 exists but is not a prepared data set: remove it"
    ):
        build("synthetic_gaze/tiny", data_dir=tmp_path)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError("No space left on device")])
def test_an_interrupted_build_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interruption: Any
) -> None:
    def render_some_scenes(scene: generative_model.Scene) -> Any:
        if scene.image_index == 5:
            raise interruption
        return render_scene(scene)

    render_scene = generative_model.render_scene
    with monkeypatch.context() as patched:
        patched.setattr(generative_model, "render_scene", render_some_scenes)
        with pytest.raises((KeyboardInterrupt, OSError)):
            build("synthetic_gaze/tiny", data_dir=tmp_path)
    assert_nothing_looks_finished(tmp_path)
    assert not list(tmp_path.rglob("incomplete*"))
    build("synthetic_gaze/tiny", data_dir=tmp_path)


def test_the_next_build_removes_the_rest_of_a_killed_build(tmp_path: Path) -> None:
    killed = run_python(
        """
import os, signal, sys
from pathlib import Path
from tensorflow_datasets.core import dataset_info
from tfds_builders.common.build import build

# All records are written, but not the last file.
dataset_info.DatasetInfo.write_to_directory = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
build("synthetic_gaze/tiny", data_dir=Path(sys.argv[1]))
""",
        str(tmp_path),
    )
    assert killed.returncode == -9, killed.stderr
    config_dir = tmp_path / "synthetic_gaze" / "tiny"
    [stale_dir] = config_dir.iterdir()
    assert stale_dir.name.startswith("incomplete.")
    assert list(stale_dir.glob("*.array_record*"))
    assert_nothing_looks_finished(tmp_path)

    built = prepared.open_folder("", build("synthetic_gaze/tiny", data_dir=tmp_path))
    assert [path.name for path in config_dir.iterdir()] == ["1.2.0"]
    undisturbed = prepared.open_folder("", build("synthetic_gaze/tiny", data_dir=tmp_path / "2"))
    assert built.metadata["digest"] == undisturbed.metadata["digest"]


def test_two_builds_at_once_are_refused(tmp_path: Path) -> None:
    config_dir = tmp_path / "synthetic_gaze" / "tiny"
    unfinished_dir = config_dir / "incomplete.ABCDEF_1.2.0"
    unfinished_dir.mkdir(parents=True)
    folder_descriptor = os.open(config_dir, os.O_RDONLY)
    fcntl.flock(folder_descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(BlockingIOError, match=r"is being built in .* by another process"):
            build("synthetic_gaze/tiny", data_dir=tmp_path)
        # The files of the other build stay.
        assert unfinished_dir.exists()
    finally:
        os.close(folder_descriptor)


def test_building_and_reading_imports_no_framework(tmp_path: Path) -> None:
    finished = run_python(
        """
import sys
import tempfile
from pathlib import Path
import tensorflow_datasets as tfds
from tfds_builders.common.build import build

prepared_dir = build("synthetic_gaze/tiny", data_dir=Path(sys.argv[1]))
tfds.builder_from_directory(prepared_dir).as_data_source(split="train")[0]
found = {"tensorflow", "torch", "jax", "gazejax", "apache_beam"} & set(sys.modules)
sys.exit(f"imported {found}" if found else 0)
""",
        str(tmp_path),
    )
    assert finished.returncode == 0, finished.stderr
