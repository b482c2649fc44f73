"""Both stages on ID: over 100 users, all of whom saw the 700 images of OSIE.

    gazejax data build individual_differences --raw DIR --images OSIE/data/stimuli
    python train.py --config=configs/individual_differences.py --workdir=runs/id

The values are those of configs/osie.py but for those below; the test images are the same. The
config was tried on generated gaze only: the release was not at hand.
"""

from ml_collections import ConfigDict

from gazejax.config.ablations import apply_ablations
from gazejax.configs import osie

ABLATIONS = osie.ABLATIONS


def get_config(ablations: str = "") -> ConfigDict:
    """Every value of the experiment, changed by names of `ABLATIONS`, joined with +."""
    config = osie.get_config()
    config.data.name = "individual_differences"
    config.split.folds = 10  # Of some 100 users, ten are unseen.
    config.encoder.batch.num_users = 15
    config.encoder.batch.virtual_users.number = 15
    return apply_ablations(config, ABLATIONS, ablations)
