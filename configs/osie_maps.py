"""Both stages from maps alone, without pretrained features: the paper's kind of networks, on OSIE.

    gazejax data build osie/gaze --raw DIR
    python train.py --config=configs/osie_maps.py --workdir=runs/osie_maps

With image and maps in a trunk each, joined late or pooled by gaze, instead of early fusion:

    python train.py --config=configs/osie_maps.py:two_trunk --workdir=runs/osie_two_trunk
    python train.py --config=configs/osie_maps.py:gaze_pooled --workdir=runs/osie_gaze_pooled

All values are ours: the paper did not use OSIE, and most of its numbers are not known to us.
"""

from gazejax.configs.sets import questions
from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from gazejax.config.ablations import REMOVED, apply_ablations


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
            "features": {"backbone": "none"},
            "encoder": {
                "architecture": "early",  # all inputs as channels: the paper's
                # All architectures see the group map: it tells what everybody looks at, which is
                # noise for telling people apart. The paper's does not: ("image", "personal").
                "inputs": ("image", "personal", "group"),
                "filters": (32, 64, 128, 256),
                # mean: over all positions; gaze: beside it, weighted by where this person looks
                # more than others, at every level.
                "pooling": "mean",
                "image_size": (96, 128),  # height, width
                "kernel_size": 3,
                "stride": 2,
                "norm_groups": 8,
                "embedding_size": 64,
                "sampling": {
                    "num_users": 10,
                    "images_per_user": 6,
                    "share_images": True,  # nothing but gaze tells the users of a batch apart
                    # Users made of the drawn ones by warping all their gaze in one way; ours.
                    "virtual_users": {
                        "number": 0,
                        "mirror": True,
                        "scale_spread": 0.15,
                        "duration_spread": 0.15,
                        "shift_frac": 0.05,
                    },
                },
                "loss": {
                    "margin": 0.2,
                    "distance": "squared_euclidean",
                    "unit_length": True,  # triplets compare embeddings of length 1
                    "mining": "batch_all",
                    "pairs_per_embedding": 1,  # triplets compare means of so many pairs
                    # Beside the triplets, since those alone collapsed in our probes; 0: the paper.
                    "classification_weight": 1.0,
                    "prototype_weight": 0.0,  # and of the prototype loss; ours
                },
                "num_steps": 1200,
                "optimizer": {
                    "learning_rate": 2e-3,
                    "warmup_steps": 100,
                    "weight_decay": 1e-4,
                    "clip_norm": 1.0,
                },
            },
            "saliency": {
                "architecture": "unet",
                "image_size": (144, 192),
                "map_size": (36, 48),  # of the universal, true and predicted maps
                # MSE alone: the paper's.
                "loss": {"mse_weight": 1.0, "kld_weight": 0.0, "cc_weight": 0.0},
                "trunk_filters": (32, 64, 128, 128),
                "decoder_filters": (32, 32, 32),  # from the deepest level up
                # How the decoder is told whose map it is, and at which of its levels; ours.
                "conditioning": "film",  # film or concatenation, or filters of the last layer
                "conditioned_levels": (0, 1, 2),
                "norm_groups": 8,
                "sampling": {
                    "num_images": 8,
                    "users_per_image": 8,
                    "enrolment_images": (10, 50),  # drawn anew for each map, uniform in this range
                },
                "num_steps": 1200,
                "optimizer": {
                    "learning_rate": 2e-3,
                    "warmup_steps": 100,
                    "weight_decay": 1e-4,
                    "clip_norm": 1.0,
                },
            },
            # The universal map of an image nobody has looked at, predicted: the saliency network
            # without a person, starting from the mean training map.
            "universal": {
                "num_images": 16,
                "num_steps": 400,
                "optimizer": {
                    "learning_rate": 2e-3,
                    "warmup_steps": 100,
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
                "every": 200,
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


# Each changes exactly what it names: `--config=configs/osie_maps.py:two_trunk+embedding_16`.
SETS = {
    **questions.SETS,
    **questions.UNET_SETS,
    # Fewer steps, for sweeps, and fewer draws.
    "short": {
        "encoder.num_steps": 300,
        "encoder.optimizer.warmup_steps": 50,
        "eval.num_draws": 50,
        "controls.permuted_users": False,
    },
    # Without the users and images of the figures, to choose a config by: of ten seen people, six or
    # seven are left to train with.
    "validation": {
        "split.purpose": "validation",
        "encoder.sampling.num_users": 6,
        "saliency.sampling.users_per_image": 6,
    },
    # A trunk each for image and maps: the image's need not be computed for every person.
    **{
        architecture: {
            "encoder.architecture": architecture,
            "encoder.inputs": ("personal", "group"),  # beside the image
            "encoder.filters": (32, 64, 128, 128),  # of the image
            "encoder.map_filters": (32, 64, 128, 128),
            "encoder.pooling": REMOVED,
        }
        # Joined late; or the image's trunk averaged by gaze.
        for architecture in ("two_trunk", "gaze_pooled")
    },
    # Features where this person looks more than others, beside their mean. It overfitted: unseen
    # ROC-AUC at n = 10 of .803 against .835 (fold 0, 1200 steps, seed 0).
    "gaze_pooling": {"encoder.pooling": "gaze"},
    # The paper's inputs, without the group map.
    "group_map_off": {"encoder.inputs": ("image", "personal")},
    # The margin is a distance; between embeddings of length 1 no square is above 4.
    **{f"margin_{margin}": {"encoder.loss.margin": margin} for margin in (0.5, 1)},
    # Not squared: far pairs pull less.
    "euclidean": {"encoder.loss.distance": "euclidean"},
    # The length of an embedding may say how much a pair shows.
    "any_length": {"encoder.loss.unit_length": False},
    # Which triplets count: one at random for each anchor, or hard ones.
    **{
        f"mining_{mining}": {"encoder.loss.mining": mining}
        for mining in ("random", "semi_hard", "batch_hard")
    },
    # Triplets of means of three pairs.
    "pairs_3": {"encoder.loss.pairs_per_embedding": 3},
    # Triplets alone: the paper's.
    "classification_off": {"encoder.loss.classification_weight": 0.0},
    # Twice as many people, half of them made of the others.
    "virtual_users": {"encoder.sampling.virtual_users.number": 10},
    # How few numbers say who somebody is.
    **{f"embedding_{size}": {"encoder.embedding_size": size} for size in (4, 8, 16, 32, 128, 256)},
    # Half the width; fewer and more levels; smaller pictures; one group: all channels together.
    "narrow": {"encoder.filters": (16, 32, 64, 128)},
    "shallow": {"encoder.filters": (32, 64, 128)},
    "deep": {"encoder.filters": (32, 64, 128, 256, 256)},
    "small_images": {"encoder.image_size": (48, 64)},
    "one_group": {"encoder.norm_groups": 1},
    # Another loss of stage 2, alone or beside the MSE.
    "mse_and_kld": {"saliency.loss.kld_weight": 1.0},
    "kld_only": {"saliency.loss.mse_weight": 0.0, "saliency.loss.kld_weight": 1.0},
    "cc_only": {"saliency.loss.mse_weight": 0.0, "saliency.loss.cc_weight": 1.0},
    # Controls of the whole model. An encoder that learns from gaze whose owners are permuted; one
    # that learns nothing; a saliency network that is told of nobody; one that is told of others.
    "permuted_users": {"controls.gaze": "permuted"},
    "random_encoder": {"encoder.num_steps": 0, "encoder.optimizer.warmup_steps": 0},
    "no_embedding": {"controls.embeddings": "none"},
    "swapped_users": {"controls.embeddings": "swapped"},
}
