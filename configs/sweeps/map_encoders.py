"""Encoders of images and maps from scratch, on OSIE, beside what an embedding costs.

    gazejax sweep configs/sweeps/map_encoders.py --workdir runs/map_encoders
    gazejax compare runs/map_encoders

A quarter of the steps; one fold.
"""

SWEEP = {
    "bases": ("osie_maps:short",),
    "values": {"stage": "encoder", "eval.num_images": (1, 5, 20)},
    "ablations": (
        "late_fusion",
        "late_fusion_gaze",
        "gaze_pooling",
        "universal_map_off",
        "narrow",
        "shallow",
        "deep",
        "small_images",
        "one_group",
        "embedding_8",
    ),
    "grids": (),
    "seeds": (0, 1),
}
