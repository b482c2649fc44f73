"""Both stages on synthetic_gaze, the data set that ships with the project.

    gazejax data build synthetic_gaze
    python train.py --config=configs/synthetic_gaze.py --workdir=runs/demo

About four minutes on two CPU cores; `make demo` runs its ablation `demo`. The networks are those of
configs/osie_maps.py, smaller. All values are ours unless a comment says otherwise.
"""

from ml_collections import ConfigDict

from gazejax.config.ablations import apply_ablations
from gazejax.configs import ablations as shared
from gazejax.configs import osie_maps


def get_config(ablations: str = "") -> ConfigDict:
    """Every value of the experiment, changed by names of `ABLATIONS`, joined with +."""
    config = osie_maps.get_config()
    config.data.name = "synthetic_gaze/default"
    config.split.update(test_rule="hash", folds=4)
    encoder, saliency = config.encoder, config.saliency
    encoder.model.update(filters=(32, 64, 128, 128), pooling="gaze", embedding_size=16)
    encoder.image_size = (60, 80)
    encoder.batch.num_users = 12
    encoder.num_steps = 600
    saliency.model.trunk_filters = (16, 32, 64, 64)
    saliency.update(image_size=(120, 160), map_size=(30, 40), num_steps=500)
    config.universal.num_steps = 300
    config.checkpoint.every = 100
    config.eval.update(truncated_fixations=4, saliency_num_draws=1)
    return apply_ablations(config, ABLATIONS, ablations)


# Each changes exactly what it names: `--config=configs/synthetic_gaze.py:margin_1+narrow`.
ABLATIONS = {
    **shared.OPEN_QUESTIONS,
    **shared.UNET,
    **shared.UNET_LOSS,
    **shared.CONTROLS,
    **shared.LOSS,
    # The margin is a distance; between embeddings of length 1 no square is above 4.
    **shared.margins(0.5, 1),
    # Nine numbers describe a user of this data set.
    **shared.embedding_sizes(4, 8, 32, 64, 128, 256),
    # `make demo`: fewer steps, and no control that trains another encoder.
    "demo": {
        "encoder.num_steps": 500,
        "saliency.num_steps": 260,
        "universal.num_steps": 150,
        "controls.train_permuted_encoder": False,
    },
    # Fewer steps, for sweeps, and fewer draws.
    "short": {
        "encoder.num_steps": 300,
        "encoder.optimizer.warmup_steps": 50,
        "eval.num_draws": 50,
        "controls.train_permuted_encoder": False,
    },
    # Fewer steps of all stages, for sweeps of stage 2.
    "short_saliency": {
        "encoder.num_steps": 300,
        "saliency.num_steps": 200,
        "universal.num_steps": 150,
        **{f"{stage}.optimizer.warmup_steps": 50 for stage in ("encoder", "saliency", "universal")},
        "eval.num_draws": 50,
        "controls.train_permuted_encoder": False,
    },
    # The length of an embedding may grow with what a pair shows.
    "l2_normalize_off": {"encoder.loss.l2_normalize": False},
    # Triplets of means of three pairs.
    "pairs_3": {"encoder.loss.pairs_per_mean": 3},
    # Triplets alone: the paper's loss.
    "classification_off": {"encoder.loss.classification_weight": 0.0},
    # Twice as many users, half of them virtual.
    "virtual_users": {"encoder.batch.virtual_users.number": 12},
    # The paper's inputs, without the universal map.
    "universal_map_off": {"encoder.model.inputs": ("image", "personal")},
    # Without features weighted by gaze, which convolutions can hardly compute from the maps.
    "gaze_pooling_off": {"encoder.model.pooling": "mean"},
    # The personal map alone, without the image.
    "personal_map_only": {"encoder.model.inputs": ("personal",), "encoder.model.pooling": "mean"},
    # Half and twice the width.
    "narrow": {"encoder.model.filters": (16, 32, 64, 64)},
    "wide": {"encoder.model.filters": (64, 128, 256, 256)},
}
