"""Named changes that several configs share.

The results are in docs/results/ablations.md; the sweeps that gave them are in configs/sweeps/.
"""

# Of every config.
CONTROLS = {
    # An encoder trained on permuted user labels; an encoder that is not trained.
    "permuted_labels": {"controls.encoder_user_labels": "permuted"},
    "random_encoder": {"encoder.num_steps": 0, "encoder.optimizer.warmup_steps": 0},
    # A saliency network that is given no embedding, or those of other users.
    "no_embedding": {"controls.embeddings": "zero"},
    "swapped_embeddings": {"controls.embeddings": "swapped"},
}
MINING = {
    # One random triplet for each anchor, or hard triplets.
    f"mining_{mining}": {"encoder.loss.mining": mining}
    for mining in ("random", "semi_hard", "batch_hard")
}
LOSS = {
    **MINING,
    # Not squared: far pairs pull less.
    "euclidean": {"encoder.loss.distance": "euclidean"},
}
# A model for others: no parameter is of a single user, and maps have four times as many positions.
SHIPPED = {
    "saliency.model.memory.kind": "none",
    "encoder.map_size": (72, 96),
    "saliency.map_size": (72, 96),
    "controls.train_permuted_encoder": False,
}
# Without the unseen users and test images of the reported metrics, to choose a config by. Of ten
# seen users, six or seven are left to train with.
VALIDATION = {
    "validation": {
        "split.purpose": "validation",
        "encoder.batch.num_users": 6,
        "saliency.batch.users_per_image": 6,
    }
}

# What the paper leaves open.
OPEN_QUESTIONS = {
    # Users who saw different images: the share of a user's images that all others saw too. In the
    # training of the encoder, in enrolment and comparison, or in both.
    **{
        f"overlap_{share}_train": {"split.train_image_overlap": share / 100}
        for share in (100, 50, 25, 0)
    },
    **{
        f"overlap_{share}_test": {"split.test_image_overlap": share / 100}
        for share in (100, 50, 25, 0)
    },
    **{
        f"overlap_{share}": {
            "split.train_image_overlap": share / 100,
            "split.test_image_overlap": share / 100,
        }
        for share in (100, 50, 25, 0)
    },
    # Universal maps for images that no other user saw: predicted from the image, or the mean
    # training map.
    "universal_predicted": {"data.universal_map": "predicted"},
    "universal_center": {"data.universal_map": "center_prior"},
    # Each user of a batch with other images, even where others saw them too.
    "different_images": {"encoder.batch.same_images": False},
    # Little gaze of an unseen user: the first fixations of each viewing, or the first seconds.
    **{
        f"first_{number}_fixations": {"eval.gaze.first_fixations": number}
        for number in (1, 2, 4, 8)
    },
    **{f"first_{ms}_ms": {"eval.gaze.first_ms": float(ms)} for ms in (500, 1000, 2000, 3000)},
    # Few training images, or few seen users. A batch has no more users than there are.
    **{f"images_{number}": {"split.max_train_images": number} for number in (50, 100, 200, 400)},
    **{
        f"users_{number}": {"split.max_seen_users": number, "encoder.batch.num_users": number}
        for number in (3, 4, 6, 8)
    },
    # Triplets and prototypes, or prototypes in place of the classification.
    "prototypes": {"encoder.loss.prototype_weight": 1.0},
    "prototypes_only": {
        "encoder.loss.prototype_weight": 1.0,
        "encoder.loss.classification_weight": 0.0,
    },
    # The correlation of the maps beside the other losses of stage 2.
    "with_correlation": {"saliency.loss.correlation_weight": 1.0},
}

# Of map encoders and the U-Net.
UNET = {
    # Conditioning at one level, of a decoder of three.
    "film_deepest": {"saliency.model.conditioned_levels": (0,)},
    "film_finest": {"saliency.model.conditioned_levels": (2,)},
    "concatenation": {"saliency.model.conditioning": "concatenation"},
    "last_layer": {
        "saliency.model.conditioning": "filters",
        "saliency.model.conditioned_levels": (2,),
    },
}
UNET_LOSS = {
    # Cross-entropy beside the MSE, or alone; the correlation alone.
    "mse_and_cross_entropy": {"saliency.loss.cross_entropy_weight": 1.0},
    "cross_entropy_only": {
        "saliency.loss.mse_weight": 0.0,
        "saliency.loss.cross_entropy_weight": 1.0,
    },
    "correlation_only": {
        "saliency.loss.mse_weight": 0.0,
        "saliency.loss.correlation_weight": 1.0,
    },
}


def embedding_sizes(*sizes: int) -> dict[str, dict[str, int]]:
    """Other sizes of the learnt part of an embedding."""
    return {f"embedding_{size}": {"encoder.model.embedding_size": size} for size in sizes}


def margins(*margins: int | float) -> dict[str, dict[str, int | float]]:
    """Other margins; a margin is a distance, so that its meaning depends on the embeddings."""
    return {f"margin_{margin}": {"encoder.loss.margin": margin} for margin in margins}
