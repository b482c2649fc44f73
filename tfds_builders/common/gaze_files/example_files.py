"""Small files of gaze in the tests of this package: written, opened, damaged; columns as lists."""

from pathlib import Path

from hypothesis import strategies as st

from tfds_builders.common.gaze_files.containers import Opened, open_file
from tfds_builders.common.gaze_files.rows import Names, Numbers


def write(path: Path, content: str | bytes, encoding: str = "utf-8") -> Opened:
    """Writes a file and opens it."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return open_file(path)


def names(column: Names | None) -> list[str]:
    """Returns the name of each row; "": none."""
    assert column is not None
    return ["" if code < 0 else column.names[code] for code in column.codes]


def numbers(column: Numbers | None) -> list[float]:
    """Returns the number of each row."""
    assert column is not None
    return column.values.tolist()


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Gives a content where up to 8 bytes are replaced by up to 8 others."""
    start = draw(st.integers(0, len(content)))
    end = start + draw(st.integers(0, 8))
    return content[:start] + draw(st.binary(max_size=8)) + content[end:]
