"""The README's results come from an evaluation by command, and from nowhere else."""

import importlib.util

import pytest

from gazejax import report
from tests.tiny import ROOT

spec = importlib.util.spec_from_file_location("insert_results", ROOT / "docs/insert_results.py")
insert_results = importlib.util.module_from_spec(spec)
spec.loader.exec_module(insert_results)


def test_results_replace_what_was_between_the_marks():
    text = "a\n<!-- results: one -->\nold\n<!-- end of results -->\nb <!-- results: two -->"
    expected = "a\n<!-- results: one -->\n\nnew\n\n<!-- end of results -->\nb <!-- results: two -->"
    assert insert_results.insert(text, "one", "new") == expected
    assert insert_results.insert(expected, "one", "new") == expected
    for name in ("two", "three"):
        with pytest.raises(ValueError, match=f"no line '<!-- results: {name} -->'"):
            insert_results.insert(text, name, "new")


def test_the_headline_of_a_run_can_be_inserted_into_the_readme(tiny_run, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text((ROOT / "README.md").read_text())
    insert_results.main([str(readme), f"osie={tiny_run / 'evaluation.md'}"])
    assert report.headline((tiny_run / "evaluation.md").read_text()) in readme.read_text()


def test_the_readme_shows_intervals_and_where_they_come_from():
    for part in (ROOT / "README.md").read_text().split("<!-- results: ")[1:]:
        results = part.partition(insert_results.END)[0]
        assert "95 % bootstrap intervals over users and images" in results
        assert "commit" in results
        assert "| n = 10 |" in results
