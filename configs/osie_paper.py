"""The paper's kind of encoder and loss, on OSIE: image and personal map in, triplets alone.

    python train.py --config=configs/osie_paper.py --workdir=runs/osie_paper

From the paper: RGB and personal map as four channels at 160 x 120, four blocks of convolution,
normalization and ReLU, triplet margin loss, MSE. All other values are ours.

With triplets of single pairs, the loss stays at the margin. With means of six pairs, of any length,
the encoder learns. What else was tried is in docs/results/experiments.md.
"""

from ml_collections import ConfigDict

from gazejax.config.ablations import apply_ablations
from gazejax.configs import ablations as shared
from gazejax.configs import osie_maps


def get_config(ablations: str = "") -> ConfigDict:
    """Every value of the experiment, changed by names of `ABLATIONS`, joined with +."""
    config = osie_maps.get_config()
    encoder = config.encoder
    encoder.model.update(inputs=("image", "personal"), filters=(16, 32, 64, 128))
    encoder.image_size = (120, 160)
    encoder.batch.images_per_user = 12
    encoder.loss.update(margin=1.0, l2_normalize=False, pairs_per_mean=6, classification_weight=0.0)
    encoder.num_steps = 800
    config.saliency.num_steps = 600
    config.controls.train_permuted_encoder = False
    return apply_ablations(config, ABLATIONS, ablations)


# Each changes exactly what it names: `--config=configs/osie_paper.py:pairs_1+l2_normalize`.
ABLATIONS = {
    **shared.VALIDATION,
    **shared.CONTROLS,
    **shared.LOSS,
    **shared.margins(0.2, 0.5, 2),
    **shared.embedding_sizes(4, 8, 16, 32, 128, 256),
    # Triplets compare embeddings of length 1, as most do.
    "l2_normalize": {"encoder.loss.l2_normalize": True},
    # Triplets of single pairs, as in the paper, which did not learn; or of means of three.
    "pairs_1": {"encoder.loss.pairs_per_mean": 1},
    "pairs_3": {"encoder.loss.pairs_per_mean": 3},
    # Users are classified as well.
    "classification": {"encoder.loss.classification_weight": 1.0},
    # Twice as many users, half of them virtual.
    "virtual_users": {"encoder.batch.virtual_users.number": 10},
    # The universal map as an input.
    "universal_map": {"encoder.model.inputs": ("image", "personal", "universal")},
    # Features weighted by gaze, beside their mean.
    "gaze_pooling": {"encoder.model.pooling": "gaze"},
    # Half and twice the width.
    "narrow": {"encoder.model.filters": (8, 16, 32, 64)},
    "wide": {"encoder.model.filters": (32, 64, 128, 256)},
    # Cross-entropy beside the MSE, or alone.
    "mse_and_cross_entropy": shared.UNET_LOSS["mse_and_cross_entropy"],
    "cross_entropy_only": shared.UNET_LOSS["cross_entropy_only"],
}
