"""Both stages from maps alone, without pretrained features: the paper's kind of networks, on OSIE.

    gazejax data build osie/gaze --raw DIR
    python train.py --config=configs/osie_maps.py --workdir=runs/osie_maps

With image and maps in a trunk each, joined late, instead of early fusion:

    python train.py --config=configs/osie_maps.py:late_fusion --workdir=runs/osie_late_fusion
    python train.py --config=configs/osie_maps.py:late_fusion_gaze --workdir=runs/osie_late_gaze

All values are ours: the paper did not use OSIE, and most of its numbers are not known to us.
"""

from ml_collections import ConfigDict

from gazejax.config.ablations import apply_ablations
from gazejax.configs import ablations as shared
from gazejax.configs import base


def get_config(ablations: str = "") -> ConfigDict:
    """Every value of the experiment, changed by names of `ABLATIONS`, joined with +."""
    config = base.get_config()
    config.features = ConfigDict({"backbone": "none"})
    encoder, saliency = config.encoder, config.saliency
    encoder.model = ConfigDict(
        {
            "architecture": "early_fusion",  # all inputs as channels, as in the paper
            # The paper's inputs: ("image", "personal"). The universal map shows where all users
            # look, which does not separate users.
            "inputs": ("image", "personal", "universal"),
            "filters": (32, 64, 128, 256),
            "kernel_size": 3,
            "stride": 2,
            "norm_groups": 8,
            # mean: over all positions. gaze: beside it, at every level, weighted by where the user
            # looks more than others do.
            "pooling": "mean",
            "embedding_size": 64,
        }
    )
    with encoder.unlocked():
        del encoder["map_size"]
        encoder.image_size = (96, 128)  # height, width, of images and maps
    encoder.batch.images_per_user = 6
    encoder.batch.virtual_users.number = 0
    encoder.batch.virtual_sessions.update(scale_spread=0.0, duration_spread=0.0, shift_frac=0.0)
    encoder.loss.update(margin=0.2, l2_normalize=True, pairs_per_mean=1)
    encoder.comparison.kind = "distance"
    encoder.num_steps = 1200
    encoder.optimizer.update(warmup_steps=100, weight_decay=1e-4)
    saliency.model = ConfigDict(
        {
            "architecture": "unet",
            "trunk_filters": (32, 64, 128, 128),
            "decoder_filters": (32, 32, 32),  # from the deepest level up
            # How the decoder is conditioned on the embedding, and at which of its levels; ours:
            # film, concatenation, or filters of the last layer.
            "conditioning": "film",
            "conditioned_levels": (0, 1, 2),
            "norm_groups": 8,
        }
    )
    with saliency.unlocked():
        saliency.image_size = (144, 192)
    saliency.loss.cross_entropy_weight = 0.0  # MSE alone: the paper's loss
    saliency.batch.enrolment_images = (10, 50)
    saliency.num_steps = 1200
    saliency.optimizer.update(learning_rate=2e-3, warmup_steps=100, weight_decay=1e-4)
    config.universal.optimizer.update(learning_rate=2e-3, warmup_steps=100)
    config.checkpoint.every = 200
    return apply_ablations(config, ABLATIONS, ablations)


_LATE_FUSION = {
    "architecture": "late_fusion",
    "inputs": ("personal", "universal"),  # beside the image
    "filters": (32, 64, 128, 128),  # of the image
    "map_filters": (32, 64, 128, 128),
    "kernel_size": 3,
    "stride": 2,
    "norm_groups": 8,
    "embedding_size": 64,
}

# Each changes exactly what it names: `--config=configs/osie_maps.py:validation+embedding_16`.
ABLATIONS = {
    **shared.OPEN_QUESTIONS,
    **shared.UNET,
    **shared.UNET_LOSS,
    **shared.VALIDATION,
    **shared.CONTROLS,
    **shared.LOSS,
    # The margin is a distance; between embeddings of length 1 no square is above 4.
    **shared.margins(0.5, 1),
    **shared.embedding_sizes(4, 8, 16, 32, 128, 256),
    # Fewer steps, for sweeps, and fewer draws.
    "short": {
        "encoder.num_steps": 300,
        "encoder.optimizer.warmup_steps": 50,
        "eval.num_draws": 50,
        "controls.train_permuted_encoder": False,
    },
    # A trunk each for image and maps, joined late; or the image's trunk averaged by gaze.
    "late_fusion": {"encoder.model": _LATE_FUSION | {"pooling": "mean"}},
    "late_fusion_gaze": {"encoder.model": _LATE_FUSION | {"pooling": "gaze"}},
    # Features weighted by gaze, beside their mean. It overfitted: unseen ROC-AUC at n = 10 of 0.803
    # against 0.835 (fold 0, 1200 steps, seed 0).
    "gaze_pooling": {"encoder.model.pooling": "gaze"},
    # The paper's inputs, without the universal map.
    "universal_map_off": {"encoder.model.inputs": ("image", "personal")},
    # The length of an embedding may grow with what a pair shows.
    "l2_normalize_off": {"encoder.loss.l2_normalize": False},
    # Triplets of means of three pairs.
    "pairs_3": {"encoder.loss.pairs_per_mean": 3},
    # Triplets alone: the paper's loss.
    "classification_off": {"encoder.loss.classification_weight": 0.0},
    # Twice as many users, half of them virtual.
    "virtual_users": {"encoder.batch.virtual_users.number": 10},
    # Half the width; fewer and more levels; smaller images; one group: all channels together.
    "narrow": {"encoder.model.filters": (16, 32, 64, 128)},
    "shallow": {"encoder.model.filters": (32, 64, 128)},
    "deep": {"encoder.model.filters": (32, 64, 128, 256, 256)},
    "small_images": {"encoder.image_size": (48, 64)},
    "one_group": {"encoder.model.norm_groups": 1},
}
