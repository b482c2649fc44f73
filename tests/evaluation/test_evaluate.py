"""What an evaluation writes, and that nothing but the training changes it."""

import json
import shutil

import jax
import numpy as np
import pytest
from PIL import Image

from gazejax.config.derived import STAGES, embedding_layout
from gazejax.data import joining, loading
from gazejax.data.reader import open_source
from gazejax.evaluation import folds, run
from gazejax.evaluation.prediction.protocol import CONDITIONS, MAP_METRICS
from gazejax.evaluation.report import DETAILS, format_evaluation, headline
from gazejax.evaluation.run import RESAMPLES, evaluate, evaluate_on
from gazejax.evaluation.traits import format_traits
from gazejax.evaluation.verification import protocol
from gazejax.types import Recordings
from gazejax.workdir.guards import check_no_trained_images
from gazejax.workdir.layout import load_config, read_resources, write_resources
from gazejax.workdir.probes import load_probes
from tests.joined_data import build_both
from tests.tiny import tiny_config


@pytest.fixture(scope="module")
def result(tiny_run):
    return json.loads((tiny_run / "evaluation.json").read_text())


def has_intervals(row, figures):
    for figure in figures:
        if row[figure] is None:
            assert row[f"{figure}_interval"] is None
        else:
            low, high = row[f"{figure}_interval"]
            assert low <= high
            assert isinstance(row[figure], float)
    return True


