"""Results in documents come from an evaluation by command; the front page stays short and true."""

import importlib.util
import json
import re
import shutil

import pytest

from gazejax.cli.main import make_parser
from gazejax.config.files import read_config
from gazejax.config.schema import RULES, rules_for
from gazejax.evaluation import report
from tests.tiny import ROOT

spec = importlib.util.spec_from_file_location("insert_results", ROOT / "docs/insert_results.py")
insert_results = importlib.util.module_from_spec(spec)
spec.loader.exec_module(insert_results)

RESULTS = [ROOT / f"docs/results/{name}.md" for name in ("osie", "paper-config", "synthetic")]
# Words of the old vocabulary, or that name no user in particular.
FORBIDDEN = r"told|tastes?|strangers?|nobody|anybody|somebody|habit"
PLAIN = [
    ROOT / "README.md",
    *sorted((ROOT / "docs/guides").glob("*.md")),
    *sorted((ROOT / "docs/concepts").glob("*.md")),
]
DOCUMENTS = [
    *PLAIN,
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs/reference").glob("*.md")),
    *sorted((ROOT / "docs/develop").glob("*.md")),
    *RESULTS,
]
GENERATED = tuple(
    f"docs/reference/{name}" for name in ("config.md", "cli.md", "api/", "datasets/", "models/")
)

COMMANDS = next(action.choices for action in make_parser()._actions if action.choices)


def name_of(path):
    return str(path.relative_to(ROOT))


def test_results_replace_what_was_between_the_marks():
    text = "a\n<!-- results: one -->\nold\n<!-- end of results -->\nb <!-- results: two -->"
    expected = "a\n<!-- results: one -->\n\nnew\n\n<!-- end of results -->\nb <!-- results: two -->"
    assert insert_results.insert(text, "<!-- results: one -->", "new") == expected
    assert insert_results.insert(expected, "<!-- results: one -->", "new") == expected
    for name in ("two", "three"):
        with pytest.raises(ValueError, match=f"no line '<!-- results: {name} -->'"):
            insert_results.insert(text, f"<!-- results: {name} -->", "new")


def test_the_results_of_a_run_can_be_inserted(tiny_run, tmp_path):
    headline = report.headline((tiny_run / "evaluation.md").read_text())
    page = tmp_path / "osie.md"
    page.write_text((ROOT / "docs/results/osie.md").read_text())
    insert_results.main([str(page), f"osie={tiny_run / 'evaluation.md'}"])
    assert headline in page.read_text()
    readme = tmp_path / "README.md"
    readme.write_text((ROOT / "README.md").read_text())
    evaluation = json.loads((tiny_run / "evaluation.json").read_text())
    # The tiny data set names no sessions: the tables across sessions are made of those without.
    evaluation["compared"]["sessions"] = "sessions"
    evaluation["encoder_across_sessions"] = evaluation["encoder"]
    evaluation["saliency_across_sessions_differences"] = evaluation["saliency_differences"]
    other = tmp_path / "evaluation.json"
    other.write_text(json.dumps(evaluation))
    shutil.copy(tiny_run / "evaluation.md", tmp_path)
    insert_results.main([str(readme), f"osie={tiny_run / 'evaluation.json'},{other},{other}"])
    assert insert_results.short_table(evaluation, evaluation, evaluation) in readme.read_text()
    assert headline.partition("\n\n")[0] in readme.read_text()


def row(value, metric):
    return {metric: value, f"{metric}_interval": [value - 0.25, value + 0.25]}


