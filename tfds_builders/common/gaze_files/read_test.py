"""The reader of all files of gaze: containers, options, sessions, and errors in one line."""

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfds_builders.common import gaze_files
from tfds_builders.common.gaze_files import Fixations, Options
from tfds_builders.common.gaze_files.recognise_test import EXAMPLES, write_sheets
from tfds_builders.common.gaze_files.rows import MISSING, names_of, normalize, numbers_of

ROWS = [("a.jpg", "ann", 1.5, 2.0), ("a.jpg", "bob", 3.0, 4.25), ("b.jpg", "ann", -5.0, 600.0)]
XY = [[1.5, 2.0], [3.0, 4.25], [-5.0, 600.0]]


def text_of(delimiter: str = ",", decimal: str = ".") -> str:
    """Returns the table as a text."""
    cells = [["image", "user", "x", "y"], *([str(cell) for cell in row] for row in ROWS)]
    lines = [delimiter.join(row) for row in cells]
    return "\n".join([lines[0], *(line.replace(".0", "").replace(".5", f"{decimal}5").replace(
        "4.25", f"4{decimal}25") for line in lines[1:])]) + "\n"  # fmt: skip


def read(path: Path, **options: Any) -> Fixations:
    """Reads a file without errors."""
    fixations, errors = gaze_files.read([path], Options(**options))
    assert errors == []
    assert fixations is not None
    return fixations


def errors_of(path: Path, text: str, **options: Any) -> str:
    """Returns the first error of a table, raised or listed."""
    path.write_text(text)
    try:
        fixations, errors = gaze_files.read([path], Options(**options))
    except (ValueError, FileNotFoundError) as error:
        return str(error)
    assert fixations is None
    return errors[0]


