"""Little gaze on OSIE: to enrol with (images, fixations, milliseconds), or to train with.

    gazejax sweep configs/sweeps/little_gaze.py --workdir runs/little_gaze
    gazejax compare runs/little_gaze

The numbers of enrolment images are columns of every run. On all three folds, a third of the steps.
"""

SWEEP = {
    "bases": ("osie:short",),
    "values": {"stage": "encoder", "eval.num_images": (1, 2, 5, 10, 20, 50)},
    "ablations": (
        "first_1_fixations",
        "first_2_fixations",
        "first_4_fixations",
        "first_8_fixations",
        "first_500_ms",
        "first_1000_ms",
        "first_2000_ms",
        "users_3",
        "users_6",
        "images_50",
        "images_200",
    ),
    "grids": (),
    "seeds": (0, 1, 2),
}
