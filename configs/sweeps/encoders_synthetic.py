"""Encoders of images and maps on synthetic_gaze, beside what an embedding costs.

    gazejax sweep configs/sweeps/encoders_synthetic.py --workdir runs/encoders_synthetic
    gazejax compare runs/encoders_synthetic

Half of the steps; one fold.
"""

SWEEP = {
    "bases": ("synthetic_gaze:short",),
    "values": {"stage": "encoder", "eval.num_images": (1, 5, 20)},
    "ablations": (
        "gaze_pooling_off",
        "universal_map_off",
        "narrow",
        "wide",
        *(f"embedding_{size}" for size in (4, 64, 256)),
    ),
    "grids": (),
    "seeds": (0, 1, 2),
}
