"""Which variables may be the image beside a column with names of pictures."""

import pytest

from tfds_builders.common.gaze_files.image_variables import may_be_image

WORDS = [f"w{n}" for n in range(20)]
NUMBERS = [str(n) for n in range(20)]


@pytest.mark.parametrize(
    ("variable", "values", "picture", "num_pictures", "expected"),
    [
        # Beside three cues: texts that are many, or numbers of what is called a picture.
        ("condition", ["near", "far", "valid", "invalid"], "cue", 3, False),
        ("sentence", WORDS, "cue", 3, True),
        ("code", WORDS[:6], "cue", 3, False),
        ("rt", ["312.5", "1e-05", "(12, 3)", "4", "5"], "cue", 3, False),
        *(
            (name, NUMBERS, "cue", 3, True)
            for name in ("image_index", "imageIndex", "StimulusIndex")
        ),
        *((name, NUMBERS, "cue", 3, True) for name in ("item", "itemID", "bildnr", "currentImage")),
        *((name, NUMBERS, "cue", 3, False) for name in ("stim_order", "imageOnset", "picture_ms")),
        *(
            (name, NUMBERS, "cue", 3, False)
            for name in ("trial", "stim_x", "block", "scene_rating")
        ),
        # As many pictures as trials: what is called a cue is none, what is called a picture is it.
        ("scene", WORDS, "target", 20, True),
        ("scene", WORDS, "picture", 20, False),
        ("sentence", WORDS, "target", 20, False),
        *(
            ("scene", WORDS, name, 20, True)
            for name in ("cue_image", "CueImage", "precue", "cuefile", "targetimage", "TARGETIMG")
        ),
        *(
            ("scene", WORDS, name, 20, True)
            for name in ("probepath", "maskimg", "fixcross", "Maske")
        ),
        *(("scene", WORDS, name, 20, False) for name in ("rescue", "failure", "crosswalk")),
        *(
            (name, WORDS, "targetimage", 20, True)
            for name in ("search_array", "display_id", "file_name", "trialimage", "Szene", "im")
        ),
        *(
            (name, WORDS, "targetimage", 20, False)
            for name in ("array_time", "topic", "sceneorder")
        ),
        ("filename", WORDS, "cue", 20, True),
        *((name, NUMBERS, "picture", 3, False) for name in ("SHOW_SCENE", "imgonset", "img_drawn")),
        # Many pictures, each shown again, are the images of the experiment.
        ("sound", [f"{n}.wav" for n in range(90)], "picture", 30, False),
        ("stim_id", [str(n) for n in range(90)], "picture", 30, True),
        # In two scenes each, or two trials.
        ("scene", [f"s{n}" for n in range(60)], "picture", 30, True),
        ("stim_id", [str(n) for n in range(60)], "picture", 30, False),
        # One picture in all trials.
        ("picture", ["1", "2"], "mask", 1, True),
        ("file_of_trial", ["1", "2"], "background", 1, True),
        ("answer", ["1", "2"], "mask", 1, False),
        ("sentence", WORDS, "background", 1, True),
        ("picture", ["1"], "mask", 1, False),
    ],
)
def test_what_may_be_the_image(
    variable: str, values: list[str], picture: str, num_pictures: int, *, expected: bool
) -> None:
    counts = {"num_values": len(values), "num_pictures": num_pictures, "num_trials": 20}
    assert may_be_image(variable, values, picture=picture, **counts) == expected
