"""Encoder architectures on OSIE, beside what an embedding costs.

    gazejax sweep configs/sweeps/encoders.py --workdir runs/encoders
    gazejax compare runs/encoders

Encoders of scanpaths, with and without pretrained features; those of images and maps are in
map_encoders.py. On all three folds, a third of the steps.
"""

SWEEP = {
    "bases": ("osie:short",),
    "values": {"stage": "encoder", "eval.num_images": (1, 5, 20)},
    "ablations": (
        *(f"embedding_{size}" for size in (4, 16, 256)),
        "width_32",
        "width_256",
        "preference_off",
        "scanpath_only",
        "durations_off",
    ),
    "grids": (),
    "seeds": (0, 1, 2),
}