def test_every_metric_has_its_controls_and_interval(result):
    compared = result["compared"]
    assert compared["seen_users"] + compared["unseen_users"] == 8
    assert compared["train_images"] + compared["test_images"] == 40
    # 50 images are requested; half of the test images are available.
    largest = str(compared["test_images"] // 2)
    for users, number in (("seen", compared["seen_users"]), ("unseen", compared["unseen_users"])):
        methods = result["encoder"][users]
        assert methods.keys() == {
            "encoder",
            "encoder_truncated",
            "residual_map",
            "fixation_statistics",
            "permuted_labels",
            "permuted_training",
            "chance",
        }
        for method, sizes in methods.items():
            for row in sizes.values():
                assert set(protocol.VERIFICATION_METRICS) <= row.keys()
                assert 0 <= row["rank1"] <= 1
                if method != "chance":
                    assert row["num_users"] == number
                    assert has_intervals(row, protocol.VERIFICATION_METRICS)
        assert set(methods["encoder"]) == {"1", largest}
        assert methods["chance"]["1"]["rank1"] == pytest.approx(1 / number)
        for sizes in result["encoder_differences"][users].values():
            assert has_intervals(sizes["1"], protocol.VERIFICATION_METRICS)
        for conditions in result["saliency"][users].values():
            assert set(conditions) == set(CONDITIONS)
            for row in conditions.values():
                assert all(np.isfinite(row[metric]) for metric in MAP_METRICS)
                assert has_intervals(row, MAP_METRICS)
        for rows in result["saliency_differences"][users].values():
            assert has_intervals(rows["own_minus_swapped"], MAP_METRICS)
            assert 0 < rows["own_minus_swapped_p_value"]["information_gain"] <= 1
        assert len(result["saliency_users"][users][largest]) == number


def test_the_resamples_behind_the_intervals_are_stored(tiny_run, result):
    with np.load(tiny_run / RESAMPLES) as stored:
        resamples = dict(stored)
    rows = {name.rsplit("/", 1)[0] for name in resamples}
    assert len(rows) == 2 * 2 + 2 * 1 * len(CONDITIONS)
    for path in rows:
        row = result
        for key in path.split("/"):
            row = row[key]
        for name in {
            *protocol.VERIFICATION_METRICS,
            *MAP_METRICS,
        } & row.keys():
            values = resamples[f"{path}/{name}"]
            assert values.shape == (1000,)
            expected = row[f"{name}_interval"]
            if expected is not None:
                np.testing.assert_allclose(np.nanpercentile(values, [2.5, 97.5]), expected, 1e-4)


def test_costs_are_noted_and_add_up(tiny_run, tmp_path):
    costs = read_resources(tiny_run)
    assert costs.keys() == {*STAGES, "evaluation", "embedding"}
    for cost in costs.values():
        assert cost["seconds"] > 0
        assert cost["peak_memory_bytes"] > 50e6
    write_resources(tmp_path, "encoder", seconds=1.0)
    (tmp_path / "resources.json").write_text(
        json.dumps({"encoder": {"seconds": 1.0, "peak_memory_bytes": 1e15}})
    )
    write_resources(tmp_path, "encoder", seconds=3.0)
    noted = {"seconds": 3.0, "peak_memory_bytes": 1e15, "devices": "4 x cpu"}
    assert read_resources(tmp_path) == {"encoder": noted}


def test_differences_are_those_of_the_figures(result):
    rows = result["saliency"]["unseen"]["2"]
    found = result["saliency_differences"]["unseen"]["2"]["own_minus_mean"]["information_gain"]
    expected = rows["own"]["information_gain"] - rows["mean"]["information_gain"]
    assert found == pytest.approx(expected, abs=1e-9)
    gains = [row["information_gain"] for row in result["saliency_users"]["unseen"]["2"].values()]
    together = result["saliency_differences"]["unseen"]["2"]["own_minus_swapped"]
    assert np.mean(gains) == pytest.approx(together["information_gain"], abs=1e-9)


def test_tables_and_plots_are_written(tiny_run, result):
    text = (tiny_run / "evaluation.md").read_text()
    assert text == format_evaluation(result) + format_traits(result["traits"])
    assert result["traits"].keys() == load_probes(tiny_run, 6).keys() >= {"duration_ms", "spread"}
    row = result["encoder"]["unseen"]["encoder"]["1"]
    low, high = row["roc_auc_interval"]
    assert f"{row['roc_auc']:.3f} [{low:.3f}, {high:.3f}]" in headline(text)
    assert DETAILS not in headline(text)
    for name in ("roc_curves", "roc_auc_against_images", "embeddings", "own_minus_swapped", "maps"):
        with Image.open(tiny_run / "plots" / f"{name}.png") as picture:
            assert min(picture.size) > 300


@pytest.mark.slow
@pytest.mark.usefixtures("without_plots")
def test_figures_depend_on_neither_the_batch_nor_the_devices(
    tiny_run, result, tmp_path, monkeypatch
):
    """Seven rows a batch on one device instead of 32 on four: both at once, or neither matters."""
    workdir = shutil.copytree(tiny_run, tmp_path / "run")
    described = json.loads((workdir / "config.json").read_text())
    assert described["config"]["eval"]["batch_size"] == 32
    described["config"]["eval"]["batch_size"] = 7
    (workdir / "config.json").write_text(json.dumps(described))
    monkeypatch.setattr(jax, "local_devices", lambda: jax.devices()[:1])
    found = evaluate(workdir)
    for part in set(result) - {"compared"}:
        for (path, one), other in zip(
            jax.tree_util.tree_leaves_with_path(result[part]),
            jax.tree.leaves(found[part]),
            strict=True,
        ):
            # Hardly trained, own and swapped maps differ by rounding alone, which a test of ranks
            # amplifies.
            tolerance = 1e-2 if "p_value" in str(path) else 1e-4
            assert one == pytest.approx(other, abs=tolerance), path


@pytest.mark.slow
@pytest.mark.usefixtures("without_plots")
def test_without_the_control_stages_their_rows_are_left_out(tiny_run, tmp_path):
    workdir = shutil.copytree(tiny_run, tmp_path / "run")
    for stage in ("universal", "permuted_encoder"):
        shutil.rmtree(workdir / stage)
    found = evaluate(workdir)
    assert "permuted_labels" not in found["encoder"]["seen"]
    assert "predicted" not in found["saliency"]["seen"]["2"]
    assert "own" in found["saliency"]["seen"]["2"]


def test_dropping_the_first_fixation_is_a_config_value(data_dir, tiny_dataset):
    config = tiny_config(data_dir)
    config.data.drop_first_fixation = True
    shorter = loading.load_dataset(config).gaze.viewing_length
    whole = tiny_dataset.gaze.viewing_length
    np.testing.assert_array_equal(shorter, np.maximum(whole - 1, 0))


def read_other_images(monkeypatch, change=lambda dataset: dataset):
    """The data set that is read has images of other names: none was trained with."""
    load_dataset = loading.load_dataset

    def load(*of):
        dataset = change(load_dataset(*of))
        return dataset._replace(image_ids=tuple(f"other_{name}" for name in dataset.image_ids))

    monkeypatch.setattr(run, "load_dataset", load)


def with_sessions(dataset, in_first):
    """Every user saw some images, [image], in one session, and the others in another."""
    length = np.repeat(np.asarray(dataset.gaze.viewing_length), 2, axis=0)
    length[0::2, ~in_first] = length[1::2, in_first] = 0
    offset = np.repeat(np.asarray(dataset.gaze.viewing_offset), 2, axis=0)
    apart = dataset.gaze._replace(viewing_length=length, viewing_offset=offset)
    recordings = Recordings(np.repeat(np.arange(8), 2), ("a", "b") * 8, apart)
    return dataset._replace(recordings=recordings)


@pytest.mark.slow
@pytest.mark.usefixtures("without_plots")
def test_maps_are_predicted_within_and_across_sessions(tiny_run, tmp_path, monkeypatch):
    workdir = shutil.copytree(tiny_run, tmp_path / "run")
    load_dataset = folds.load_dataset
    is_even = np.arange(40) % 2 == 0
    monkeypatch.setattr(
        folds, "load_dataset", lambda *of: with_sessions(load_dataset(*of), is_even)
    )
    result = evaluate(workdir)
    number = {"seen": result["compared"]["seen_users"], "unseen": 2}
    for group in ("seen", "unseen"):
        # Of five test images, two are in one session and three in the other.
        within, across = (
            result[key][group]["1"] for key in ("saliency", "saliency_across_sessions")
        )
        assert set(within) == set(across) == set(CONDITIONS)
        for rows in (within, across):
            assert rows["own"]["num_users"] == number[group]
            assert has_intervals(rows["own"], MAP_METRICS)
        # The same maps are predicted, with another enrolment.
        for condition in ("universal", "center_prior", "predicted"):
            assert within[condition] == across[condition]
        assert within["own"] != across["own"]
        assert within["calibrated"] != across["calibrated"]
        users = result["saliency_across_sessions_users"][group]["1"]
        assert len(users) == number[group]
        found = result["saliency_across_sessions_differences"][group]["1"]
        assert found.keys() == result["saliency_differences"][group]["1"].keys()
    with np.load(workdir / RESAMPLES) as stored:
        values = stored["saliency_across_sessions/unseen/1/own/cc"]
    low, high = result["saliency_across_sessions"]["unseen"]["1"]["own"]["cc_interval"]
    np.testing.assert_allclose(np.nanpercentile(values, [2.5, 97.5]), [low, high], 1e-4)
    text = (workdir / "evaluation.md").read_text()
    assert "| unseen, 1, across sessions | CC |" in headline(text)
    assert "Enrolment and predicted maps come from one session, or" in headline(text)
    assert "### Prediction, within a session: 2 unseen users" in text
    assert "### Prediction, across sessions: 2 unseen users" in text


@pytest.mark.slow
@pytest.mark.usefixtures("without_plots")
def test_maps_of_images_that_no_other_seen_user_saw_are_not_scored(
    tiny_run, result, tmp_path, monkeypatch, capsys
):
    load_dataset, splits_of = folds.load_dataset, folds.make_config_splits

    def load(config, projection):
        """One test image was seen by one seen user, and all others by no seen user."""
        dataset = load_dataset(config, projection)
        splits = splits_of(config, dataset)
        monkeypatch.setattr(folds, "make_config_splits", lambda *_: splits)
        length = np.array(dataset.gaze.viewing_length)
        length[np.ix_(splits.seen_users[num_viewers:], splits.test_images[-1:])] = 0
        return dataset._replace(gaze=dataset.gaze._replace(viewing_length=length))

    monkeypatch.setattr(folds, "load_dataset", load)
    for num_viewers in (1, 0):
        found = evaluate(shutil.copytree(tiny_run, tmp_path / f"run{num_viewers}"))
        line = "evaluation, stage 2, {} users: maps not scored: "
        printed = capsys.readouterr().err
        assert (line.format("seen") in printed) == (num_viewers == 1)
        assert (line.format("unseen") in printed) == (num_viewers == 0)
        for group in ("seen", "unseen"):
            for rows in found["saliency"][group].values():
                for row in rows.values():
                    assert all(np.isfinite(row[metric]) for metric in MAP_METRICS)
    assert found["encoder"].keys() == result["encoder"].keys()


def test_sessions_are_compared_within_and_across(tiny_run, data_dir, monkeypatch, capsys):
    read_other_images(monkeypatch, lambda dataset: with_sessions(dataset, np.arange(40) < 20))
    result = evaluate_on(tiny_run, "synthetic_gaze/tiny", None)
    for key in ("encoder", "encoder_across_sessions"):
        table = result[key]
        assert table.keys() == result["encoder"].keys() >= {"residual_map", "chance"}
        assert set(table["encoder"]) == {"1", "5"}
        assert table["encoder"]["5"]["num_users"] == 8
        assert set(table["encoder"]["5"]) == set(table["fixation_statistics"]["5"])
        assert "encoder_minus_residual_map" in result[f"{key}_differences"]
    printed = capsys.readouterr().out
    assert "| **encoder**, across sessions | 5 |" in printed
    assert "| encoder minus residual map, across sessions | 5 |" in printed
    assert "from different sessions" in printed


def test_what_moves_all_embeddings_of_a_data_set_changes_no_score(
    tiny_scanpath_run, data_dir, monkeypatch
):
    read_other_images(monkeypatch)
    embed_viewings = folds.embed_viewings
    plain = evaluate_on(tiny_scanpath_run, "synthetic_gaze/tiny", data_dir)["encoder"]
    moved = 10.0 * np.arange(sum(embedding_layout(load_config(tiny_scanpath_run))))

    def embed(*of, **how):
        found = embed_viewings(*of, **how)
        return found._replace(vectors=found.vectors + moved)

    monkeypatch.setattr(folds, "embed_viewings", embed)
    found = evaluate_on(tiny_scanpath_run, "synthetic_gaze/tiny", data_dir)["encoder"]
    for method in ("encoder", "encoder_truncated"):
        for name in ("roc_auc", "rank1"):
            values = [table[method]["5"][name] for table in (plain, found)]
            assert values[1] == pytest.approx(values[0], abs=1e-3)


@pytest.mark.slow
def test_copies_of_trained_images_under_other_names_are_refused(tiny_run, made_once):
    other = made_once("joined_data", build_both)
    with pytest.raises(ValueError, match=r"with \d+ images of mine, such as 'exact_\d\d.png'"):
        evaluate_on(tiny_run, "mine", other)


def test_other_pictures_may_have_the_names_of_trained_images(tiny_run, tiny_dataset):
    other = tiny_dataset._replace(name="other")
    check_no_trained_images(tiny_run, "encoder", other, copies=[])
    # Where copies cannot be sought, a name is all that is known.
    with pytest.raises(ValueError, match=r"trained with 35 images of other, such as"):
        check_no_trained_images(tiny_run, "encoder", other, copies=None)
    with pytest.raises(ValueError, match=r"trained with 35 images of synthetic_gaze/tiny"):
        check_no_trained_images(tiny_run, "encoder", tiny_dataset, copies=[])


def test_plain_images_of_a_data_set_without_pictures_are_no_copies(data_dir, monkeypatch, capsys):
    name = "synthetic_gaze/tiny"
    source = open_source(name, data_dir)
    plain = source._replace(metadata={**source.metadata, "has_images": False})
    for module in (run, joining):
        monkeypatch.setattr(module, "open_source", lambda *_: plain)
    assert joining.find_copies({name: data_dir}) == []
    assert run._find_copies({name: str(data_dir)}) is None
    said = f"copies of training images were not sought: {name} has no pictures\n"
    assert capsys.readouterr().err == said


def test_of_copies_the_image_that_most_users_saw_is_evaluated(tiny_dataset, capsys):
    names = tiny_dataset.image_ids
    length = np.array(tiny_dataset.gaze.viewing_length)
    length[:3, 4] = 0
    dataset = tiny_dataset._replace(
        gaze=tiny_dataset.gaze._replace(viewing_length=length),
        # The last group has one image among those that are asked for.
        copies=((names[4], names[7], names[9]), (names[1], names[2]), (names[5], names[30])),
    )
    assert folds.without_copies(dataset, np.arange(10)).tolist() == [0, 1, 3, 5, 6, 7, 8]
    said = f"evaluation: 3 of 10 test images are copies of others, such as {names[2]!r}, and are"
    assert said in capsys.readouterr().err
    assert folds.without_copies(tiny_dataset, np.arange(10)).tolist() == list(range(10))


def test_users_of_another_data_set_are_verified_but_never_on_trained_images(
    tiny_run, data_dir, monkeypatch, capsys
):
    with pytest.raises(ValueError, match=r"trained with .* images of synthetic_gaze/tiny"):
        evaluate_on(tiny_run, "synthetic_gaze/tiny", data_dir)
    read_other_images(monkeypatch)
    result = evaluate_on(tiny_run, "synthetic_gaze/tiny", data_dir)
    table = result["encoder"]
    assert set(table) >= {"encoder", "residual_map", "fixation_statistics", "chance"}
    # All 8 users and all 40 images: none is held out there.
    assert table["encoder"]["5"]["num_users"] == 8
    assert table["encoder"]["5"]["num_images"] == 40
    assert table["encoder"]["5"]["roc_auc"] > 0.5
    assert json.loads((tiny_run / "evaluation_synthetic_gaze_tiny.json").read_text()) == result
    printed = capsys.readouterr().out
    assert "names no sessions" in printed
    assert "8 users of `synthetic_gaze/tiny`, 40 images" in printed
    assert printed.strip() == (tiny_run / "evaluation_synthetic_gaze_tiny.md").read_text().strip()
