"""The keys of a config, once, with their comments. The values are those of configs/osie.py.

The keys of networks on maps (early and late fusion, U-Net) are in configs/osie_maps.py.

A config file starts from these values and sets what differs. A config holds every value: the code
supplies no default. `gazejax.config.schema` says which values are allowed.
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def get_config() -> ConfigDict:
    """Every value; the scanpath encoder and the readout network on OSIE."""
    return ConfigDict(
        {
            "seed": 0,
            "stage": "all",  # one stage, or all: one after the other
            "data": {
                # A prepared data set; or several, separated by commas: "osie/gaze,mine".
                "name": "osie/gaze",
                "data_dir": placeholder(str),  # None: the default folder of TFDS
                "sigma_frac": 0.03,  # of the image width, for every map; about 1 degree on OSIE
                "first_trial_only": False,  # where a user looked at an image several times
                "drop_first_fixation": False,  # of every trial
                "subsample_every": 1,  # keeps one in so many rows of a trial; 1: all
                # The universal map that the networks are given: the mean map of the seen users
                # without the user in question (seen_users), a map predicted from the image
                # (predicted), or the mean training map (center_prior).
                "universal_map": "seen_users",
                # Where images lie: all on each device (device), or read for each step (stream).
                # auto: the devices if they have the room.
                "image_storage": "auto",
                "stream": {"num_threads": 4, "num_prefetched": 8},  # batches ahead
            },
            # Of several data sets, each is split by these values.
            "split": {
                # test: the reported split. validation: without the unseen users and test images of
                # the reported metrics, to choose a config by.
                "purpose": "test",
                # osie: our test images of OSIE. hash: any data set. osie_published: users and
                # images of the few-shot scanpath papers, on osie/gaze; `fold` is 0 and not used.
                "test_rule": "osie",
                "hash_seed": 0,  # rule hash, and purpose validation
                "hash_one_in": 5,  # likewise: one in five images is a test image
                "folds": 3,  # of users
                "fold": 1,  # users fold, fold + folds, ... are unseen
                # True: a training for each fold, in workdir/fold_0, ...; `fold` is not used.
                "cross_validate": False,
                "min_images": 2,  # users with fewer training or test images are excluded
                "max_seen_users": placeholder(int),  # None: all
                "max_train_images": placeholder(int),  # likewise
                # Share of images that users have in common; see `splits.share_images`. None: all.
                "train_image_overlap": placeholder(float),
                "test_image_overlap": placeholder(float),
            },
            # Frozen image features: each image passes the backbone once. A backbone needs the extra
            # `pretrained`; with backbone none this section has no other key.
            "features": {
                "backbone": "efficientnet_lite0",
                "image_size": (288, 384),  # height, width
                "strides": (8, 16, 32),  # levels of the backbone
                "components": (12, 24, 24),  # principal components of each
            },
            # Stage 1.
            "encoder": {
                # The keys depend on the architecture: scanpath (here), early_fusion (see
                # configs/osie_maps.py) or late_fusion (its ablation of that name).
                "model": {
                    "architecture": "scanpath",  # features of each fixation, then a deep set
                    "inputs": ("position", "duration", "order", "step", "density"),
                    "width": 128,
                    "embedding_size": 64,  # of the learnt part
                    # Scale of the preference vector at the end of the embedding: large enough for
                    # stage 2, small enough for stage 1. 0: no preference vector.
                    "preference_scale": 0.5,
                },
                # Height and width of the universal map that the encoder reads. A map encoder has
                # `image_size` in its place: of images and maps.
                "map_size": (36, 48),
                "batch": {
                    # any; or one_dataset: all users of a batch are of one data set, drawn in
                    # proportion to its seen users. With one data set, they are the same.
                    "users_of": "any",
                    "num_users": 10,
                    "images_per_user": 12,
                    # True: all users of a batch see the same images, so that gaze alone differs.
                    "same_images": True,
                    # True: where sessions are known, each set of `loss.pairs_per_mean` pairs is of
                    # one of them, and the sets of a user are of different ones.
                    "split_sessions": True,
                    # Users made of sampled ones by one transform of all their gaze; ours.
                    "virtual_users": {
                        "number": 10,
                        "mirror": True,
                        "scale_spread": 0.15,
                        "duration_spread": 0.15,
                        "shift_frac": 0.05,
                    },
                    # Each set of `loss.pairs_per_mean` pairs is one session: a small transform of
                    # all its gaze, which is not the user. All 0: no virtual sessions. Ours.
                    "virtual_sessions": {
                        "scale_spread": 0.06,
                        "duration_spread": 0.1,
                        "shift_frac": 0.02,
                        # Share of them whose durations the encoder is not given. Above 0, the
                        # encoder also embeds gaze whose durations are not known.
                        "without_durations": 0.0,
                    },
                },
                "loss": {
                    "margin": 1.0,
                    "distance": "squared_euclidean",
                    "l2_normalize": False,  # True: triplets compare embeddings of length 1
                    "mining": "batch_all",
                    "pairs_per_mean": 3,  # triplets compare means of so many pairs
                    # Beside the triplets, since triplets alone collapsed in our probes. 0: the
                    # paper's loss.
                    "classification_weight": 1.0,
                    "prototype_weight": 0.0,  # of the prototype loss; ours
                },
                # How two user embeddings are compared: by the two-covariance model, fitted on the
                # seen users' training viewings when stage 1 is done, or by their distance.
                "comparison": {
                    "kind": "two_covariance",
                    # Where no user has two sessions: the covariance of sessions as a share of that
                    # of viewings, so that 1 / share images say half of what any number does.
                    "session_share": 0.02,
                    # How far covariances are moved to their diagonals: that of users, and those of
                    # the sessions and viewings of a user.
                    "between_shrinkage": 0.6,
                    "within_shrinkage": 0.5,
                },
                "num_steps": 1500,
                # Linear warm-up, then a cosine to zero.
                "optimizer": {
                    "learning_rate": 2e-3,
                    "warmup_steps": 150,
                    "weight_decay": 1e-2,
                    "clip_norm": 1.0,
                },
            },
            # Stage 2.
            "saliency": {
                # The keys depend on the architecture: readout (here, on frozen features), or unet
                # (see configs/osie_maps.py), which sees pixels at `saliency.image_size`.
                "model": {
                    "architecture": "readout",
                    "width": 32,
                    "memory": {
                        # What the network knows of seen users beside their preference vector:
                        # none; weights of features (feature_weights); or scale and shift of two
                        # layers (film).
                        "kind": "film",
                        # Who is recognized as a seen user; see `SeenUserRecognizer`.
                        "rejection_distance": 0.35,
                        "temperature": 0.05,
                        "width": 16,
                        "weight_decay": 0.3,  # large: the memory overfits first
                    },
                },
                "map_size": (36, 48),  # of the universal, true and predicted maps
                # The paper's loss: MSE alone.
                "loss": {"mse_weight": 1.0, "cross_entropy_weight": 1.0, "correlation_weight": 0.0},
                "batch": {
                    "num_images": 8,
                    "users_per_image": 8,
                    "enrolment_images": (5, 50),  # sampled anew for each map, uniform in this range
                },
                "num_steps": 600,
                "optimizer": {
                    "learning_rate": 5e-3,
                    "warmup_steps": 60,
                    "weight_decay": 1e-2,
                    "clip_norm": 1.0,
                },
            },
            # The predicted universal map: the saliency network without a user, starting from the
            # mean training map.
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
                # Trains a second encoder on gaze whose user labels are permuted within each image.
                "train_permuted_encoder": True,
                # The user labels that the encoder itself learns from: true or permuted.
                "encoder_user_labels": "true",
                # The embeddings that stage 2 is given, in training and evaluation: own, zero, or
                # swapped (of another user who saw the image).
                "embeddings": "own",
            },
            "training": {
                # Of the layers; bfloat16 pays on accelerators only. Parameters, sums and losses
                # are float32 either way.
                "compute_dtype": "float32",
                "steps_per_dispatch": 1,  # more only on accelerators
                "log_every": 20,
                "max_consecutive_nonfinite": 10,  # skipped updates, before training stops
            },
            "checkpoint": {
                "every": 300,
                "keep": 2,  # of the newest
                # True: continue although values of the config or the data changed, and report
                # which.
                "accept_changes": False,
            },
            "eval": {
                "seed": 0,
                "batch_size": 256,
                "num_images": (1, 5, 10, 20, 50),  # enrolment and probe images of stage 1
                "num_draws": 100,
                "samples_per_user": 10,  # of MAP@R, at most; each from n other images
                # Of every viewing of an unseen user, for stage 1. None: all.
                "gaze": {"first_fixations": placeholder(int), "first_ms": placeholder(float)},
                "truncated_fixations": 6,  # the control with scanpaths of equal length
                "saliency_num_images": (10, 50),  # enrolment images of stage 2
                "saliency_num_draws": 2,
                "num_swaps": 4,  # other users whose embeddings are swapped in
                "num_resamples": 1000,  # of the bootstrap and the permutation test
                # The baseline without learning: the values tried for each user; see
                # `calibration.calibrate`.
                "calibration": {
                    "spread_frac": (0.0, 0.02, 0.04),
                    "gain": (0.6, 0.8, 1.0, 1.25, 1.5),
                    "center_weight": (-0.25, 0.0, 0.25, 0.5),
                },
            },
        }
    )