def test_the_short_table_names_the_best_control():
    methods = {
        "encoder": {"10": row(0.75, "roc_auc"), "50": row(1.0, "roc_auc")},
        "encoder_truncated": {"10": row(0.7, "roc_auc")},
        "residual_map": {"10": row(0.5, "roc_auc"), "50": row(0.9, "roc_auc")},
        "fixation_statistics": {"10": row(0.625, "roc_auc")},
        "chance": {"10": {"roc_auc": 0.5}},
    }
    differences = {
        size: {
            "own_minus_swapped": row(0.5, "information_gain"),
            "own_minus_mean": row(-0.0001, "information_gain"),
        }
        for size in ("10", "50")
    }
    lines = insert_results.short_table(
        {
            "encoder": {"seen": methods, "unseen": methods},
            "saliency_differences": {"seen": differences, "unseen": differences},
        },
        {
            "compared": {"data": "lab/gaze", "sessions": "repeats"},
            "encoder_across_sessions": {"unseen": {"encoder": {"10": row(0.875, "roc_auc")}}},
        },
        {
            "compared": {"data": "lab/maps", "sessions": "sessions"},
            "saliency_across_sessions_differences": {"unseen": {"50": differences["50"]}},
        },
    ).splitlines()
    assert len(lines) == 2 + 10
    model = "| ROC-AUC, **encoder** | seen | 0.750 [0.500, 1.000] | 1.000 [0.750, 1.250] |"
    assert lines[2] == model
    # 0.625 is above 0.5 at n = 10; it is not known at n = 50.
    assert lines[3] == (
        "| ROC-AUC, best control but truncated scanpaths: fixation statistics | seen "
        "| 0.625 [0.375, 0.875] | - |"
    )
    assert lines[7].startswith("| IG, own - mean | seen | +0.000 [-0.250, +0.250] |")
    assert lines[-2:] == [
        "| ROC-AUC, **encoder**, lab/gaze, across repeats | unseen | 0.875 [0.625, 1.125] | - |",
        "| IG, own - swapped, lab/maps, across sessions | unseen | - | +0.500 [+0.250, +0.750] |",
    ]


@pytest.mark.parametrize("path", [ROOT / "README.md", *RESULTS], ids=name_of)
def test_results_show_intervals_and_where_they_come_from(path):
    parts = path.read_text().split("results: ")[1:]
    assert parts
    for part in parts:
        results = part.partition(insert_results.END)[0]
        assert "95 % bootstrap intervals over users and images" in results
        assert "commit" in results
        assert "| n = 10 |" in results


def test_the_readme_is_short_and_soon_shows_the_api():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 170
    assert any("gazejax.load(" in line for line in lines[:60])
    assert sum(line.startswith("![") for line in lines) == 3
    table = [line for line in lines if re.match(r"\| (ROC-AUC|IG)", line)]
    assert len(table) <= 10


def test_the_reading_path_is_as_long_as_the_readme_says():
    section = (ROOT / "README.md").read_text().partition("## Reading the code")[2]
    section = section.partition("After")[0]
    files = re.findall(r"`([a-z_/]+\.py)`", section)
    lines = sum(len((ROOT / "gazejax" / file).read_text().splitlines()) for file in files)
    said = int(re.search(r"About ([\d,]+) lines", section)[1].replace(",", ""))
    assert len(files) == 11
    assert abs(lines - said) < 0.1 * said


def test_contributing_is_short():
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 30


@pytest.mark.parametrize("path", PLAIN, ids=name_of)
def test_the_words_of_the_old_vocabulary_are_gone(path):
    assert re.findall(rf"\b(?:{FORBIDDEN})\b", path.read_text(), re.IGNORECASE) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_links_lead_to_files(path):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()):
        if not target.startswith("http") and not is_generated(path, target):
            assert (path.parent / target).exists(), target


def keys_of(rules, prefix=""):
    for key, rule in rules.items():
        yield f"{prefix}{key}"
        if isinstance(rule, dict):
            yield from keys_of(rule, f"{prefix}{key}.")


@pytest.mark.parametrize("path", PLAIN, ids=name_of)
def test_keys_of_configs_and_commands_exist(path):
    known = set()
    # All keys of all architectures: some are in the first config and not in the second one.
    for name in ("osie", "osie_maps", "osie_maps:late_fusion"):
        known |= set(keys_of(rules_for(read_config(name).to_dict())))
    sections = "|".join(key for key in RULES if isinstance(RULES[key], dict))
    for line in path.read_text().splitlines():
        if "0.1.0" not in line:
            keys = re.findall(rf"(?:`|config\.)((?:{sections})\.[a-z0-9_.]+)", line)
            assert set(keys) <= known, line
    for command in re.findall(r"gazejax ([a-z][a-z-]+)(?= )", "\n".join(code_of(path))):
        assert command in COMMANDS, command


def code_of(path):
    """The indented lines of a document, and what stands between backticks."""
    text = path.read_text()
    return [*re.findall(r"^    .*$", text, re.MULTILINE), *re.findall(r"`[^`\n]+`", text)]


def is_generated(path, target):
    """Whether only `make docs` writes a page."""
    resolved = (path.parent / target).resolve()
    return str(resolved.relative_to(ROOT.resolve())).startswith(GENERATED)
