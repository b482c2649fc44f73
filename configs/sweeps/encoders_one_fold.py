"""Encoders of scanpaths on the one fold of map_encoders.py, for one plot of accuracy over cost.

    gazejax sweep configs/sweeps/encoders_one_fold.py --workdir runs/encoders_one_fold
    gazejax compare runs/encoders_one_fold/*/*/seed_* runs/map_encoders/*/*/seed_* --out runs/costs

A third of the steps.
"""

SWEEP = {
    "bases": ("osie:short",),
    "values": {"stage": "encoder", "eval.folds": 1, "eval.num_images": (1, 5, 20)},
    "sets": ("width_32", "width_256", "taste_off", "gaze_alone"),
    "grids": (),
    "seeds": (0, 1),
}
