"""Pages of the site that are made from code say what the code says."""

import importlib.util
from pathlib import PurePosixPath

from tests.tiny import ROOT

spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
generate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generate)

CONFIG = """
def get_config():
    return ConfigDict(
        {
            "seed": 0,
            "data": {
                # Above,
                # in two lines.
                "name": "one",
                "size": (
                    1,
                    2,
                ),  # beside
                "share": placeholder(float),
            },
            "stream": {"threads": 4, "ahead": 8},  # of the section
        }
    )
"""


class Rule:
    def __init__(self, allowed):
        self.allowed = allowed


def test_every_key_of_a_config_has_value_rule_and_comment(tmp_path):
    source = tmp_path / "base.py"
    source.write_text(CONFIG)
    rules = {"seed": Rule("an integer"), "data": {"name": Rule("'one' | 'two'")}}
    choices = {"data.kind: wide": {"width": Rule("any"), "height": Rule("any")}}
    meanings = {"wide.width": "in cells"}
    lines = generate.describe_config(source, rules, choices, meanings).splitlines()
    assert "| `seed` | `0` | an integer |  |" in lines
    assert "| `name` | `\"one\"` | 'one' \\| 'two' | Above, in two lines. |" in lines
    assert "| `size` | `( 1, 2, )` |  | beside |" in lines
    assert "| `share` | `None` |  |  |" in lines
    assert "| `threads` | `4` |  |  |" in lines
    assert lines[lines.index("## stream") + 2] == "of the section"
    assert "| `width` | any | in cells |" in lines
    assert "| `height` | any |  |" in lines


def test_links_to_files_that_are_pages_lead_to_the_pages():
    text = (
        "[a](../../PRIVACY.md) [b](../concepts/model.md#maps) [c](../../LICENSE) [d](https://x.y)"
    )
    assert generate.with_links_to_pages(text, PurePosixPath("docs/guides")) == (
        "[a](/project/privacy.md) [b](/concepts/model.md#maps) [c](../../LICENSE) [d](https://x.y)"
    )
    text = "[a](docs/guides/api.md) [b](LICENSE)"
    assert generate.with_links_to_pages(text, PurePosixPath()) == (
        "[a](/guides/api.md) [b](/../LICENSE)"
    )
