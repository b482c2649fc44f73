"""Both stages on OSIE: 15 users, 700 images, free viewing for 3 s. The best config known here.

    gazejax data build osie/gaze --raw DIR
    python train.py --config=configs/osie.py --workdir=runs/osie

About five minutes on one CPU core, controls and evaluation included. Unseen users, n = 10, three
folds, seed 0, commit b37c5b1: ROC-AUC 0.946, rank-1 0.855, within recordings of one session. What
was tried is in docs/results/experiments.md.

All values are ours: the paper did not use OSIE, and most of its numbers are not known to us.
"""

from ml_collections import ConfigDict

from gazejax.config.ablations import apply_ablations
from gazejax.configs import ablations as shared
from gazejax.configs import base, osie_maps


def get_config(ablations: str = "") -> ConfigDict:
    """Every value of the experiment, changed by names of `ABLATIONS`, joined with +."""
    return apply_ablations(base.get_config(), ABLATIONS, ablations)


_NO_PREFERENCE = {
    "features": {"backbone": "none"},
    "encoder.model.preference_scale": 0.0,
    "saliency": osie_maps.get_config().saliency.to_dict(),
}

# Each changes exactly what it names: `--config=configs/osie.py:margin_0.2+memory_off`.
ABLATIONS = {
    **shared.OPEN_QUESTIONS,
    **shared.VALIDATION,
    **shared.CONTROLS,
    **shared.LOSS,
    **shared.margins(0.2, 0.5, 2),
    **shared.embedding_sizes(4, 8, 16, 32, 128, 256),
    # A third of the steps, for sweeps: all folds, and fewer draws.
    "short": {
        "encoder.num_steps": 500,
        "encoder.optimizer.warmup_steps": 50,
        "split.cross_validate": True,
        "eval.num_draws": 50,
        "controls.train_permuted_encoder": False,
    },
    # Half the steps of stage 2, for sweeps of stage 2, and one draw of enrolment images.
    "short_saliency": {
        "saliency.num_steps": 300,
        "saliency.optimizer.warmup_steps": 30,
        "universal.num_steps": 200,
        "universal.optimizer.warmup_steps": 20,
        "eval.saliency_num_draws": 1,
        "encoder.num_steps": 500,
        "encoder.optimizer.warmup_steps": 50,
        "eval.num_draws": 50,
        "controls.train_permuted_encoder": False,
    },
    # Sessions: no virtual ones; known ones joined; embeddings compared by their distance.
    "virtual_sessions_off": {
        "encoder.batch.virtual_sessions": {
            "scale_spread": 0.0,
            "duration_spread": 0.0,
            "shift_frac": 0.0,
            "without_durations": 0.0,
        },
    },
    # A share of the virtual sessions without durations.
    **{
        f"without_durations_{share}": {"encoder.batch.virtual_sessions.without_durations": share}
        for share in (0.25, 0.5)
    },
    "sessions_joined": {"encoder.batch.split_sessions": False},
    "compared_by_distance": {"encoder.comparison.kind": "distance"},
    # Scanpaths alone: neither universal map nor image features.
    "scanpath_only": {
        "encoder.model.inputs": ("position", "duration", "order", "step"),
        **_NO_PREFERENCE,
    },
    # Triplets compare embeddings of length 1, as most do.
    "l2_normalize": {"encoder.loss.l2_normalize": True},
    # Triplets of single pairs, as in the paper; or of means of six.
    "pairs_1": {"encoder.loss.pairs_per_mean": 1},
    "pairs_6": {"encoder.loss.pairs_per_mean": 6},
    # Triplets alone: the paper's loss.
    "classification_off": {"encoder.loss.classification_weight": 0.0},
    # Real users only.
    "virtual_users_off": {"encoder.batch.virtual_users.number": 0},
    # Scale of the preference vector in the embedding.
    "preference_0.2": {"encoder.model.preference_scale": 0.2},
    "preference_1": {"encoder.model.preference_scale": 1.0},
    # No pretrained features: scanpaths alone in stage 1, pixels in stage 2.
    "preference_off": _NO_PREFERENCE,
    # Positions and their order, without durations: durations alone separate users.
    "durations_off": {"encoder.model.inputs": ("position", "order", "step", "density")},
    **{f"width_{width}": {"encoder.model.width": width} for width in (32, 64, 256)},
    # The shipped model (`make models`), which also embeds gaze without durations.
    "shipped": {
        **shared.SHIPPED,
        "encoder.batch.virtual_sessions.without_durations": 0.25,
        "split.cross_validate": True,
    },
    # Stage 2 without a memory of seen users, or with weights of features in place of FiLM.
    "memory_off": {"saliency.model.memory.kind": "none"},
    "feature_weights": {"saliency.model.memory.kind": "feature_weights"},
    # One loss of stage 2 alone; MSE is the paper's.
    "mse_only": {"saliency.loss.cross_entropy_weight": 0.0},
    "cross_entropy_only": {"saliency.loss.mse_weight": 0.0},
    "correlation_only": {
        "saliency.loss": {
            "mse_weight": 0.0,
            "cross_entropy_weight": 0.0,
            "correlation_weight": 1.0,
        }
    },
}
