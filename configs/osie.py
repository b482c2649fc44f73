"""Both stages on OSIE: 15 users, 700 images, free viewing for 3 s.

    gazejax data build osie/gaze --raw DIR
    python train.py --config=configs/osie.py --workdir=runs/osie

About three minutes on one CPU core, controls and evaluation included. What was tried, with figures,
is in docs/results/experiments.md.

All values are ours: the paper did not use OSIE, and most of its numbers are not known to us.
"""

from gazejax.configs.sets import questions
from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from gazejax.config.ablations import apply_ablations
from gazejax.configs import osie_maps


def get_config(sets: str = "") -> ConfigDict:
    """Every value of the experiment, changed by the named sets of `SETS`."""
    config = ConfigDict(
        {
            "seed": 0,
            "stage": "all",  # one stage, or all: one after the other
            "data": {
                "name": "osie/gaze",
                "data_dir": placeholder(str),  # None: the default folder of TFDS
                "sigma_frac": 0.03,  # of the image width, for every map; about 1 degree on OSIE
                "first_trial_only": False,  # where somebody looked at an image several times
                "drop_first_fixation": False,  # of every trial
                "keep_one_in": 1,  # of a trial's rows; more where a mouse was tracked
                # What the networks are told of where others look: the mean map of the seen users
                # (group), one predicted from the image (predicted), or the mean training map
                # (center_prior).
                "universal_map": "group",
                # Where images lie: all on each device, or read for each step (stream); auto: the
                # devices if they have the room.
                "residency": "auto",
                "stream": {"num_threads": 4, "num_prefetched": 8},  # batches ahead
            },
            "split": {
                # validation: without the users and images of the figures, to choose a config by
                "purpose": "test",
                "test_rule": "osie",  # osie or hash
                "hash_seed": 0,  # rule hash, validation
                "hash_one_in": 5,  # rule hash, validation: one in five images is a test image
                "folds": 3,  # of users
                "fold": 1,  # users fold, fold + folds, ... are never seen in training
                "min_images": 2,  # users who saw fewer training or test images take no part
                "max_seen_users": placeholder(int),  # None: all
                "max_train_images": placeholder(int),  # likewise
                # Share of images that users have in common; see `splits.share_images`; None: all.
                "train_overlap": placeholder(float),
                "test_overlap": placeholder(float),
            },
            # Needs the extra `pretrained`.
            "features": {
                "backbone": "efficientnet_lite0",
                "image_size": (288, 384),
                "strides": (8, 16, 32),  # levels of the backbone
                "components": (12, 24, 24),  # principal components of each
            },
            "encoder": {
                "architecture": "scanpath",  # every fixation described, then a deep set
                "inputs": ("position", "duration", "order", "step", "density"),
                "image_size": (36, 48),  # height, width; here of the universal map alone
                "width": 128,
                # The embedding ends with the features of what the person looks at more than others
                # do, times this: enough for stage 2, little enough for stage 1.
                "taste_scale": 0.5,
                "embedding_size": 64,
                "sampling": {
                    "num_users": 10,
                    "images_per_user": 12,
                    "share_images": True,  # nothing but gaze tells the users of a batch apart
                    # Users made of the drawn ones by warping all their gaze in one way; ours.
                    "virtual_users": {
                        "number": 10,
                        "mirror": True,
                        "scale_spread": 0.15,
                        "duration_spread": 0.15,
                        "shift_frac": 0.05,
                    },
                },
                "loss": {
                    "margin": 1.0,
                    "distance": "squared_euclidean",
                    "unit_length": False,
                    "mining": "batch_all",
                    "pairs_per_embedding": 3,  # triplets compare means of so many pairs
                    "classification_weight": 1.0,  # beside the triplets; 0: the paper
                    "prototype_weight": 0.0,  # and of the prototype loss; ours
                },
                "num_steps": 1500,
                "optimizer": {
                    "learning_rate": 2e-3,
                    "warmup_steps": 150,
                    "weight_decay": 1e-2,
                    "clip_norm": 1.0,
                },
            },
            "saliency": {
                "architecture": "taste",  # features weighed by the person's taste
                "map_size": (36, 48),  # of the universal, true and predicted maps
                # MSE alone: the paper's.
                "loss": {"mse_weight": 1.0, "kld_weight": 1.0, "cc_weight": 0.0},
                "width": 32,
                # What counts of people of the training: their `taste` alone, or as well what is
                # remembered of them: weights of features (`filters`), or scale and shift of two
                # layers (`film`).
                "conditioning": "film",
                "memory": {
                    # Who is known: see `gazejax.models.taste.SeenUserRecognizer`.
                    "radius": 0.35,
                    "softness": 0.05,
                    "width": 16,
                    "weight_decay": 0.3,  # Strong: what is remembered overfits first.
                },
                "sampling": {
                    "num_images": 8,
                    "users_per_image": 8,
                    "enrolment_images": (5, 50),  # drawn anew for each map, uniform in this range
                },
                "num_steps": 600,
                "optimizer": {
                    "learning_rate": 5e-3,
                    "warmup_steps": 60,
                    "weight_decay": 1e-2,
                    "clip_norm": 1.0,
                },
            },
            # The universal map of an image nobody has looked at, predicted: the saliency network
            # without a person, starting from the mean training map.
            "universal": {
                "num_images": 16,
                "num_steps": 400,
                "optimizer": {
                    "learning_rate": 1e-2,
                    "warmup_steps": 40,
                    "weight_decay": 1e-4,
                    "clip_norm": 1.0,
                },
            },
            "controls": {
                # Trains a second encoder on gaze whose owners are permuted within each image.
                "permuted_users": True,
                # Whose gaze the encoder itself learns from: everybody's own, or permuted likewise.
                "gaze": "own",
                # What stage 2 is told of people, in training and evaluation: their own embeddings;
                # none; or swapped, each one of somebody else who saw that image.
                "embeddings": "own",
            },
            "training": {
                # Of the layers; bfloat16 pays on accelerators only. Parameters, sums and losses
                # are float32 either way.
                "compute_dtype": "float32",
                "steps_per_dispatch": 1,  # more only on accelerators
                "log_every": 20,
                "max_skipped_in_a_row": 10,  # updates that were not finite, before training stops
            },
            "checkpoint": {
                "every": 300,
                "keep": 2,  # of the newest
                # True: go on although values of the config, or the data, changed, and say which.
                "accept_changes": False,
            },
            "eval": {
                # 1: the one fold of `split`. More: cross-validation, a training for each fold of so
                # many, in workdir/fold_0, ...; it sets split.folds and split.fold.
                "folds": 1,
                "seed": 0,
                "batch_size": 256,
                "num_images": (1, 5, 10, 20, 50),  # enrolment and probe images of stage 1
                "num_draws": 100,
                "samples_per_user": 10,  # of MAP@R, at most; each from n other images
                # Of every viewing, for stage 1; None: all.
                "gaze": {"first_fixations": placeholder(int), "first_ms": placeholder(float)},
                "common_fixations": 6,  # the control with scanpaths cut to equally many
                "saliency_num_images": (10, 50),  # enrolment images of stage 2
                "saliency_num_draws": 2,
                "num_derangements": 4,
                "num_resamples": 1000,  # of the bootstrap and the permutation test
                # The baseline without learning: what is tried for each user; see
                # `baselines.calibrate`.
                "calibration": {
                    "spread_frac": (0.0, 0.02, 0.04),
                    "gain": (0.6, 0.8, 1.0, 1.25, 1.5),
                    "center_weight": (-0.25, 0.0, 0.25, 0.5),
                },
            },
        }
    )
    return apply_ablations(config, SETS, sets)


