"""Encoders of scanpaths on the one fold of map_encoders.py, for one plot of accuracy over cost.

    gazejax sweep configs/sweeps/encoders_one_fold.py --workdir runs/encoders_one_fold
    gazejax compare runs/encoders_one_fold/*/*/seed_* runs/map_encoders/*/*/seed_* --out runs/costs

A third of the steps.
"""

SWEEP = {
    "bases": ("configs/osie.py:short",),
    "values": {"stage": "encoder", "split.cross_validate": False, "eval.num_images": (1, 5, 20)},
    "ablations": ("width_32", "width_256", "preference_off", "scanpath_only"),
    "grids": (),
    "seeds": (0, 1),
}