def write_xlsx(path: Path) -> None:
    """Writes the table in an Excel file, with a row without values."""
    book = openpyxl.Workbook()
    for row in (("image", "user", "x", "y"), *ROWS, (None, None, None, None)):
        book.active.append(row)
    book.save(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", text_of().encode()),
        ("t.csv", b"\xef\xbb\xbf" + text_of().replace("\n", "\r\n").encode()),
        ("t.tsv", text_of("\t").encode()),
        ("t.txt", text_of(";", decimal=",").encode()),
        ("t.xls", text_of("\t", decimal=",").encode("utf-16")),
        ("t.xls", text_of("\t").encode("utf-16-le")),
        ("t.csv.gz", gzip.compress(text_of(";").encode(), mtime=0)),
        ("t.csv", ('"' + text_of().replace("image", 'image"', 1)).encode()),
        ("t.csv", ("\n" + text_of().replace("ann", ' "ann"')).replace(' "ann"', '"ann"').encode()),
    ],
)
def test_one_table_in_many_containers(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    found = read(tmp_path / name)
    assert (found.image_ids, found.user_ids) == (["a.jpg", "b.jpg"], ["ann", "bob"])
    assert (found.image.tolist(), found.user.tolist()) == ([0, 0, 1], [0, 1, 0])
    assert found.xy.tolist() == XY
    assert found.session_ids == []
    assert found.duration_ms is None


def test_an_excel_file_is_a_table(tmp_path: Path) -> None:
    write_xlsx(tmp_path / "t.xlsx")
    assert read(tmp_path / "t.xlsx").xy.tolist() == XY
    (tmp_path / "m.xlsm").write_bytes((tmp_path / "t.xlsx").read_bytes())
    assert read(tmp_path / "m.xlsm").xy.tolist() == XY
    (tmp_path / "u.xlsx").write_bytes((tmp_path / "t.xlsx").read_bytes()[:300])
    with pytest.raises(ValueError, match=r"u\.xlsx is not an Excel file"):
        read(tmp_path / "u.xlsx")
    # The library raises an error of another type for each of these parts.
    for number, part in enumerate(("xl/workbook.xml", "xl/worksheets/sheet1.xml")):
        with zipfile.ZipFile(tmp_path / "t.xlsx") as whole:
            parts = {name: whole.read(name) for name in whole.namelist()}
        path = tmp_path / f"cut{number}.xlsx"
        with zipfile.ZipFile(path, "w") as file:
            for name, content in parts.items():
                file.writestr(name, content[: len(content) // 2] if name == part else content)
        with pytest.raises(ValueError, match=rf"cut{number}\.xlsx is not an Excel file") as raised:
            read(path)
        assert "\n" not in str(raised.value)


GAZE_OF: dict[str, list[tuple[object, ...]]] = {
    user: [("image", "user", "x", "y"), ("a", user, number, 2)]
    for number, user in enumerate(("P1", "P2"))
}


def test_the_one_sheet_with_gaze_is_read(tmp_path: Path) -> None:
    path = write_sheets(tmp_path / "t.xlsx", README=[("made in May",)], day=GAZE_OF["P2"], free=[])
    found = read(path)
    assert (found.user_ids, found.xy.tolist()) == (["P2"], [[1, 2]])
    assert f"{path}: sheet 'day' read, sheets left out: 'README'" in found.notes
    # Empty sheets are no reason for a note.
    path = write_sheets(tmp_path / "t.xlsx", Tabelle1=GAZE_OF["P1"], Tabelle2=[], Tabelle3=[])
    found = read(path)
    assert found.notes == [f"{path} read as table"]


def test_hidden_rows_of_a_sheet_are_counted(tmp_path: Path) -> None:
    rows = [("image", "user", "x", "y"), *(("a", f"P{n}", n, 2) for n in range(6))]
    path = write_sheets(tmp_path / "t.xlsx", free=[], day=[(), *rows], notes=[("a", 1), ("b", 2)])
    book = openpyxl.load_workbook(path)
    book["notes"].row_dimensions[2].hidden = True
    book.save(path)
    assert not any("hidden rows" in note for note in read(path).notes)
    # Row 1 is empty, row 2 the header, and there is no row 99.
    for row in (1, 2, 4, 5, 99):
        book["day"].row_dimensions[row].hidden = True
    book.save(path)
    found = read(path)
    assert len(found.xy) == 6
    assert f"{path}: 2 hidden rows of the sheet read like the others" in found.notes


@pytest.mark.parametrize("is_folder", [False, True])
def test_several_sheets_with_gaze_are_refused(is_folder: bool, tmp_path: Path) -> None:
    path = write_sheets(tmp_path / "t.xlsx", notes=[("a", 1)], P1=GAZE_OF["P1"], P2=GAZE_OF["P2"])
    with pytest.raises(ValueError, match=r"t\.xlsx has gaze in 2 sheets \('P1', 'P2'\), expected"):
        gaze_files.read([tmp_path if is_folder else path], Options())


def test_sheets_without_known_columns_are_named(tmp_path: Path) -> None:
    other: list[tuple[object, ...]] = [("bild", "user", "x", "y"), ("a", "P", 1, 2)]
    path = write_sheets(tmp_path / "t.xlsx", README=[("made in May",)], day=other)
    with pytest.raises(
        ValueError, match=r"t\.xlsx has 2 sheets \('README', 'day'\), and the first"
    ):
        gaze_files.read([path], Options())
    assert read(path, columns=(("image", "bild"),)).image_ids == ["a"]


@pytest.mark.parametrize("name", ["t.csv", "t.xls"])
def test_an_excel_file_of_another_name_is_read(name: str, tmp_path: Path) -> None:
    write_xlsx(tmp_path / "t.xlsx")
    (tmp_path / "t.xlsx").rename(tmp_path / name)
    assert read(tmp_path / name).xy.tolist() == XY


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "is a pointer of Git LFS"),
        (b"\n<!DOCTYPE html>\n<html>404</html>", "is a web page (HTML)"),
        (b"<HTML><table></table></HTML>", "is a web page (HTML)"),
        (text_of().encode("utf-32"), "is a text in UTF-32: save it as UTF-8"),
        (b"PK\x03\x04" + bytes(60), "is a zip file: unpack it"),
        (b"\xd0\xcf\x11\xe0" + bytes(60), "is a binary Excel file: save it as .xlsx or .csv"),
        (gzip.compress(text_of().encode(), mtime=0), "is a gzip file: give it the suffix .gz"),
        ("image,user,x,y,gr\u00f6\u00dfe\na,b,1,2,3\n".encode("latin-1"), "is not a text in UTF-8"),
    ],
)
def test_files_that_are_no_tables_are_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"g\.csv is ") as error:
        gaze_files.read([path], Options())
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    # In a folder, a warning says why, but for files that are named like documents.
    (tmp_path / "h.csv").write_text(text_of())
    found, _ = gaze_files.read([tmp_path], Options())
    assert found is not None
    [warning] = found.warnings
    assert "g.csv left out" in warning
    assert message in warning
    path.rename(tmp_path / "README.csv")
    found, _ = gaze_files.read([tmp_path], Options())
    assert found is not None
    assert found.warnings == []
    assert any("README.csv left out" in note for note in found.notes)


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_a_name_of_a_column_may_have_a_line_break(line_break: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    header = f'image,user,"x{line_break}(px)","y (a ""b"")"{line_break}'
    path.write_bytes(f"{header}a,P,1,2{line_break}a,P,3,4{line_break}".encode())
    columns = (("x", "x (px)"), ("y", 'y (a "b")'))
    assert read(path, columns=columns).xy.tolist() == [[1, 2], [3, 4]]
    columns = (("x", f"x{line_break}(px)"), ("y", 'y (a "b")'))
    assert read(path, columns=columns).xy.tolist() == [[1, 2], [3, 4]]
    # A quote that does not end is no reason to read on.
    path.write_text('image,user,x,y,"n\na,P,1,2,"5"\n')
    assert read(path, ignored_columns=("n",)).xy.tolist() == [[1, 2]]
    path = write_sheets(
        tmp_path / "t.xlsx", day=[("image", "user", "x\n(px)", "y"), ("a", "P", 1, 2)]
    )
    assert read(path, columns=(("x", "x (px)"),)).xy.tolist() == [[1, 2]]


def test_a_file_of_an_eyelink_is_recognised_by_its_content(tmp_path: Path) -> None:
    text = (
        "** CONVERTED FROM p1.edf\nMSG\t900 DISPLAY_COORDS 0 0 99 99\n"
        "MSG\t1000 TRIALID 1\nMSG\t1001 !V IMGLOAD FILL a.png\nSTART\t1010\tLEFT\tEVENTS\n"
        "EFIX L   1016\t1748\t733\t  41.2\t  38.6\t 10\nMSG\t2000 TRIAL_RESULT 0\n"
    )
    (tmp_path / "p1.txt").write_text(text)
    found = read(tmp_path / "p1.txt")
    assert (found.format, found.user_ids, found.image_ids) == ("eyelink-asc", ["p1"], ["a.png"])
    # A table stays a table.
    (tmp_path / "t.txt").write_text("image\tuser\tx\ty\nMSG\t1 a\t3\t4\n")
    assert read(tmp_path / "t.txt").image_ids == ["MSG"]


def test_a_whole_number_of_a_template_has_no_decimal_point(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for cells, names in (
        (("1.0", "10.0", ""), ["s1.png", "s10.png"]),
        (("1,0", "2,0", "3,0"), ["s1.png", "s2.png", "s3.png"]),
        (("1.0", "1.5", "2.0"), ["s1.0.png", "s1.5.png", "s2.0.png"]),
    ):
        rows = "".join(f"P\t1\t2\t{cell}\n" for cell in cells)
        path.write_text(f"user\tx\ty\timage\n{rows}")
        assert read(path, image_from="s{image}.png", drop_missing=True).image_ids == names


def test_a_template_with_an_empty_column_is_named(tmp_path: Path) -> None:
    text = "image,user,x,y,session\nq,P,1,2,\n"
    found = errors_of(tmp_path / "t.csv", text, image_from="s{session}.png")
    rule = "expected a name by --image-from 's{session}.png'"
    assert found == f"{tmp_path / 't.csv'} row 1: image is '', {rule}"


@pytest.mark.parametrize(
    ("kind", "values", "shown"),
    [
        (pa.duration("ns"), [250, 1], "250 ns"),
        (pa.duration("s"), [2**62, 1], f"{2**62} s"),
        (pa.timestamp("ns"), [1754690200000000001, 1], "2025-08-08 21:56:40.000000001"),
        (pa.timestamp("ns"), [1754690200500000000, 1], "2025-08-08 21:56:40.500000"),
        (pa.timestamp("ms", "UTC"), [1754690200500, 1], "2025-08-08 21:56:40.500000+00:00"),
        (pa.timestamp("s"), [1754690200, 1], "2025-08-08 21:56:40"),
        (pa.date32(), [20308, 1], "2025-08-08"),
    ],
)
def test_times_of_any_unit_are_no_numbers_and_are_names(
    kind: pa.DataType, values: list[int], shown: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.parquet"
    cells = {"image": ["a", "b"], "user": ["P", "P"], "x": [1, 2], "y": [1, 2]}
    pa.parquet.write_table(pa.table(cells | {"duration_ms": pa.array(values, kind)}), path)
    found, errors = gaze_files.read([path], Options())
    assert found is None
    assert f"row 1: duration_ms is {shown!r}, expected a number (2 such rows)" in errors[0]
    pa.parquet.write_table(pa.table(cells | {"session": pa.array(values, kind)}), path)
    assert shown in read(path).session_ids[0]


@pytest.mark.parametrize("hint", ["sep=;", '\ufeff"sep=;"', "\nSEP=; "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_separator_that_excel_is_given_is_taken(hint: str, end: str, tmp_path: Path) -> None:
    # The names alone have more commas.
    lines = [hint, "image;user;x;y;a,b,c,d,e,f", "a.png;p;1,5;2;-", 'b.png;"p\n";3;4;-', ""]
    path = tmp_path / "g.csv"
    path.write_text(end.join(lines), newline="")
    found = read(path, ignored_columns=("a,b,c,d,e,f",))
    assert found.xy.tolist() == [[1.5, 2], [3, 4]]


@pytest.mark.parametrize("name", ["t.csv", "t.xlsx"])
def test_a_title_above_the_names_is_named(name: str, tmp_path: Path) -> None:
    lines = [("Study 3",), ("image", "user", "x", "y"), ("a.png", "p", "1", "2")]
    path = tmp_path / name
    if name == "t.xlsx":
        write_sheets(path, day=lines)
    else:
        path.write_text("".join(f"{','.join(line)}\n" for line in lines))
    with pytest.raises(ValueError, match=r"columns \('image', 'user', 'x', 'y'\) below its first"):
        gaze_files.read([path], Options())
    (tmp_path / "g.csv").write_text(text_of())
    found, errors = gaze_files.read([tmp_path], Options())
    assert found is not None, errors
    assert "columns like those of g.csv in a line below the first" in found.warnings[0]


def test_numbers_of_fixations_that_fall_have_a_warning(tmp_path: Path) -> None:
    header = "image,user,trial,x,y,fixationIndex,eye"
    rows = [
        ("a", 1, 2, "L"),
        ("a", 1, 1, "L"),
        ("b", 1, 1, "L"),
        ("b", 2, 1, "L"),
        ("b", 1, 1, "R"),
    ]
    lines = [f"{image},p,{trial},9,9,{number},{eye}" for image, trial, number, eye in rows]
    path = tmp_path / "g.csv"
    path.write_text("\n".join([header, *lines]))
    ignored = {"ignored_columns": ("fixationIndex", "eye")}
    found = read(path, where=("eye == L",), **ignored)
    what = "1 rows read all the same: 'fixationIndex' falls before them in a viewing"
    assert [what in warning for warning in found.warnings] == [True]
    # Another viewing has a number twice, or a row that is left out lacks one.
    assert what in str(read(path, **ignored).warnings)
    path.write_text("\n".join([header, "a,p,1,,9,,L", *lines]))
    assert what in str(read(path, drop_missing=True, **ignored).warnings)
    path.write_text("\n".join([header, "a,p,1,9,9,,L", *lines]))
    assert what in str(read(path, **ignored).warnings)
    # In order, with a number twice in another viewing; a number that comes again; starts.
    assert not read(path, where=("eye == L", "image == b"), **ignored).warnings
    path.write_text("\n".join([header, "a,p,1,9,9,1,L", *lines]))
    again = "1 rows read all the same: 'fixationIndex' has their numbers again in a viewing"
    assert [again in warning for warning in read(path, **ignored).warnings] == [True]
    path.write_text("\n".join([header, *lines]))
    assert not read(path, columns=(("t_ms", "fixationIndex"),), where=("eye == L",)).warnings
    # Two viewings in the order of their numbers.
    both = [f"a,p,1,9,9,{number},L" for number in (1, 1, 2, 2, 3, 3)]
    path.write_text("\n".join([header, *both]))
    assert again.replace("1 rows", "6 rows") in str(read(path, **ignored).warnings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"image": "a", "user": "p", "x": 1, "y": 2, "trial": [1]}]', "objects under 'trial'"),
        (
            '[{"MEDIA_NAME": "a", "participant": "p", "FPOGX": 0.1, "FPOGY": 0.2, "FPOGS": 0, '
            '"FPOGD": 1, "FPOGID": 1, "FPOGV": 1}, {"participant": ["q"]}]',
            "objects under 'participant'",
        ),
        (
            '{"data": [{"image": "a", "user": "p", "x": 1, "y": 2}], '
            '"more": {"rows": [{"note": "b"}, {"image": "a", "user": "q", "x": 1, "y": 2}]}}',
            "not a file of gaze in a known format",
        ),
        (
            '{"user": "p", "data": [{"image": "a", "x": 1, "y": 2}, '
            '{"image": "a", "user": "q", "x": 1, "y": 2}]}',
            "g.json: 'user' is beside the list 'data' and in 1 of its 2 objects",
        ),
    ],
)
def test_json_of_which_a_part_would_be_lost_is_refused(
    content: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "g.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        gaze_files.read([path], Options())


def test_json_around_rows_or_with_values_of_several_types_is_read(tmp_path: Path) -> None:
    path = tmp_path / "g.json"
    row = {"image": "a", "x": 1, "y": 2}
    # The value beside the list is that of rows without their own.
    rows = [{**row, "user": "p"}, {**row, "image": "b"}]
    path.write_text(json.dumps({"user": "p", "data": [], "trials": rows}))
    assert read(path).user_ids == ["p"]
    path.write_text(json.dumps({"user": "q", "data": rows[:1]}))
    assert read(path).user_ids == ["p"]
    # 1 and 1.0 are one number, and "01" is a text.
    path.write_text(json.dumps([{**row, "user": user} for user in (1, 1.0, "01", 2, 1e17)]))
    assert read(path).user_ids == ["01", "1", "2", "100000000000000000"]
    # As pandas writes tables.
    path.write_text(json.dumps({"schema": {"fields": [{"name": "x"}]}, "data": rows[:1]}))
    assert read(path).user_ids == ["p"]


@pytest.mark.parametrize("name", ["g.json", "g.jsonl"])
def test_a_list_in_json_is_refused_or_ignored(name: str, tmp_path: Path) -> None:
    path, row = tmp_path / name, {"image": "a", "user": "p", "x": 1, "y": 2, "areas": [1]}
    path.write_text(json.dumps([row] if name == "g.json" else row))
    assert read(path, ignored_columns=("areas",)).user_ids == ["p"]
    for options in ({}, {"columns": (("image", "image"),)}):
        with pytest.raises(ValueError, match=r"'areas'.*expected"):
            read(path, **options)


def test_a_template_stands_for_the_column_of_the_image(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    path.write_text("scene,user,x,y\n1,p,1,2\n2,p,3,4\n")
    assert read(path, image_from="s_{scene}.png").image_ids == ["s_1.png", "s_2.png"]
    assert read(path, image_from="s_{scene:03}.png").image_ids == ["s_001.png", "s_002.png"]
    for form in ("3", "010", ">3", "3d"):
        with pytest.raises(ValueError, match=r"is no column, expected such as \{scene:03\} for"):
            read(path, image_from=f"s_{{scene:{form}}}.png")
    # The pictures have another suffix than their names in the file.
    other = tmp_path / "other.csv"
    other.write_text("image,user,x,y\na.b.bmp,p,1,2\nc,p,3,4\n")
    assert read(other, image_from="{stem}.png").image_ids == ["a.b.png", "c.png"]
    with pytest.raises(ValueError, match="unknown column 'scene', expected user, x, y and"):
        read(path, image_from="{file}.png")
    path.write_text("file,user,x,y\n1,p,1,2\n")
    with pytest.raises(ValueError, match=r"\{file\} is a column of .* and the name of the file"):
        read(path, image_from="{file}.png")
    path.write_text("n,user,x,y\n1234567,p,1,2\n007,p,3,4\n")
    columns = (("trial", "n"),)
    found = read(path, image_from="{trial}.png", columns=columns)
    assert found.image_ids == ["007.png", "1234567.png"]


def test_a_pattern_does_not_join_the_sessions_of_a_column(tmp_path: Path) -> None:
    path = tmp_path / "g.csv"
    path.write_text("image,user,x,y,session\na,p1_s1,1,2,1\na,p1_s1,3,4,2\n")
    pattern = r"(?P<user>p\d)_s(?P<session>\d)"
    with pytest.raises(ValueError, match="joins sessions of the files"):
        read(path, user_from=pattern)
    path.write_text("image,user,x,y,session\na,p1_s1,1,2,x\na,p1_s2,3,4,y\n")
    assert read(path, user_from=pattern).session_ids == [["1", "2"]]
    path.write_text("image,user,x,y,session\na,p1_s1,1,2,\nb,p1_s1,3,4,2\n")
    with pytest.raises(ValueError, match="of user 'p1', none and '2': take"):
        read(path, user_from=pattern)
    path.write_text("image,user,x,y,session\na,p1_s1,1,2,x\n")
    for other in ("image,user,x,y,session\nb,p1_s1,3,4,y\n", "image,user,x,y\nb,p1_s1,3,4\n"):
        (tmp_path / "h.csv").write_text(other)
        with pytest.raises(
            ValueError, match=r"h.csv: the session '1' of .* \(the first in .*g.csv"
        ):
            gaze_files.read([path, tmp_path / "h.csv"], Options(user_from=pattern))


def test_paths_of_one_image_are_one_name(tmp_path: Path) -> None:
    names = ["./s/a.png", "s/a.png", "s//a.png", "t/../s/a.png", "../s/a.png", "a/b.", "..."]
    names += [r"s\a.png", r".\s\a.png", r"t\..\s\a.png", "http://x.org//a.png"]
    path = tmp_path / "g.csv"
    path.write_text("image,user,x,y\n" + "".join(f"{name},p,1,2\n" for name in names))
    assert read(path).image_ids == [
        "...",
        "../s/a.png",
        "a/b.",
        "http://x.org//a.png",
        "s/a.png",
    ]


def test_a_table_without_rows_in_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text(text_of())
    (tmp_path / "h.csv").write_text("image,user,x,y\n")
    found, errors = gaze_files.read([tmp_path], Options())
    assert found is not None
    what = "has no row, expected one for each fixation"
    assert found.warnings == [f"{tmp_path / 'h.csv'} left out: {what}"]
    # A file that is named is not left out.
    for paths in ([tmp_path / "h.csv"], [tmp_path / "g.csv", tmp_path / "h.csv"]):
        found, errors = gaze_files.read(paths, Options())
        assert (found, errors) == (None, [f"{tmp_path / 'h.csv'} {what}"])


@pytest.mark.parametrize(
    ("name", "other", "place", "none"),
    [
        ("table", "h.csv", "10,20,", ".,20,"),
        ("gazepoint", "p2_fixations.csv", ",0.4,0.4,", ",,,"),
        ("gazepoint", "p2_fixations.csv", ",1,1,", ",1,0,"),
        ("eyelink-report", "p2.xls", "9,2\t5,7", ".\t."),
        ("eyelink-report", "p2.xls", "9,2\t5,7\ta.jpg", ".\t.\t."),
        ("coco-json", "b.json", '[1.0], "Y": [2.0], "T": [200]', '[], "Y": [], "T": []'),
    ],
)
def test_a_file_without_a_place_in_a_folder_is_named(
    name: str, other: str, place: str, none: str, tmp_path: Path
) -> None:
    path, text = EXAMPLES[name]
    (tmp_path / path).write_text(text)
    (tmp_path / other).write_text(text.replace(place, none))
    found, errors = gaze_files.read([tmp_path], Options())
    assert found is not None, errors
    [warning] = found.warnings
    assert warning.startswith(f"{tmp_path / other} left out: has no row, expected one for each")
    found, errors = gaze_files.read([tmp_path / path, tmp_path / other], Options())
    assert found is None
    assert str(tmp_path / other) in errors[0]


@pytest.mark.parametrize(
    ("column", "why"),
    [("location_x", "has events without a column 'loc"), ("stimulus", "does not say which image")],
)
def test_a_file_without_a_needed_column_in_a_folder_is_named(
    column: str, why: str, tmp_path: Path
) -> None:
    name, text = EXAMPLES["pymovements"]
    (tmp_path / name).write_text(text)
    text = text.replace(column, "other")
    (tmp_path / "other.csv").write_text(text)
    found, errors = gaze_files.read([tmp_path], Options())
    assert found is not None, errors
    [warning] = found.warnings
    assert warning.startswith(f"{tmp_path / 'other.csv'} left out: {why}")
    (tmp_path / name).write_text(text)
    [error] = gaze_files.read([tmp_path], Options())[1]
    assert error.startswith(f"{tmp_path / name} and 1 more {why}")


def test_columns_by_other_names_units_and_filters(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        ",picture,who,fx,fy,dur,begin,forced\n"
        "0,a.jpg,1,1,2,0.25,5.5,0\n1,a.jpg,1,3,4,0.3,6,1\n2,a.jpg,2,.,4,0.3,7,0\n"
    )
    columns = (
        *(("image", "picture"), ("user", "who"), ("x", "fx"), ("y", "fy")),
        *(("duration_ms", "dur"), ("t_ms", "begin")),
    )
    found = read(
        path,
        columns=columns,
        durations="s",
        times="s",
        where=("forced == 0",),
        drop_missing=True,
    )
    assert found.xy.tolist() == [[1, 2]]
    assert found.user_ids == ["1"]
    assert found.duration_ms is not None
    assert found.t_ms is not None
    assert (found.duration_ms.tolist(), found.t_ms.tolist()) == ([250], [5500])
    notes = "\n".join(found.notes)
    assert "image from 'picture'" in notes
    assert "1 rows left out: not forced == 0" in notes
    assert "1 rows left out: without a place or a duration" in notes


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("x > 1.5", [3.0]),
        ("x<=1.5", [1.5, -5.0]),
        ("user == ann", [1.5, -5.0]),
        ("user != 'ann'", [3.0]),
        ('"y" == 4.25', [3.0]),
        ("image == b.jpg", [-5.0]),
    ],
)
def test_conditions_choose_rows(condition: str, kept: list[float], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text_of())
    assert read(tmp_path / "t.csv", where=(condition,)).xy[:, 0].tolist() == kept


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"where": ("x",)}, "--where is 'x', expected COLUMN, one of == != < <= > >=, and a value"),
        ({"where": ("z == 1",)}, "t.csv has no column 'z'; it has 'image', 'user', 'x', 'y'"),
        ({"where": ("user < ann",)}, "< needs a number, not 'ann'"),
        ({"where": ("x > 99",)}, "t.csv has no row, expected one for each fixation (left out: 3"),
        ({"columns": (("x", "fx"),)}, "t.csv has no column 'fx' (--columns x=fx)"),
        ({"columns": (("pupil", "x"),)}, "--columns names 'pupil', expected one of image, user"),
        (
            {"columns": (("x", "x"), ("y", "x"))},
            "--columns takes 'x' and 'y' from the column 'x', expected a column of its own",
        ),
        ({"columns": (("x", "x"), ("x", "y"))}, "--columns names 'x' twice, expected one column"),
        (
            {"columns": (("user", "image"),)},
            "t.csv: 'image' and 'user' are both from the column 'image' (--columns user=image)",
        ),
        ({"format": "excel"}, "--format is 'excel', expected auto, table, "),
        ({"user_from": "(a"}, "--user-from '(a' is not a regular expression"),
        ({"user_from": "a"}, "--user-from is 'a', expected a group such as"),
        ({"user_from": "(c)"}, "--user-from '(c)' does not fit"),
        ({"image_from": "{scene}.png"}, "has no column 'scene', expected one of 'image'"),
    ],
)
def test_options_that_do_not_fit_are_one_line(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    found = errors_of(tmp_path / "t.csv", text_of(), **options)
    assert message in found
    assert "\n" not in found


def test_names_in_other_letters_are_offered_as_options_that_read_the_table(tmp_path: Path) -> None:
    for names, offer in (
        (
            "Image,USER,X,Y,Duration_ms",
            "image=Image,user=USER,x=X,y=Y,duration_ms=Duration_ms",
        ),
        (
            "picture,recording_session_label,current_fix_x,current_fix_y,current_fix_duration",
            "image=picture,user=recording_session_label,x=current_fix_x,y=current_fix_y,"
            "duration_ms=current_fix_duration",
        ),
    ):
        path = tmp_path / "t.csv"
        assert errors_of(path, f"{names}\na,P,1,2,3\n").endswith(f"; perhaps --columns {offer}")
        # So in a folder.
        with pytest.raises(ValueError, match=f"t.csv has no column 'image'.* --columns {offer}$"):
            gaze_files.read([tmp_path], Options())
        columns = tuple(tuple(one.split("=")) for one in offer.split(","))
        found = read(path, columns=columns)
        assert (found.user_ids, found.xy.tolist()) == (["P"], [[1, 2]])


def test_missing_columns_are_offered(tmp_path: Path) -> None:
    found = errors_of(tmp_path / "t.csv", "picture,subject,fix_x,fix_y,dur\na,b,1,2,3\n")
    assert "--columns image=picture,user=subject,x=fix_x,y=fix_y,duration_ms=dur" in found


@pytest.mark.parametrize(
    "marker", ["NA", "nan", ".", "UNDEFINED", "None", " n/a ", "#N/A", "<NA>", "(null)", "NaT"]
)
@pytest.mark.parametrize("column", ["image", "user"])
def test_a_marker_of_missing_values_is_no_name(column: str, marker: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    cells = {"image": "a", "user": "P", column: marker}
    text = f"image,user,x,y\na,P,1,2\n{cells['image']},{cells['user']},3,4\na,P,5,6\n"
    message = f"t.csv row 2: {column} is {marker!r}, expected a name"
    assert message in errors_of(path, text)
    found = read(path, drop_missing=True)
    assert (found.image_ids, found.user_ids) == (["a"], ["P"])
    assert found.xy.tolist() == [[1, 2], [5, 6]]
    assert f"1 rows left out: without a name of the {column}" in found.notes


def test_a_name_of_an_image_is_not_made_of_a_marker(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("k,user,x,y\na,P,1,2\n#REF!,P,3,4\n")
    options = Options(columns=(("image", "k"),), image_from="{k}.png")
    _, errors = gaze_files.read([path], options)
    [error] = errors
    assert error.startswith(f"{path} row 2: image is '#REF!', expected a name by --image")
    assert "'{k}.png', and '#REF!' stands for no value" in error


def test_a_recording_of_data_viewer_without_a_name_is_no_person(tmp_path: Path) -> None:
    header = "RECORDING_SESSION_LABEL\tCURRENT_FIX_X\tCURRENT_FIX_Y\tpicture\n"
    text = header + "p1\t5.0\t6.0\ta.png\nUNDEFINED\t5.0\t6.0\ta.png\n"
    assert "r.xls row 2: user is not given" in errors_of(tmp_path / "r.xls", text)


def test_a_name_that_begins_like_a_marker_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,user,x,y\nNA.png,Nan,1,2\n")
    found = read(tmp_path / "t.csv")
    assert (found.image_ids, found.user_ids) == (["NA.png"], ["Nan"])


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_trials_that_rounding_would_merge_are_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"t{suffix}"

    def error_of(trials: list[int]) -> str:
        lines = [["image", "user", "x", "y", "trial"]]
        lines += [["a", "P", "1", "2", str(trial)] for trial in trials]
        text = "\n".join(("\t" if suffix == ".tsv" else ",").join(line) for line in lines)
        if suffix == ".parquet":
            columns = {"image": ["a"] * len(trials), "user": ["P"] * len(trials)}
            numbers = {"x": [1.0] * len(trials), "y": [2.0] * len(trials)}
            pa.parquet.write_table(pa.table(columns | numbers | {"trial": trials}), path)
            fixations, errors = gaze_files.read([path], Options())
            return "" if fixations else errors[0]
        path.write_text(text)
        fixations, errors = gaze_files.read([path], Options())
        return "" if fixations else errors[0]

    assert error_of([1, 2**53 - 1]) == ""
    found = error_of([1, 2**53 + 1])
    assert f"t{suffix} row 2: trial is " in found
    assert "expected an integer below 2**53" in found


def test_the_index_column_of_a_data_frame_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(",image,user,x,y\n0,a.jpg,u,1,2\n1,a.jpg,u,3,4\n")
    found = read(tmp_path / "t.csv")
    assert len(found.xy) == 2
    assert "column '' left out" in found.notes[0]


def test_people_and_sessions_come_out_of_names(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = "a,p07_1,1,1\na,p07_2,2,2\na,p08_2,3,3\nb,p07_1,4,4\n"
    path.write_text("image,user,x,y\n" + rows)
    found = read(path, user_from=r"(?P<user>p\d+)_(?P<session>\d+)")
    assert found.user_ids == ["p07", "p08"]
    assert found.session_ids == [["1", "2"], ["2"]]
    assert found.session.tolist() == [0, 1, 0, 0]
    gaze = gaze_files.group_by_image(found)
    # Another session is another viewing of the image.
    assert gaze["a"].trial.tolist() == [0, 1, 0]
    session = gaze["a"].session
    assert session is not None
    assert session.tolist() == [0, 1, 0]


def test_a_column_of_sessions_numbers_them_for_each_person(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for name in ("day", "", "Recording "):
        rows = f"a,u,1,1,{name}10\na,u,2,2,{name}9\na,v,3,3,{name}9\n"
        path.write_text("image,user,x,y,session\n" + rows)
        found = read(path)
        # In the order of their numbers.
        assert found.session_ids == [[f"{name}9", f"{name}10"], [f"{name}9"]]
        assert found.session.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("names", "is_said"),
    [
        (("pre", "post"), True),
        (("02.01.2026", "01.02.2026"), True),
        (("post", "pre"), False),
        (("day 10", "day 2"), False),
        (("2026-02-01", "2026-01-31"), False),
    ],
)
def test_an_order_of_sessions_that_may_not_be_in_time_is_said(
    names: tuple[str, str], is_said: bool, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("image,user,x,y,session\n" + "".join(f"a,u,1,2,{name}\n" for name in names))
    notes = [one for one in read(path).notes if one.startswith("sessions are in the order of")]
    assert len(notes) == is_said
    assert not is_said or f"{names[1]!r}, {names[0]!r} of user 'u', where the rows" in notes[0]


@pytest.mark.parametrize("marker", ["NA", ".", "UNDEFINED", "nan", " "])
def test_a_session_that_is_not_given_is_no_session(marker: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    head = "image,user,x,y,session\n"
    path.write_text(head + f"a,u,1,1,{marker}\na,v,2,2,\n")
    assert read(path).session_ids == []
    path.write_text(head + f"a,u,1,1,{marker}\na,v,2,2,9\nb,v,2,3,10\nb,u,4,4,\n")
    found = read(path)
    assert found.session_ids == [[""], ["9", "10"]]
    assert found.session.tolist() == [0, 0, 1, 0]
    error = errors_of(path, head + f"a,u,1,1,A\na,v,2,2,A\nb,u,3,3,{marker}\n")
    value = repr(marker) if marker.strip() else "not given"
    assert (
        f"t.csv row 3: session is {value}, expected a name, which other rows of user 'u'" in error
    )


def test_a_person_has_a_session_in_all_rows_of_any_file_and_format(tmp_path: Path) -> None:
    tobii = (
        "Recording timestamp [ms]\tParticipant name\tRecording name\tPresented Media name\t"
        "Eye movement type\tGaze event duration [ms]\tEye movement type index\t"
        "Fixation point X [MCS norm]\tFixation point Y [MCS norm]\n"
    )
    lines = [f"1\tP\t{name}\ta.png\tFixation\t100\t1\t0.5\t0.5\n" for name in ("R2", "NA")]
    error = errors_of(tmp_path / "t.tsv", tobii + "".join(lines))
    assert "t.tsv row 2: session is 'NA', expected a name, which other rows of user 'P'" in error
    paths = [tmp_path / name for name in ("a.csv", "b.csv")]
    paths[0].write_text("image,user,x,y,session\na,P,1,2,1\n")
    paths[1].write_text("image,user,x,y\na,P,1,2\n")
    _, [error] = gaze_files.read(paths, Options())
    assert error.startswith(f"{paths[1]} row 1: session is not given, expected a name")


def test_recordings_of_one_person_are_not_mixed_by_a_pattern(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    text = "image,user,x,y,session\na,s01_1,1,1,A\na,s01_2,2,2,A\n"
    error = errors_of(path, text, user_from=r"(s\d+)")
    assert error == (
        f"{path} row 2: --user-from takes 's01_1' and 's01_2' for one user 's01' in session 'A', "
        "who would look at 'a' in both as in one viewing, expected recordings that are apart: a "
        "group session in --user-from, or no column session"
    )
    pattern = r"(?P<user>s\d+)_(?P<session>\d)"
    path.write_text(text)
    assert read(path, user_from=pattern).session_ids == [["1", "2"]]
    # The group itself may take two recordings for one.
    same = text.replace("s01_1", "s01_ab_1").replace("s01_2", "s01_cd_1")
    error = errors_of(path, same, user_from=r"(?P<user>s\d+)_\w+_(?P<session>\d)")
    assert "row 2: --user-from takes 's01_ab_1' and 's01_cd_1' for one user 's01' in" in error
    # Other images, other sessions and other trials are apart.
    for old, new in (("a,s01_2", "b,s01_2"), ("2,2,A", "2,2,B")):
        path.write_text(text.replace(old, new))
        assert len(read(path, user_from=r"(s\d+)").xy) == 2
    path.write_text(text.replace(",A", ",NA"))
    assert read(path, user_from=r"(s\d+)").session_ids == [["s01_1", "s01_2"]]


@pytest.mark.parametrize(
    ("users", "message"),
    [
        (("p1_s1", "P2_s1", "P2_s1"), "does not fit user 'P2_s1', but the users of .*0.csv"),
        (("P1_s1", "P2_s1", "P2_s1"), "does not fit user 'P2_s1', as in .*0.csv of user 'P1_s1'"),
        (("P", "P", "P"), ""),
    ],
)
def test_people_by_a_folder_are_no_others_than_those_of_the_columns(
    users: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    folder = tmp_path / "study_p10_data"
    folder.mkdir()
    for number, user in enumerate(users):
        (folder / f"{number}.csv").write_text(f"image,user,x,y\na{number}.png,{user},1,2\n")
    if message:
        with pytest.raises(ValueError, match=message):
            read(folder, user_from=r"(p\d+)_")
    else:
        assert read(folder, user_from=r"(p\d+)_").user_ids == ["p10"]


def test_one_person_of_the_columns_is_not_two_of_the_paths(tmp_path: Path) -> None:
    for number, user in enumerate(("Ann", "Ann", "Bo")):
        (tmp_path / f"P{number}.csv").write_text(f"image,user,x,y\na{number}.png,{user},1,2\n")
    with pytest.raises(ValueError, match=r"'P1' in the path and does not fit user 'Ann', who wou"):
        read(tmp_path, user_from=r"(P\d)")


def test_files_of_one_name_may_be_of_images_where_they_name_the_person(tmp_path: Path) -> None:
    for image in ("a", "b"):
        (tmp_path / image).mkdir()
        (tmp_path / image / "P01.csv").write_text("user,x,y\nP01,1,2\n")
    found = read(tmp_path, image_from="{folder}.png")
    assert (found.image_ids, found.user_ids) == (["a.png", "b.png"], ["P01"])


def test_a_plain_table_of_each_person_is_named_by_its_file(tmp_path: Path) -> None:
    for user in ("01", "02"):
        (tmp_path / f"sub{user}.csv").write_text(f"trial,image,x,y\n1,a.png,{user},2\n")
    with pytest.raises(
        ValueError, match=r"no column 'user', .*; --format table --user-from takes the"
    ):
        gaze_files.read([tmp_path / "sub01.csv"], Options(format="table"))
    found = read(tmp_path, format="table", user_from=r"sub(?P<user>\d+)")
    assert (found.user_ids, found.xy[:, 0].tolist()) == (["01", "02"], [1, 2])
    # A column of the person is read where there is one.
    (tmp_path / "sub01.csv").write_text("image,user,x,y\na.png,sub7,1,2\n")
    (tmp_path / "sub02.csv").unlink()
    assert read(tmp_path, user_from=r"sub(?P<user>\d+)").user_ids == ["7"]


def test_a_session_that_people_add_to_the_file_of_a_tracker_is_read(tmp_path: Path) -> None:
    header = "participant,Session,session,MEDIA_NAME,TIME,FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,FPOGV\n"
    lines = [f"p,{day},,a.png,0.3,0.5,0.5,0.1,0.2,1,1\n" for day in ("1", "2", "")]
    for day in (0, 1):
        (tmp_path / f"{day}.csv").write_text(header + lines[day])
    found, errors = gaze_files.read([tmp_path], Options())
    assert found is not None, errors
    assert (found.session_ids, len(found.xy)) == ([["1", "2"]], 2)
    # Two people in one file; one without a session has none.
    for other, sessions in ((lines[1], [["1"], ["2"]]), (lines[2], [["1"], [""]])):
        (tmp_path / "g.csv").write_text(header + lines[0] + other.replace("p,", "q,", 1))
        assert read(tmp_path / "g.csv").session_ids == sessions
    # The reader would take two fixations of one number for one.
    names = header.strip().split(",")
    objects = [dict(zip(names, line.strip().split(","), strict=True)) for line in lines]
    (tmp_path / "g.json").write_text(json.dumps(objects[:1]))
    assert read(tmp_path / "g.json").session_ids == [["1"]]
    error = errors_of(tmp_path / "g.csv", header + lines[0] + lines[1])
    assert (
        "'Session' has '1' and '2' in rows that the format gazepoint does not keep apart" in error
    )
    assert read(tmp_path / "g.csv", where=("Session == 2",)).session_ids == [["2"]]
    text = header + lines[0] + lines[1].replace("p,", "q,", 1)
    for condition in ("Session == 2", "participant == q", "Session != 1"):
        (tmp_path / "g.csv").write_text(text)
        found = read(tmp_path / "g.csv", where=(condition,))
        assert (found.user_ids, found.session_ids) == (["q"], [["2"]])
    error = errors_of(tmp_path / "g.csv", header + lines[0].replace("1,,", "1,2,"))
    assert "'Session' has '1' and '2' in rows" in error
    # A person without a fixation has a session of their own.
    text = lines[1].replace("p,", "q,", 1).replace(",1\n", ",0\n")
    (tmp_path / "g.csv").write_text(header + lines[0] + text)
    found = read(tmp_path / "g.csv")
    assert (found.user_ids, found.session_ids) == (["p"], [["1"]])
    assert any("'q'" in warning for warning in found.warnings)
    later = lines[2].replace("0.3,", "0.6,").replace("0.1,0.2,1,1", "0.4,0.2,2,1")
    error = errors_of(tmp_path / "g.csv", header + lines[0] + later)
    assert "session is not given, expected a name, which other rows of user 'p' have" in error


def test_a_session_of_the_other_eye_is_not_lost_beside_the_same_session_of_others(
    tmp_path: Path,
) -> None:
    head = "RECORDING_SESSION_LABEL,session,TRIAL_INDEX,image,EYE_USED,CURRENT_FIX_X,CURRENT_FIX_Y"
    lines = [f"P1,1,1,a.png,LEFT,{x},9\n" for x in (10, 20)]
    others = ["P1,2,1,a.png,RIGHT,30,9\n", "P2,2,1,a.png,LEFT,40,9\n"]
    error = errors_of(tmp_path / "r.csv", "".join([f"{head}\n", *lines, *others]))
    assert "'session' has '1' and '2' in rows that the format eyelink-report does not keep" in error
    # Rows of the other eye in the same session are left out as before.
    (tmp_path / "r.csv").write_text("".join([f"{head}\n", *lines, others[0].replace("2", "1", 1)]))
    found = read(tmp_path / "r.csv")
    assert (found.session_ids, len(found.xy), found.warnings) == ([["1"]], 2, [])


def test_people_by_names_of_files_are_not_one_with_a_session(tmp_path: Path) -> None:
    header = "session,MEDIA_NAME,TIME,FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,FPOGV\n"
    for number, name in enumerate(("ann", "bob")):
        (tmp_path / name).mkdir()
        text = f"{header}{number},a.png,0.3,0.5,0.5,0.1,0.2,1,1\n"
        (tmp_path / name / "User 0.csv").write_text(text)
    with pytest.raises(ValueError, match="would be of one user 'User 0'"):
        gaze_files.read([tmp_path], Options())
    for number, name in enumerate(("ann", "bob")):  # Columns say that it is one person.
        text = f"subject,{header}User 0,{number},a.png,0.3,0.5,0.5,0.1,0.2,1,1\n"
        (tmp_path / name / "User 0.csv").write_text(text)
    assert read(tmp_path).session_ids == [["0", "1"]]


def test_cells_that_blanks_part_are_refused(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text('"image" "user" "x" "y"\n"1" "a" "p" 1 2\n')
    for path in (tmp_path, tmp_path / "r.txt"):
        with pytest.raises(ValueError, match=r"r.txt parts its cells by blanks, expected one of"):
            gaze_files.read([path], Options())


def test_recordings_of_two_names_are_no_session_of_other_formats(tmp_path: Path) -> None:
    header = "name,onset,offset,location_x,location_y,image,user,session"
    text = f"{header}\nfixation,0,90,200,500,a,s1_1,A\nfixation,0,90,200,500,b,s1_2,A\n"
    path = tmp_path / "e.csv"
    error = errors_of(path, text, user_from=r"(s\d)_")
    assert "--user-from takes 's1_1' and 's1_2' for one user 's1' in session 'A', expected" in error
    path.write_text(text.replace("s1_2,A", "s1_2,B"))
    assert read(path, user_from=r"(s\d)_").session_ids == [["A", "B"]]


def test_the_name_of_the_folder_that_is_given_is_looked_at_last(tmp_path: Path) -> None:
    for name in ("s3", "s4"):
        (tmp_path / "exp1" / name).mkdir(parents=True)
        (tmp_path / "exp1" / name / "gaze.csv").write_text("image,user,x,y\na,q,1,2\n")
    assert read(tmp_path / "exp1", user_from=r"([a-z]+\d)").user_ids == ["s3", "s4"]
    assert read(tmp_path / "exp1" / "s3", user_from=r"([a-z]+\d)").user_ids == ["s3"]


def test_a_session_that_is_a_path_does_not_say_where_the_folder_is(tmp_path: Path) -> None:
    for one in ("x", "y"):
        for day in ("1", "2"):
            path = tmp_path / one / "ann" / day / "gaze.csv"
            path.parent.mkdir(parents=True)
            names = "MEDIA_NAME,TIME,FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,FPOGV"
            path.write_text(f"{names}\n{day}.png,0.3,0.5,0.5,0.1,0.2,1,1\n")
        found = read(tmp_path / one, user_from="(ann)/")
        assert (found.user_ids, found.session_ids) == (["ann"], [["1/gaze.csv", "2/gaze.csv"]])


def test_a_pattern_says_how_many_people_it_makes(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("image,user,x,y\n" + "".join(f"a,s{n},1,{n}\n" for n in range(1, 25)))
    short = "--user-from takes 24 names for 9 people, such as 's1', 's10', 's11' and 8 more for"
    assert f"{short} 's1'" in read(path, user_from=r"(s\d)").notes
    assert "--user-from takes 24 names for 24 people" in read(path, user_from=r"(s\d+)").notes


def test_people_and_images_come_from_file_names(tmp_path: Path) -> None:
    for name in ("s1_ann", "s2_ann", "s1_bob"):
        (tmp_path / f"{name}.csv").write_text(f"image,user,x,y,n\ni,u,{len(name)},1,7\n")
    found, errors = gaze_files.read(
        [tmp_path],
        Options(
            ignored_columns=("n",),
            user_from=r"(?P<session>s\d)_(?P<user>[a-z]+)\.csv",
            image_from="{file}-{n}.png",
        ),
    )
    assert errors == []
    assert found is not None
    assert found.user_ids == ["ann", "bob"]
    assert found.session_ids == [["s1", "s2"], ["s1"]]
    assert found.image_ids == ["s1_ann-7.png", "s1_bob-7.png", "s2_ann-7.png"]


def test_a_folder_leaves_other_files_out_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "gaze.csv").write_text(text_of())
    (tmp_path / "people.csv").write_text("user,age\nann,30\n")
    for name in ("notes.pdf", "p2.csv.bak", ".hidden.bak", *(f"{n}.PNG" for n in range(9))):
        (tmp_path / name).write_bytes(b"%PDF")
    found, _ = gaze_files.read([tmp_path], Options())
    assert found is not None
    assert found.xy.tolist() == XY
    assert [note for note in found.notes if "people.csv left out" in note]
    shown = ", ".join(str(tmp_path / name) for name in ("p2.csv.bak", "notes.pdf"))
    assert f"2 files left out by their suffixes ('.bak', '.pdf'): {shown}" in found.notes
    of_pictures = "are pictures and hold no gaze: pictures are read from --images"
    assert f"{tmp_path / '0.PNG'} and 8 more {of_pictures}" in found.notes


def test_files_left_out_for_one_reason_have_one_note(tmp_path: Path) -> None:
    (tmp_path / "gaze.csv").write_text(text_of())
    for number in range(1, 31):
        (tmp_path / f"log{number:02}.csv").write_text("event,value\nstart,1\n")
        (tmp_path / f"page{number:02}.txt").write_text("<html></html>")
    found, _ = gaze_files.read([tmp_path], Options())
    assert found is not None
    assert found.notes[1:] == [
        f"{tmp_path / 'log01.csv'} and 29 more left out: not a file of gaze in a known format"
    ]
    shown = ", ".join(str(tmp_path / f"page{number:02}.txt") for number in range(1, 5))
    assert found.warnings == [
        f"{shown} and 26 more left out, not a table or text: is a web page "
        "(HTML): fetch the file itself, or save its table as .csv",
    ]


def test_only_hidden_parts_below_a_folder_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / ".data"
    for path in (hidden / "t.csv", hidden / ".cache" / "t.csv", tmp_path / "a" / "b" / "t.csv"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text_of())
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert gaze_files.find_files([hidden]) == [hidden / "t.csv"]
    up = Path("../../.data")
    assert gaze_files.find_files([up]) == [up / "t.csv"]
    assert gaze_files.find_files([Path("..")]) == [Path("../b/t.csv")]


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has no file that may hold gaze, expected"):
        gaze_files.read([tmp_path], Options())
    (tmp_path / "people.csv").write_text("user,age\nann,30\n")
    with pytest.raises(ValueError, match=r"/[^/ ]+ has no gaze in a known format"):
        gaze_files.read([tmp_path], Options())


def test_files_join_or_differ_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text(text_of())
    (tmp_path / "2.csv").write_text("image,user,x,y\nc.jpg,10,7,8\n")
    found, _ = gaze_files.read([tmp_path / "1.csv", tmp_path / "2.csv"], Options())
    assert found is not None
    assert found.user_ids == ["10", "ann", "bob"]
    assert found.xy.tolist() == [*XY, [7, 8]]
    (tmp_path / "2.csv").write_text("image,user,x,y,duration_ms\nc.jpg,10,7,8,9\n")
    with pytest.raises(ValueError, match=r"1\.csv has no duration_ms, which other files have"):
        gaze_files.read([tmp_path / "1.csv", tmp_path / "2.csv"], Options())


def test_names_are_normalized_by_one_rule() -> None:
    assert normalize(" Ann  B.\u00a0") == "Ann B."
    # A letter with an accent has two forms.
    assert names_of(["e\u0301", "\u00e9", " \u00e9 ", ""]).names == ["\u00e9"]
    assert names_of(["a", "", "a "]).codes.tolist() == [0, -1, 0]
    column = pa.chunked_array([pa.array([1.0, 2.0]), pa.array([2.5, None])])
    assert names_of(column).names == ["1", "2", "2.5"]
    assert names_of(column).codes.tolist() == [0, 1, 2, -1]


def test_numbers_missing_values_and_other_texts_differ() -> None:
    column = pa.chunked_array([["1", " 2.5 ", "-", "1,5", "x", "", "1e3", "inf", "UNDEFINEDnull"]])
    found = numbers_of(column, decimal_comma=True, scale=2)
    np.testing.assert_array_equal(
        found.values, [2, 5, np.nan, 3, np.nan, np.nan, 2000, np.inf, np.nan]
    )
    assert found.is_missing.tolist() == [False, False, True, False, False, True, False, False, True]
    assert np.flatnonzero(found.is_wrong).tolist() == [4]
    assert numbers_of(column).is_wrong.tolist()[3]
    assert {"", ".", "-", "NA", "nan"} < MISSING
    of_numbers = numbers_of(pa.chunked_array([["-1", "2"]]), missing=("-1",))
    assert of_numbers.is_missing.tolist() == [True, False]
    of_booleans = numbers_of(pa.chunked_array([[True, False]]))
    assert of_booleans.is_wrong.all()


@pytest.mark.parametrize(
    ("cells", "wrong"),
    [
        (["1,204", "500", "1,512"], [0, 2]),
        (["1.204", "500", "1.512"], [0, 2]),
        (["1.000", "500"], [0]),
        (["1,204,512", "1,204", "7"], [0, 1]),
        (["1,204", "500.5", "7"], [0]),
        (["1.204", "-400,25"], [0]),
        (["1,248.2", "929.4", "1,246"], [0, 2]),
        # True decimals: all with a mark, no hundred without one, a zero first, other lengths.
        (["1,204", "500,125"], []),
        (["8.333", "16.667", "25"], []),
        (["0.241", "100"], []),
        (["1.204", "500", "3.5"], []),
        (["1008.333", "100"], []),
        (["1.5", "2,5", "100"], []),
    ],
)
def test_marks_between_thousands_are_no_decimal_marks(cells: list[str], wrong: list[int]) -> None:
    found = numbers_of(pa.chunked_array([cells]), decimal_comma=True)
    assert np.flatnonzero(found.is_wrong).tolist() == wrong
    assert np.flatnonzero(np.isnan(found.values)).tolist() == wrong
    # Far from the first row, too.
    many = numbers_of(pa.chunked_array([["7"] * 2000 + cells]), decimal_comma=True)
    assert (np.flatnonzero(many.is_wrong) - 2000).tolist() == wrong


@pytest.mark.parametrize("third", [7, "7", "lost"])
def test_numbers_of_excel_have_no_marks_between_thousands(third: object, tmp_path: Path) -> None:
    rows = [(1.204, 5), (500, 6), (third, 7)]
    head = ("image", "user", "x", "y")
    path = write_sheets(tmp_path / "t.xlsx", day=[head, *(("a", 1.125, *row) for row in rows)])
    options = {"where": ("y < 7",)} if third == "lost" else {}
    found = read(path, **options)
    assert found.xy.tolist() == [[1.204, 5], [500, 6], [7, 7]][: 2 if options else 3]
    assert found.user_ids == ["1.125"]


@pytest.mark.parametrize("marker", ["NA", ".", "-"])
@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_conditions_find_markers_beside_numbers(marker: str, suffix: str, tmp_path: Path) -> None:
    rows = [("image", "user", "x", "y", "k"), ("a", "P", 1, 2, marker), ("a", "P", 3, 4, 1.125)]
    path = write_sheets(tmp_path / "t.xlsx", day=rows)
    if suffix == "csv":
        path = tmp_path / "t.csv"
        path.write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    options: dict[str, Any] = {"ignored_columns": ("k",)}
    for condition, x in ((f"k == {marker}", 1), (f"k != {marker}", 3), ("k == '1.125'", 3)):
        assert read(path, where=(condition,), **options).xy[:, 0].tolist() == [x]


@pytest.mark.parametrize("column", ["user", "session", "trial", "image"])
@pytest.mark.parametrize("name", ["1.23457E+11", "1,2E+11", "1E+05", "1.2346e+11"])
def test_names_without_their_last_digits_are_refused(
    name: str, column: str, tmp_path: Path
) -> None:
    row = {"image": "a", "user": "12e10", "x": "1,5", "y": "2", "session": "1", "trial": "1"}
    rows = [row, {**row, column: name}]
    text = "".join(";".join(one) + "\n" for one in (list(row), *(list(r.values()) for r in rows)))
    error = errors_of(tmp_path / "t.csv", text)
    assert error.startswith(f"{tmp_path / 't.csv'} row 2: {column} is {name!r}, a number without")


def test_names_without_their_last_digits_are_refused_in_any_file(tmp_path: Path) -> None:
    head = ("image", "user", "x", "y")
    long = 1234567890123456789
    users: list[list[object]] = [[long], [1, long], ["NA", long], ["1.2E+11"], [4e15 + 10]]
    for cells in users:
        path = write_sheets(tmp_path / "t.xlsx", day=[head, *(("a", one, 1, 2) for one in cells)])
        _, [error] = gaze_files.read([path], Options(drop_missing=True))
        assert "a number without its last digits" in error, cells
    (tmp_path / "c.json").write_text('[{"name":"a","subject":"1.2E+11","X":[1],"Y":[2]}]')
    assert "user is '1.2E+11', a" in gaze_files.read([tmp_path / "c.json"], Options())[1][0]
    error = errors_of(
        tmp_path / "t.csv", "id,user,x,y\n1.2E+11,P,1,2\n", image_from="{id}.png", format="table",
        columns=(("image", "id"),),
    )  # fmt: skip
    assert "row 1: id is '1.2E+11', a number without its last digits" in error
    error = errors_of(tmp_path / "t.csv", "image,user,x,y\na,p_1.2E+11,1,2\n", user_from="p_(.+)")
    assert "row 1: user is '1.2E+11', a number without its last digits" in error


def test_numbers_with_a_power_and_all_digits_are_names(tmp_path: Path) -> None:
    names = ["99999", "1e+05", "1.25e+06", "1.001000e+03", "2E10", "5e+3"]
    text = "image,user,x,y\n" + "".join(f"a,{name},1,2\n" for name in names)
    (tmp_path / "t.csv").write_text(text)
    known = {"99999", "100000", "1250000", "1001", "2E10", "5e+3"}
    assert set(read(tmp_path / "t.csv").user_ids) == known
    path = write_sheets(
        tmp_path / "t.xlsx", day=[("image", "user", "x", "y"), ("a", 1234567890123456, 1, 2)]
    )
    assert read(path).user_ids == ["1234567890123456"]


def test_numbers_of_excel_that_are_names_get_no_zero(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (("image", "user", "x", "y"), (2.25, 1.101, 1, 5), (7.0, 1.2, 2, 6), ("N", 3, 4, 5)):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    found = read(tmp_path / "t.xlsx")
    assert (found.user_ids, found.image_ids) == (["1.101", "1.2", "3"], ["2.25", "7", "N"])


def test_people_called_like_a_missing_value_are_refused_by_name(tmp_path: Path) -> None:
    head = "MEDIA_ID,MEDIA_NAME,CNT,TIME(2022/09/19 13:34:49.156),FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,"
    text = f"{head}FPOGV\n0,a.jpg,1,.5,.4,.5,.1,.4,1,1\n"
    rule = "expected a name, and 'NA' stands for no value: name the user otherwise"
    assert f"row 1: user is 'NA', {rule}" in errors_of(tmp_path / "NA_fixations.csv", text)
    text = "image,user,x,y\na,sub-01,1,2\nb,sub-NA,1,2\n"
    error = errors_of(tmp_path / "t.csv", text, user_from="sub-(.*)")
    assert f"row 2: user is 'NA', {rule}" in error
    # Names of rows that are left out need not fit.
    options: dict[str, Any] = {"user_from": "sub-(.*)", "ignored_columns": ("k",)}
    (tmp_path / "t.csv").write_text("image,user,x,y,k\na,sub-01,1,2,1\nb,NA,1,2,2\nb,test,1,2,2\n")
    assert read(tmp_path / "t.csv", where=("k == 1",), **options).user_ids == ["01"]


@pytest.mark.parametrize("mark", [",", "."])
def test_thousands_are_refused_by_row_and_column(mark: str, tmp_path: Path) -> None:
    rows = "a\tP\t500\t3\t4\na\tP\t1,204\t4\t5\na\tP\t1,512\t4\t5\n".replace(",", mark)
    path = tmp_path / "t.tsv"
    assert (
        f"t.tsv row 2: x is '1{mark}204', expected a number without marks between thousands "
        "(2 such rows)"
    ) in errors_of(path, "image\tuser\tx\ty\tn\n" + rows, ignored_columns=("n",))
    found = errors_of(
        path,
        "image\tuser\tn\tx\ty\n" + rows,
        ignored_columns=("n",),
        where=("n < 2000",),
    )
    assert f"--where 'n < 2000': {path} row 2: n is '1{mark}204', expected" in found


@pytest.mark.parametrize(
    ("cells", "place"),
    [
        ([("1.204", "512,5"), ("1.300", "3,5")], "row 1: 'x' is '1.204'"),
        ([("1,204", "512.5"), ("1,300", "3.5")], "row 1: 'x' is '1,204'"),
        ([("7", "1.204"), ("3,5", "1.300")], "row 1: 'y' is '1.204'"),
        # Within one column.
        ([("1.204,5", "5"), ("12,5", "6")], "row 1: x is '1.204,5'"),
        # A zero first, or another number of digits: decimals. So are the marks of other columns.
        ([("512,125", "512,5"), ("300", "3,5")], ""),
        ([("512.125", "512.5"), ("300", "3.5")], ""),
        ([("0.204", "512,5"), ("1.300", "3,5")], ""),
        ([("1.2", "512,5"), ("1.300", "3,5")], ""),
    ],
)
def test_other_columns_say_which_mark_is_decimal(
    cells: list[tuple[str, str]], place: str, tmp_path: Path
) -> None:
    text = "image\tuser\tx\ty\n" + "".join(f"a\tP\t{x}\t{y}\n" for x, y in cells)
    if place:
        error = errors_of(tmp_path / "t.tsv", text)
        assert f"t.tsv {place}, " in error
        assert "expected a number without marks between thousands" in error
    else:
        (tmp_path / "t.tsv").write_text(text)
        found = read(tmp_path / "t.tsv").xy
        assert found[0, 1] == 512.5
        assert found[0, 0] in (0.204, 1.2, 512.125)


def test_columns_that_are_not_read_do_not_say_the_decimal_mark(tmp_path: Path) -> None:
    text = "image;user;x;y;rt;answers\na;P;5.5;38.5;1.204;2,4\nb;P;5.5;3.5;2.204;1,3\n"
    (tmp_path / "t.csv").write_text(text)
    options: dict[str, Any] = {"ignored_columns": ("rt", "answers")}
    assert read(tmp_path / "t.csv", where=("rt < 2",), **options).image_ids == ["a"]


@pytest.mark.parametrize(
    ("head", "cells", "where", "message"),
    [
        (
            "RECORDING_SESSION_LABEL;TRIAL_INDEX;CURRENT_FIX_X;CURRENT_FIX_Y;CURRENT_FIX_DURATION;p",
            "p1;1;512,5;384,1;1.204;a.jpg",
            (),
            "row 1: 'CURRENT_FIX_DURATION' is '1.204'",
        ),
        (
            "Stimulus;Participant;Category;Event Duration [ms];Fixation Position X [px];"
            "Fixation Position Y [px]",
            "a.jpg;p1;Fixation;1.204,5;512,5;1.204",
            (),
            "row 1: 'Fixation Position Y [px]' is '1.204'",
        ),
        ("image;user;x;y;k", "a;P;5,5;38;1.204", ("k < 5",), "row 1: 'k' is '1.204'"),
    ],
)
def test_other_columns_say_the_decimal_mark_of_any_format_and_condition(
    head: str, cells: str, where: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    (tmp_path / "t.txt").write_text(f"{head}\n{cells}\n")
    options = Options(where=where, columns=(("image", "image"),) if where else ())
    with pytest.raises(ValueError, match="expected a number without marks") as error:
        gaze_files.read([tmp_path / "t.txt"], options)
    assert message in str(error.value)


SAMPLE = "\ufeff" + text_of("\t", decimal=",")
VALUES = st.sampled_from([1, 2.5, "a", "2026-01-05", None, True, ["a"], [], {"b": 1}])


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.text(alphabet='image,user\nxy\t;"0123.-ANa\x00é', max_size=80).map(
            lambda text: ("image,user,x,y\n" + text).encode()
        ),
        st.integers(0, 200).map(lambda length: SAMPLE.encode("utf-16-le")[:length]),
        st.lists(st.fixed_dictionaries(dict.fromkeys(("image", "user", "x", "y"), VALUES))).map(
            lambda rows: "\n".join(map(json.dumps, rows)).encode()
        ),
        st.integers(0, 90).map(lambda length: gzip.compress(SAMPLE.encode(), mtime=0)[:length]),
    ),
    suffix=st.sampled_from(
        [
            ".csv",
            ".tsv",
            ".txt",
            ".xls",
            ".xlsx",
            ".parquet",
            ".jsonl",
            ".json",
            ".asc",
            ".csv.gz",
            "",
        ]
    ),
)
def test_any_bytes_are_fixations_or_one_line(
    content: bytes, suffix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(content)
    try:
        fixations, errors = gaze_files.read([path], Options())
    except (ValueError, FileNotFoundError) as error:
        errors, fixations = [str(error)], None
    if fixations is None:
        assert errors
        assert all("\n" not in line for line in errors)
        return
    assert len(fixations.xy) >= 1
    assert np.isfinite(fixations.xy).all()
    gaze_files.group_by_image(fixations)


FLAGS = "image,user,x,y,blink\na,P,1,1,TRUE\na,P,2,2,FALSE\nb,P,3,3,NA\n"


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("blink != 1", "row 1: blink is 'TRUE', expected numbers, or a text to compare with, such"),
        ("blink < 1", "(2 such rows)"),
        ("x != nan", "nan equals no number, expected a number, or a text in quotes"),
        ("blink != true", "no cell of 'blink' is 'true' (nearest: 'TRUE'), expected a text that a"),
        ("user != p", "no cell of 'user' is 'p' (it has: 'P'), expected a text that a cell has"),
        ("image == c", "no cell of 'image' is 'c' (it has: 'a', 'b'), expected a text that a cell"),
    ],
)
def test_conditions_that_compare_nothing_are_refused(
    condition: str, message: str, tmp_path: Path
) -> None:
    columns = {"columns": (("image", "image"),)}
    found = errors_of(tmp_path / "t.csv", FLAGS, where=(condition,), **columns)
    assert found.startswith(f"--where {condition!r}: ")
    assert message in found


def test_conditions_say_how_many_rows_they_leave_out(tmp_path: Path) -> None:
    for name, user in (("p.csv", "P"), ("q.csv", "Q")):
        (tmp_path / name).write_text(FLAGS.replace(",P,", f",{user},"))
    where = ("blink != TRUE", "user != R", "x <= 3")
    options = Options(columns=(("image", "image"),), where=where)
    found, errors = gaze_files.read([tmp_path], options)
    assert errors == []
    assert found is not None
    counts = [note for note in found.notes if "rows left out: not" in note]
    assert sorted(counts) == [
        "0 rows left out: not user != R",
        "0 rows left out: not x <= 3",
        "2 rows left out: not blink != TRUE",
    ]
    assert "--where 'user != R': no cell of 'user' is 'R' (it has: 'P', 'Q')" in found.notes
    # Of several files, one may lack a text that another has.
    (tmp_path / "q.csv").write_text(FLAGS.replace(",P,", ",Q,").replace("TRUE", "NA"))
    found, _ = gaze_files.read([tmp_path], options)
    assert found is not None
    assert "1 rows left out: not blink != TRUE" in found.notes


def test_a_file_that_is_named_is_not_left_out(tmp_path: Path) -> None:
    first, other, text = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "c.asc"
    first.write_text("image,user,x,y\na,P,1,2\n")
    other.write_text("image,subject,x,y\na,Q,1,2\n")
    text.write_text("nothing\n")
    with pytest.raises(ValueError, match=r"b\.csv has no column 'user'.*--columns user=subject"):
        gaze_files.read([first, other], Options())
    with pytest.raises(ValueError, match=r"c\.asc is not a file of gaze of the format table, as"):
        gaze_files.read([first, text], Options())
    found, _ = gaze_files.read([tmp_path], Options())  # A folder may hold other files.
    assert found is not None
    what = "left out: not a file of gaze in a known format"
    assert f"{text} {what}" in found.notes
    assert found.warnings == [
        f"{other} {what}, with columns like those of a.csv, and without 'user'"
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"durations": "s"}, "--durations would do nothing: {} has no column 'duration_ms'; it"),
        ({"times": "s"}, "--times would do nothing: {} has no column 't_ms'; it has 'image'"),
        ({"ignored_columns": ("z",)}, "--ignore-columns would do nothing: {} has no column 'z'"),
    ],
)
def test_an_option_of_a_column_that_is_not_there_is_refused(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    found = errors_of(tmp_path / "t.csv", "image,user,x,y\na,P,1,2\n", **options)
    assert found.startswith(message.format(tmp_path / "t.csv"))


def test_bytes_of_a_parquet_table_are_texts(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    cells = {"image": ["a"], "x": [1.0], "y": [2.0]}
    pa.parquet.write_table(pa.table(cells | {"user": pa.array([b"P1"], pa.binary())}), path)
    assert read(path).user_ids == ["P1"]
    pa.parquet.write_table(pa.table(cells | {"user": pa.array([b"\xff"], pa.binary())}), path)
    with pytest.raises(ValueError, match=r"t\.parquet is not a Parquet table: .*UTF8"):
        read(path)


def test_a_session_of_which_no_fixation_is_left_is_named_beside_others(tmp_path: Path) -> None:
    header = "participant,session,MEDIA_NAME,TIME,FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,FPOGV\n"
    for session, is_valid in ((1, 1), (2, 0)):
        text = header + "".join(
            f"{user},{session},a.png,0.3,0.5,0.5,{start},0.2,{number},{valid}\n"
            for number, (user, start, valid) in enumerate(
                (("ann", 0.1, is_valid), ("bob", 0.1, 1)), start=1
            )
        )
        (tmp_path / f"{session}.csv").write_text(text)
    found = read(tmp_path)
    assert found.session_ids == [["1"], ["1", "2"]]
    assert any("'2' of 'ann'" in warning for warning in found.warnings)


def test_conditions_part_what_a_file_joins(tmp_path: Path) -> None:
    """Two sessions of one person, with the same trials, fixations and numbers."""
    head = "session,VP,Img,trial,nth,x,y,fixdur,forced_fix\n"
    lines = [f"{session},1,a.png,1,{nth},9,9,200,0\n" for session in (1, 2, 3) for nth in (1, 2)]
    (tmp_path / "d.csv").write_text(head + "".join(lines))
    found = read(tmp_path / "d.csv", where=("session == 3",), format="daemons")
    assert (found.session_ids, len(found.xy)) == ([["3"]], 2)
    # The eyes of the rows that are left out say nothing of those that are read.
    head = "session,RECORDING_SESSION_LABEL,TRIAL_INDEX,picture,EYE_USED,CURRENT_FIX_X,"
    head += "CURRENT_FIX_Y,CURRENT_FIX_DURATION,CURRENT_FIX_START\n"
    eyes = ((1, "LEFT", 10), (1, "RIGHT", 11), (2, "RIGHT", 250))
    text = "".join(f"{n},P1,1,a.jpg,{eye},{x},9,200,{x}\n" for n, eye, x in eyes)
    (tmp_path / "e.csv").write_text(head + text)
    found = read(tmp_path / "e.csv", where=("session == 2",), image_from="{picture}")
    assert found.xy[:, 0].tolist() == [250]