# Each changes exactly what it names: `--config=configs/osie.py:margin_0.2+film_off`.
SETS = {
    **questions.SETS,
    # A third of the steps, for sweeps: all folds, and fewer draws.
    "short": {
        "encoder.num_steps": 500,
        "encoder.optimizer.warmup_steps": 50,
        "eval.folds": 3,
        "eval.num_draws": 50,
        "controls.permuted_users": False,
    },
    # Half the steps of stage 2, for sweeps of it, and one draw of enrolment images.
    "short_saliency": {
        "saliency.num_steps": 300,
        "saliency.optimizer.warmup_steps": 30,
        "universal.num_steps": 200,
        "universal.optimizer.warmup_steps": 20,
        "eval.saliency_num_draws": 1,
        "encoder.num_steps": 500,
        "encoder.optimizer.warmup_steps": 50,
        "eval.num_draws": 50,
        "controls.permuted_users": False,
    },
    # Scanpaths alone: nothing is told of where others look, or of what is in the picture.
    "gaze_alone": {
        "encoder.inputs": ("position", "duration", "order", "step"),
        "features": {"backbone": "none"},
        "encoder.taste_scale": 0.0,
        "saliency": osie_maps.get_config().saliency.to_dict(),
    },
    # Without the users and images of the figures, to choose a config by: of ten seen people, six or
    # seven are left to train with.
    "validation": {
        "split.purpose": "validation",
        "encoder.sampling.num_users": 6,
        "saliency.sampling.users_per_image": 6,
    },
    # The margin is a distance, so that it means another thing at another length of embeddings.
    **{f"margin_{margin}": {"encoder.loss.margin": margin} for margin in (0.2, 0.5, 2)},
    # Not squared: far pairs pull less.
    "euclidean": {"encoder.loss.distance": "euclidean"},
    # As most do. The length of an embedding can no longer say how much a pair shows.
    "unit_length": {"encoder.loss.unit_length": True},
    # Which triplets count: one at random for each anchor, or hard ones.
    **{
        f"mining_{mining}": {"encoder.loss.mining": mining}
        for mining in ("random", "semi_hard", "batch_hard")
    },
    # Triplets of single pairs, the paper's; or of means of more.
    "pairs_1": {"encoder.loss.pairs_per_embedding": 1},
    "pairs_6": {"encoder.loss.pairs_per_embedding": 6},
    # Triplets alone: the paper's.
    "classification_off": {"encoder.loss.classification_weight": 0.0},
    # Only people who exist.
    "virtual_users_off": {"encoder.sampling.virtual_users.number": 0},
    # How much the taste weighs in the embedding.
    "taste_0.2": {"encoder.taste_scale": 0.2},
    "taste_1": {"encoder.taste_scale": 1.0},
    # No pretrained features anywhere: scanpaths alone in stage 1, pixels in stage 2.
    "taste_off": {
        "features": {"backbone": "none"},
        "encoder.taste_scale": 0.0,
        "saliency": osie_maps.get_config().saliency.to_dict(),
    },
    # Where and in what order, but not how long: durations alone tell people apart.
    "durations_off": {"encoder.inputs": ("position", "order", "step", "density")},
    # How few numbers say who somebody is, beside the taste.
    **{f"embedding_{size}": {"encoder.embedding_size": size} for size in (4, 8, 16, 32, 128, 256)},
    # Room to learn, or to learn by heart.
    **{f"width_{width}": {"encoder.width": width} for width in (32, 64, 256)},
    # Nobody is remembered: the taste alone says whose map it is.
    "film_off": {"saliency.conditioning": "taste"},
    # People are remembered by weights of features in place of scale and shift.
    "filters": {"saliency.conditioning": "filters"},
    # One loss of stage 2 alone; MSE is the paper's.
    "mse_only": {"saliency.loss.kld_weight": 0.0},
    "kld_only": {"saliency.loss.mse_weight": 0.0},
    "cc_only": {"saliency.loss": {"mse_weight": 0.0, "kld_weight": 0.0, "cc_weight": 1.0}},
    # Controls of the whole model. An encoder that learns from gaze whose owners are permuted; one
    # that learns nothing; a saliency network that is told of nobody; one that is told of others.
    "permuted_users": {"controls.gaze": "permuted"},
    "random_encoder": {"encoder.num_steps": 0, "encoder.optimizer.warmup_steps": 0},
    "no_embedding": {"controls.embeddings": "none"},
    "swapped_users": {"controls.embeddings": "swapped"},
}
