"""Little gaze on synthetic_gaze: to enrol with (images, fixations, milliseconds), or to train with.

    gazejax sweep configs/sweeps/little_gaze_synthetic.py --workdir runs/little_gaze_synthetic
    gazejax compare runs/little_gaze_synthetic

The numbers of enrolment images are columns of every run. Half of the steps; one fold.
"""

SWEEP = {
    "bases": ("synthetic_gaze:short",),
    "values": {"stage": "encoder", "eval.num_images": (1, 2, 5, 10, 20, 50)},
    "ablations": (
        "first_1_fixations",
        "first_2_fixations",
        "first_4_fixations",
        "first_500_ms",
        "first_1000_ms",
        "users_3",
        "users_6",
        "images_50",
        "images_200",
    ),
    "grids": (),
    "seeds": (0, 1, 2),
}
