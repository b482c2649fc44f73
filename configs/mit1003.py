r"""Both stages on MIT1003, in the files of FixaTons: 15 users, 1003 images, free viewing for 3 s.

    gazejax data build gaze_table --format fixatons --table MIT1003/SCANPATHS \
        --images MIT1003/STIMULI --name mit1003
    python train.py --config=configs/mit1003.py --workdir=runs/mit1003

The values are those of configs/osie.py but for those below. The config was tried on a table of
these viewings, as far as the splits and batches, and on invented files of the same form.
"""

from ml_collections import ConfigDict

from gazejax.config.ablations import apply_ablations
from gazejax.configs import osie

ABLATIONS = osie.ABLATIONS


def get_config(ablations: str = "") -> ConfigDict:
    """Every value of the experiment, changed by names of `ABLATIONS`, joined with +."""
    config = osie.get_config()
    config.data.name = "mit1003"
    # It rests on the center of the screen, where all viewings begin. False where a table of these
    # viewings is without it already.
    config.data.drop_first_fixation = True
    config.split.test_rule = "hash"
    return apply_ablations(config, ABLATIONS, ablations)
