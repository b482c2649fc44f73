"""Results of a check of raw data."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfds_builders.common import raw_check
from tfds_builders.common.build import Options
from tfds_builders.common.coordinates import IMAGE_PX
from tfds_builders.gaze_table import make_dummy_data

DUMMY_DIR = Path(make_dummy_data.__file__).parent / "dummy_data"
BUILDERS_DIR = Path(raw_check.__file__).parents[1]
WHOLE = Options(table=DUMMY_DIR / "gaze.csv", images_dir=DUMMY_DIR / "images")


def check(options: Options, min_images: int = 1) -> raw_check.Findings:
    """Checks a table."""
    return raw_check.check("gaze_table", options, min_images=min_images, seed=0)


def test_facts_of_the_dummy_table() -> None:
    findings = check(WHOLE, min_images=2)
    facts = dict(findings.facts)
    assert facts["images"] == "3"
    assert facts["users"] == "2"
    assert facts["fixations"] == "7"
    assert facts["fixations of a viewing"] == "1 to 2, median 1"
    assert facts["viewings"] == "5 by 4 pairs of a user and an image"
    assert facts["complete"] == "66.7% of all such pairs were viewed"
    assert facts["outside their image"] == "1 (14.29%)"
    assert findings.errors == []
    assert "14% of the fixations are outside their image" in findings.warnings[0]
    assert check(WHOLE, min_images=3).warnings[-1] == (
        "2 users have gaze on fewer than 3 images: 'ann' (2), 'bob' (2)"
    )


def test_of_many_users_with_few_images_some_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_check, "_MAX_NAMES", 1)
    assert check(WHOLE, min_images=3).warnings[-1] == (
        "2 users have gaze on fewer than 3 images: 'ann' (2) and 1 more"
    )


def test_a_table_is_checked_without_images() -> None:
    findings = check(WHOLE._replace(images_dir=None))
    assert dict(findings.facts)["fixations"] == "7"
    assert "image sizes" not in dict(findings.facts)
    assert (findings.errors, findings.gaze) == ([], [])


def test_all_errors_are_reported_with_their_rows(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("image,user,x,y,duration_ms\na.jpg,u,x,2,1\na.jpg,u,1,nan,-1\n")
    assert check(WHOLE._replace(table=table)).errors == [
        f"{table} row 1: x is 'x', expected a number",
        f"{table} row 2: y is 'nan', expected a finite number",
        f"{table} row 2: duration_ms is '-1', expected no negative number",
    ]
    images_dir = Path(shutil.copytree(DUMMY_DIR / "images", tmp_path / "images"))
    (images_dir / "a.jpg").write_bytes(b"no image")
    (images_dir / "b c.png").unlink()
    missing, broken = check(WHOLE._replace(images_dir=images_dir)).errors
    missing, _, advice = missing.partition("; ")
    assert missing.endswith(f"gaze.csv row of image 'b c.png': {images_dir} has no such file")
    assert "--image-from names the images, such as '{stem}.png'" in advice
    assert "a.jpg does not decode" in broken


def test_a_user_without_gaze_inside_an_image_is_named(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("image,user,x,y\na.jpg,u,1,2\na.jpg,away,-1,2\n")
    warnings = check(WHOLE._replace(table=table)).warnings
    assert "users without any fixation inside an image: 'away'" in warnings


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("osie", "osie/gaze"), ("personalized_saliency", "personalized_saliency/gaze")],
)
def test_a_release_is_identified_by_its_files(folder: str, kind: str) -> None:
    assert raw_check.find_kind(BUILDERS_DIR / folder / "dummy_data") == kind


def test_other_paths_have_no_kind(tmp_path: Path) -> None:
    assert raw_check.find_kind(DUMMY_DIR / "gaze.csv") == "gaze_table"
    assert raw_check.find_kind(DUMMY_DIR) == "gaze_table"
    with pytest.raises(ValueError, match="is not a known release, expected data/eye"):
        raw_check.find_kind(tmp_path)
    with pytest.raises(FileNotFoundError, match="none does not exist"):
        raw_check.find_kind(tmp_path / "none")
    (tmp_path / "fixations.csv").touch()
    assert raw_check.find_kind(tmp_path) == "individual_differences"
    # An export of Pupil Cloud has a table of the same name.
    (tmp_path / "fixations.csv").write_text(
        "section id,recording id,fixation id,start timestamp [ns],end timestamp [ns],"
        "duration [ms],fixation detected on surface,fixation x [normalized],"
        "fixation y [normalized]\n"
    )
    assert raw_check.find_kind(tmp_path) == "gaze_table"


def test_an_error_of_a_builder_is_an_error_of_the_check() -> None:
    options = Options(raw_dir=BUILDERS_DIR / "osie" / "dummy_data")
    findings = raw_check.check("osie/gaze", options, min_images=1, seed=0)
    assert len(findings.errors) == 1
    assert "fixations has 3 elements, expected 700" in findings.errors[0]


def test_gaze_is_plotted_at_its_coordinates(tmp_path: Path) -> None:
    """Two pictures of one viewing with two origins differ at the gaze only."""
    pictures = []
    for name, origin_px in (("one", 0.5), ("other", 0), ("again", 0.5)):
        findings = check(WHOLE._replace(convention=IMAGE_PX._replace(origin_px=origin_px)))
        assert {viewing.image_id for viewing in findings.gaze} == {
            "a.jpg",
            "b c.png",
            "more/grey.png",
        }
        raw_check.plot_scanpaths(findings.gaze, tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as picture:
            pictures.append(np.asarray(picture.convert("RGB")).astype(int))
    np.testing.assert_array_equal(pictures[0], pictures[2])
    changed = np.abs(pictures[0] - pictures[1]).max(axis=-1) > 0
    assert 0.001 < changed.mean() < 0.2


def test_any_place_and_name_is_plotted(tmp_path: Path) -> None:
    xy_px = np.array([[1e300, -1e300], [20.0, 10.0]])
    image = Image.new("RGB", (40, 30))
    # A formula that the library would refuse.
    viewing = raw_check.Viewing("a$\\frac$.png", "P", image, (40, 30), xy_px)
    raw_check.plot_scanpaths([viewing], tmp_path / "p.png")
    assert raw_check.is_plot(tmp_path / "p.png")


def test_copies_are_named(tmp_path: Path) -> None:
    images_dir = Path(shutil.copytree(DUMMY_DIR / "images", tmp_path / "images"))
    assert not [text for text in check(WHOLE).warnings if "copies" in text]
    with Image.open(images_dir / "a.jpg") as image:
        image.resize((80, 60)).save(images_dir / "b c.png")
    warnings = check(WHOLE._replace(images_dir=images_dir)).warnings
    assert (
        "images 'a.jpg', 'b c.png' are copies of each other, exactly or nearly: splits by hash "
        "keep them on one side"
    ) in warnings


def test_the_nearest_file_of_a_missing_image_is_offered(tmp_path: Path) -> None:
    images_dir = Path(shutil.copytree(DUMMY_DIR / "images", tmp_path / "images"))
    (images_dir / "b c.png").rename(images_dir / "b d.png")
    [error] = check(WHOLE._replace(images_dir=images_dir)).errors
    assert f"row of image 'b c.png': {images_dir} has no such file; nearest: 'b d.png'; " in error


def test_a_large_picture_is_reduced_before_it_is_drawn(tmp_path: Path) -> None:
    Image.new("L", (3000, 1500), 90).save(tmp_path / "large.png")
    (tmp_path / "t.csv").write_text("image,user,x,y\nlarge.png,u,2999,10\n")
    [viewing] = check(Options(table=tmp_path / "t.csv", images_dir=tmp_path)).gaze
    assert viewing.image.size == (1000, 500)
    assert viewing.size_px == (3000, 1500)
    assert viewing.xy_px.tolist() == [[2999, 10]]


def test_the_option_of_exif_holds_for_a_check(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", exif=exif)
    (tmp_path / "t.csv").write_text("image,user,x,y\na.jpg,u,35,10\na.jpg,u,10,35\n")
    options = Options(table=tmp_path / "t.csv", images_dir=tmp_path)
    [error] = check(options).errors
    assert "a.jpg: its EXIF orientation is 6" in error
    for how, size in (("ignore", "40 x 30 (1)"), ("turn", "30 x 40 (1)")):
        facts = dict(check(options._replace(exif=how)).facts)  # type: ignore[arg-type]
        assert facts["image sizes"] == size
        assert facts["outside their image"] == "1 (50.00%)"


def test_sessions_are_counted_and_named(tmp_path: Path) -> None:
    table = tmp_path / "gaze.csv"
    rows = ["1.png,ann,day1,5,5", "2.png,ann,day2,5,5", "1.png,bob,day1,9,5"]
    table.write_text("\n".join(["image,user,session,x,y", *rows]) + "\n")
    facts = dict(check(Options(table=table, images_dir=None)).facts)
    assert facts["sessions"] == "1 to 2 of each user, with 2 names: 'day1', 'day2'"
    assert "sessions" not in dict(check(WHOLE).facts)
