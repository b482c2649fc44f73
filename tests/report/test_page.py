"""The report of a run, as a file and in a browser."""

import re
import shutil

import numpy as np
import pytest

from gazejax.cli.main import main
from gazejax.evaluation.report_data import REPORT_DATA
from gazejax.report.run import make_report, write_report
from gazejax.workdir.layout import read_object
from tests.browser import check_page, open_page


@pytest.fixture(scope="module")
def report(tiny_run):
    return write_report(tiny_run)


def test_the_report_is_one_file_that_asks_for_nothing(report):
    text = report.read_text()
    addresses = re.findall(r'\b(?:src|href)="([^"]*)"|url\(([^)]*)\)', text)
    outside = [one for pair in addresses for one in pair if one and one[0] != "#"]
    assert not [one for one in outside if not one.startswith("data:")]
    assert "default-src 'none'" in text


def test_what_the_report_shows_is_stored_with_the_evaluation(tiny_run):
    with np.load(tiny_run / REPORT_DATA) as file:
        shown = dict(file)
    assert shown["example_maps"].shape[:2] == (len(shown["example_user"]), 4)
    assert shown["example_num_fixations"].sum() == len(shown["example_xy_frac"])
    # The largest value of each map has the largest number.
    assert (shown["example_maps"].max(axis=(2, 3)) == 255).all()
    assert len(shown["nearest"]) == len(shown["user_ids"])
    assert not (shown["nearest"] == np.arange(len(shown["user_ids"]))[:, None]).any()


def test_names_are_shown_as_they_are(tiny_run):
    with np.load(tiny_run / REPORT_DATA) as file:
        shown = dict(file)
    shown["user_ids"] = np.array([f"<i>{name}</i>" for name in shown["user_ids"]])
    result = read_object(tiny_run / "evaluation.json")
    result["compared"]["data"] = "a <b>/*c*"
    page = make_report(tiny_run, result, shown)
    assert "<i>" not in page
    assert "<b>" not in page
    assert "a &lt;b&gt;" in page


def test_a_run_without_stage_2_has_no_gallery(tiny_run):
    with np.load(tiny_run / REPORT_DATA) as file:
        shown = {key: values for key, values in file.items() if not key.startswith("example")}
    result = read_object(tiny_run / "evaluation.json")
    result = {key: value for key, value in result.items() if not key.startswith("saliency")}
    page = make_report(tiny_run, result, shown)
    assert "Who is it?" in page
    assert "Where will they look?" not in page


@pytest.mark.slow
def test_a_run_of_835_users_is_shown_with_all_of_them(tiny_run):
    generator, number = np.random.default_rng(0), 835
    with np.load(tiny_run / REPORT_DATA) as file:
        shown = dict(file)
    shown |= {
        "user_ids": np.array([f"user {user}" for user in range(number)]),
        "is_seen": np.arange(number) < 700,
        "sample": generator.normal(size=(4 * number, 8)).astype(np.float32),
        "sample_user": np.tile(np.arange(number), 4),
        "nearest": generator.integers(0, number, (number, 3)),
        "traits": generator.normal(size=(number, len(shown["trait_names"]))).astype(np.float32),
    }
    page = make_report(tiny_run, read_object(tiny_run / "evaluation.json"), shown)
    assert page.count("<title>user ") == 2 * number  # The points and the mean of each.
    assert len(page) < 5e6


def test_a_run_that_was_not_evaluated_is_refused(tiny_run, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config.json does not exist"):
        write_report(tmp_path)
    shutil.copy(tiny_run / "config.json", tmp_path)
    with pytest.raises(FileNotFoundError, match="json does not exist; allowed: a run after gaze"):
        write_report(tmp_path)


def test_damaged_files_are_named_and_nothing_is_written_over(tiny_run, tmp_path, capsys):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    for name, content in ((REPORT_DATA, b"no zip"), ("evaluation.json", b"{}")):
        before = (run / name).read_bytes()
        (run / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            write_report(run)
        (run / name).write_bytes(before)
    for name in ("config.json", "mine.html"):
        (run / name).touch()
        assert main(["report", str(run), "--out", str(run / name)]) == 1
    assert "no earlier call of this command wrote it" in capsys.readouterr().err
    for _ in range(2):
        assert main(["report", str(run), "--out", str(run / "new.html")]) == 0


@pytest.mark.parametrize("width", [1280, 390])
def test_a_reader_chooses_what_is_shown(report, width):
    with open_page(report.as_uri(), width) as page:
        check_page(page)
        assert page.locator("[data-metric='0']").is_visible()
        page.get_by_label("rank-1", exact=True).check()
        assert page.locator("[data-metric='1']").is_visible()
        assert not page.locator("[data-metric='0']").is_visible()
        page.get_by_label("encoder", exact=True).uncheck()
        assert page.locator(".sizes .encoder").first.evaluate("one => one.matches('.off')")
        said = page.locator("#gallery-said").text_content()
        page.get_by_role("button", name="Next picture").press("Enter")
        assert page.locator("#gallery-said").text_content() != said
        person = page.locator("#person-said").text_content()
        page.locator("#person").select_option(index=1)
        assert page.locator("#person-said").text_content() != person
        check_page(page)
