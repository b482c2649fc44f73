"""Override sets for what the paper leaves open; the same for every config that takes them in.

The answers are in docs/results/ablations.md, the sweeps that gave them in configs/sweeps/.
"""

SETS = {
    # Users who saw different images: the share of a user's images that all others saw too. In the
    # training of the encoder, in what people are enrolled and compared by, or in both.
    **{f"shared_{share}_train": {"split.train_overlap": share / 100} for share in (100, 50, 25, 0)},
    **{f"shared_{share}_test": {"split.test_overlap": share / 100} for share in (100, 50, 25, 0)},
    **{
        f"shared_{share}": {"split.train_overlap": share / 100, "split.test_overlap": share / 100}
        for share in (100, 50, 25, 0)
    },
    # Where nobody else looked at an image: what others would look at is predicted from the image,
    # or nothing is told but where people look in general.
    "universal_predicted": {"data.universal_map": "predicted"},
    "universal_center": {"data.universal_map": "center_prior"},
    # Every user of a batch with images of their own, even those that others saw too.
    "own_images": {"encoder.sampling.share_images": False},
    # Little gaze of a new person: the first fixations of each viewing, or the first seconds.
    **{
        f"first_{number}_fixations": {"eval.gaze.first_fixations": number}
        for number in (1, 2, 4, 8)
    },
    **{f"first_{ms}_ms": {"eval.gaze.first_ms": float(ms)} for ms in (500, 1000, 2000, 3000)},
    # Little gaze to train with: images, or people. A batch has no more people than there are.
    **{f"images_{number}": {"split.max_train_images": number} for number in (50, 100, 200, 400)},
    **{
        f"users_{number}": {"split.max_seen_users": number, "encoder.sampling.num_users": number}
        for number in (3, 4, 6, 8)
    },
    # Triplets and prototypes, or prototypes in place of the classification.
    "prototypes": {"encoder.loss.prototype_weight": 1.0},
    "prototypes_only": {
        "encoder.loss.prototype_weight": 1.0,
        "encoder.loss.classification_weight": 0.0,
    },
    # The correlation of the maps beside what else stage 2 is trained with.
    "with_cc": {"saliency.loss.cc_weight": 1.0},
}

# Those of a U-Net of three levels: how its decoder is told whose map it is, and where.
UNET_SETS = {
    "film_deepest": {"saliency.conditioned_levels": (0,)},
    "film_finest": {"saliency.conditioned_levels": (2,)},
    "concatenation": {"saliency.conditioning": "concatenation"},
    "last_layer": {"saliency.conditioning": "filters", "saliency.conditioned_levels": (2,)},
}
