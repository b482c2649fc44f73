"""Conditioning of stage 2 on synthetic_gaze: how and where, which universal map, which loss?

    gazejax sweep configs/sweeps/conditioning_synthetic.py --workdir runs/conditioning_synthetic
    gazejax compare runs/conditioning_synthetic

Fewer steps of all stages; one fold.
"""

SWEEP = {
    "bases": ("synthetic_gaze:short_saliency",),
    "values": {"eval.num_images": (10,)},
    "ablations": (
        "film_deepest",
        "film_finest",
        "concatenation",
        "last_layer",
        "no_embedding",
        "swapped_embeddings",
        "universal_predicted",
        "universal_center",
        "cross_entropy_only",
        "correlation_only",
    ),
    "grids": (),
    "seeds": (0, 1, 2),
}
