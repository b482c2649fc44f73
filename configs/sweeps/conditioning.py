"""Conditioning of stage 2 on OSIE: how, with which universal map, and by which loss?

    gazejax sweep configs/sweeps/conditioning.py --workdir runs/conditioning
    gazejax compare runs/conditioning

One fold, a third of the steps of stage 1 and half of those of stage 2.
"""

SWEEP = {
    "bases": ("osie:short_saliency",),
    "values": {"eval.num_images": (10,)},
    "ablations": (
        "memory_off",
        "feature_weights",
        "no_embedding",
        "swapped_embeddings",
        "universal_predicted",
        "universal_center",
        "mse_only",
        "cross_entropy_only",
        "correlation_only",
    ),
    "grids": (),
    "seeds": (0, 1, 2),
}
