"""What the cells of a file are, before any meaning."""

import json
from pathlib import Path
from typing import Any

import pytest

from tfds_builders.common.gaze_files import containers


def test_texts_of_json_lines_are_no_times(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"user": "2026-01-05T10:00:00+02:00", "x": 1, "days": [{"day": "2026-01-05"}]},
        {"user": "2026-01-05T08:00:00Z", "x": 2.5, "days": [{"day": "2026-01-06"}]},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = containers.read_table(containers.open_file(path))
    assert table.to_pylist() == rows
    assert table.column_names == ["user", "x", "days"]
    with pytest.raises(
        ValueError, match=r"a.jsonl has lists or objects in column 'days', expected"
    ):
        containers.read_table(containers.open_file(path), {"user", "days"})
