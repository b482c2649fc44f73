"""Pages of the site that are made from code and from files outside of `docs/`, at each build."""

import argparse
import ast
import importlib
import importlib.util
import io
import os
import pkgutil
import re
import shutil
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).parent.parent
DATASETS = (
    "synthetic_gaze",
    "gaze_table",
    "osie",
    "personalized_saliency",
    "individual_differences",
)
# Published sets that the builder `gaze_table` reads; each has a page too.
TABLES = ("mit1003", "scene")
# Shipped models; their cards are pages.
MODELS = sorted(one.parent.name for one in (ROOT / "gazejax/shipped").glob("*/README.md"))
# Pages that are copies of files outside of `docs/`.
PAGES = {
    "CHANGELOG.md": "docs/project/changelog.md",
    "CONTRIBUTING.md": "docs/project/contributing.md",
    "PRIVACY.md": "docs/project/privacy.md",
    "README.md": "docs/index.md",
    **{
        f"tfds_builders/{name}/README.md": f"docs/reference/datasets/{name}.md" for name in DATASETS
    },
    **{
        f"tfds_builders/gaze_table/{name}.md": f"docs/reference/datasets/{name}.md"
        for name in TABLES
    },
    **{f"gazejax/shipped/{name}/README.md": f"docs/reference/models/{name}.md" for name in MODELS},
}
# Modules with a page of their own, beside the packages that name their public functions.
MODULES = (
    "losses",
    "types",
    "metrics.verification",
    "metrics.bootstrap",
    "interop.pysaliency",
)
_LINK = re.compile(r"\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def write_pages(docs: Path) -> None:
    """Writes all pages that are made and not kept.

    Args:
        docs: the folder `docs/`.
    """
    reference = docs / "reference"
    folders = (*(reference / name for name in ("api", "datasets", "models")), docs / "project")
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    for source, page in PAGES.items():
        if page != "docs/index.md":
            text = (ROOT / source).read_text()
            moved = with_links_to_pages(text, PurePosixPath(source).parent)
            (ROOT / page).write_text(moved)
    names = "\n".join((*DATASETS, *TABLES))
    (reference / "datasets" / "index.md").write_text(
        "# Data sets\n\nOne page for each builder in `tfds_builders/`, and for each published set "
        f"that `gaze_table` reads: {', '.join(TABLES)}.\n\n"
        f"```{{toctree}}\n{names}\n```\n"
    )
    (reference / "models" / "index.md").write_text(
        "# Shipped models\n\nModels that come with the package, by the names that `gazejax.load` "
        "takes. `make models` trains them anew.\n\n```{toctree}\n" + "\n".join(MODELS) + "\n```\n"
    )
    write_api(reference / "api")
    (reference / "cli.md").write_text(describe_commands())
    (reference / "config.md").write_text(describe_every_key())


def with_links_to_pages(text: str, folder: PurePosixPath) -> str:
    """Replaces links to files of the project that are pages of the site.

    Args:
        text: Markdown.
        folder: of the text, from the root of the project.
    """

    def replace(match: re.Match[str]) -> str:
        target, anchor = match[1], match[2] or ""
        path = os.path.normpath(folder / target)
        page = PAGES.get(path, path)
        if not page.startswith("docs/"):
            return match[0] if folder.parts[:1] == ("docs",) else f"]({_from_docs(path)})"
        return f"](/{page.removeprefix('docs/')}{anchor})"

    return _LINK.sub(replace, text)


def _from_docs(path: str) -> str:
    """A file outside of `docs/`, from a page two folders below the root of the project."""
    return f"/../{path}"


def write_api(folder: Path) -> None:
    """Writes a page for each package that names its public functions, and their list."""
    package = importlib.import_module("gazejax")
    found = pkgutil.walk_packages(package.__path__, "gazejax.")
    names = sorted(name for name in (module.name for module in found) if _has_page(name))
    rows, pages = [], []
    for name in ["gazejax", *names]:
        directive = f".. automodule:: {name}\n   :members:\n   :special-members: __call__\n"
        directive += "   :no-index:\n" * (name == "gazejax")  # What `gazejax.api` describes too.
        (folder / f"{name}.md").write_text(f"# {name}\n\n```{{eval-rst}}\n{directive}```\n")
        first = _docstring(name).partition("\n")[0]
        rows.append(f"| [{name}]({name}.md) | {first} |")
        pages.append(name)
    text = "| package | content |\n| --- | --- |\n" + "\n".join(rows)
    toctree = "\n".join(pages)
    (folder / "index.md").write_text(
        "# API\n\nThe public functions of each package. A signature shows the shapes of arrays, in "
        'the words of jaxtyping:\n`Float[Array, "user image"]` is an array of floats with the axes '
        f"user and image.\n\n{text}\n\n```{{toctree}}\n:hidden:\n\n{toctree}\n```\n"
    )


def _docstring(name: str) -> str:
    """The docstring of a module; read, since what it imports may not be installed."""
    spec = importlib.util.find_spec(name)
    source = Path(str(spec and spec.origin)).read_text()
    return ast.get_docstring(ast.parse(source)) or ""


def _has_page(name: str) -> bool:
    return name.removeprefix("gazejax.") in MODULES or (
        name.count(".") == 1 and hasattr(importlib.import_module(name), "__all__")
    )


def describe_commands() -> str:
    """The help of every command, as Markdown."""
    from gazejax.cli.main import make_parser

    os.environ["COLUMNS"] = "92"  # argparse wraps its lines at that.
    parts = [
        "# Commands",
        "What each command prints with `--help`. What the commands are for: "
        "[Command line](../guides/command-line.md).",
    ]
    for parser in _parsers(make_parser()):
        parts.append(f"## {parser.prog}\n\n```text\n{parser.format_help().strip()}\n```")
    return "\n\n".join(parts) + "\n"


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser, and those of the commands below it."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _parsers(command)


def describe_every_key() -> str:
    """The page of the config's keys."""
    from gazejax.config import schema
    from gazejax.configs import base

    choices = {
        f"{key}: {name}": rules
        for key, rules_of in (
            ("encoder.model.architecture", schema.ENCODER_ARCHITECTURES),
            ("saliency.model.architecture", schema.SALIENCY_ARCHITECTURES),
            ("features.backbone", schema.BACKBONES),
        )
        for name, rules in rules_of.items()
    }
    rules = schema.rules_for(base.get_config().to_dict())
    meanings = {
        f"{architecture}.{key}": comment
        for name in ("base", "osie_maps")
        for architecture, key, comment in _keys_of_architectures(ROOT / f"configs/{name}.py")
    }
    return describe_config(ROOT / "configs/base.py", rules, choices, meanings)


def describe_config(
    source: Path,
    rules: Mapping[str, Any],
    choices: Mapping[str, Any],
    meanings: Mapping[str, str],
) -> str:
    """Every key of a config as Markdown: what it is in a file, what is allowed, and its comment.

    Args:
        source: a config file that holds every key in one literal dictionary.
        rules: the rule of each key, nested as the config is.
        choices: by title, rules of sections that depend on a choice, such as an architecture.
        meanings: by choice and key (`unet.conditioning`), the comments of those sections.
    """
    parts = [
        "# Config",
        f"Every key of a config, with value and comment of `{source.parent.name}/{source.name}`. "
        "Other configs change some of the values, and `config.json` of a workdir holds every value "
        "of a run. The keys that depend on an architecture or a backbone stand at the end.",
    ]
    sections: dict[str, list[str]] = {}
    for key, value, comment in _entries(source):
        section, _, name = key.rpartition(".")
        rule = _rule(rules, key)
        lines = sections.setdefault(section, [])
        if value is None:
            if comment:
                sections.setdefault(key, []).insert(0, f"{comment}\n")
            continue
        lines.append(f"| `{name}` | `{value}` | {_cell(rule)} | {_cell(comment)} |")
    for section, lines in sections.items():
        rows = [line for line in lines if line.startswith("| ")]
        words = [line for line in lines if not line.startswith("| ")]
        if not rows:
            continue
        parts.append(f"## {section or 'Top level'}")
        parts += words
        parts.append(
            "| key | value | allowed | meaning |\n| --- | --- | --- | --- |\n" + "\n".join(rows)
        )
    for title, section in choices.items():
        choice = title.rpartition(" ")[2]
        rows = [
            f"| `{key}` | {_cell(rule)} | {_cell(meanings.get(f'{choice}.{key}', ''))} |"
            for key, rule in _flat_rules(section)
        ]
        if rows:
            parts.append(f"## {title}")
            parts.append("| key | allowed | meaning |\n| --- | --- | --- |\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _keys_of_architectures(source: Path) -> Iterator[tuple[str, str, str]]:
    """Architecture, key and comment of each section of a file that names an architecture."""
    text = source.read_text()
    comments = _comments(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Dict):
            entries = list(_entries_of(node, "", text, comments))
            named = [value for key, value, _ in entries if key == "architecture"]
            for key, _, comment in entries if named else ():
                yield ast.literal_eval(str(named[0])), key, comment


def _comments(text: str) -> dict[int, tuple[str, bool]]:
    """By line: the comment, and whether it stands alone there."""
    return {
        token.start[0]: (token.string.lstrip("# "), token.line.strip().startswith("#"))
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    }


def _entries(source: Path) -> Iterator[tuple[str, str | None, str]]:
    """Dotted key, value as it is written (None for a section) and comment of each entry."""
    text = source.read_text()
    comments, tree = _comments(text), ast.parse(text)
    largest = max(
        (node for node in ast.walk(tree) if isinstance(node, ast.Dict)),
        key=lambda node: (node.end_lineno or 0) - node.lineno,
    )
    yield from _entries_of(largest, "", text, comments)


def _entries_of(
    node: ast.Dict, prefix: str, text: str, comments: Mapping[int, tuple[str, bool]]
) -> Iterator[tuple[str, str | None, str]]:
    for key, value in zip(node.keys, node.values, strict=True):
        if not isinstance(key, ast.Constant):
            continue
        name = f"{prefix}{key.value}"
        above, line = [], key.lineno - 1
        while comments.get(line, ("", False))[1]:
            above.insert(0, comments[line][0])
            line -= 1
        is_section = isinstance(value, ast.Dict)
        last = key.lineno if is_section else value.end_lineno or key.lineno
        beside = [
            comments[number][0]
            for number in range(key.lineno, last + 1)
            if number in comments
            and not comments[number][1]
            # A section in one line: the comment is the section's.
            and (is_section or node.lineno < node.end_lineno)
        ]
        comment = " ".join([*above, *beside])
        if isinstance(value, ast.Dict):
            yield name, None, comment
            yield from _entries_of(value, f"{name}.", text, comments)
        else:
            written = " ".join((ast.get_source_segment(text, value) or "").split())
            unset = written.startswith("placeholder(")
            yield name, "None" if unset else written, comment


def _rule(rules: Any, key: str) -> str:
    """What is allowed for a key, in words; nothing where the key depends on a choice."""
    for part in key.split("."):
        if not isinstance(rules, Mapping) or part not in rules:
            return ""
        rules = rules[part]
    return getattr(rules, "allowed", "")


def _flat_rules(rules: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, rule in rules.items():
        if isinstance(rule, Mapping):
            yield from _flat_rules(rule, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", rule.allowed


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
