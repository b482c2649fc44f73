"""Both stages on ID: over 100 people, all of whom saw the 700 images of OSIE.

    gazejax data build individual_differences --raw DIR --images OSIE/data/stimuli
    python train.py --config=configs/individual_differences.py --workdir=runs/id

The values of configs/osie.py but for those below; the test images are the same. It was tried on
generated gaze only: the release was not at hand.
"""

from ml_collections import ConfigDict

from gazejax.config.ablations import apply_ablations
from gazejax.configs import osie

SETS = osie.SETS


def get_config(sets: str = "") -> ConfigDict:
    """Every value of the experiment, changed by the named sets of `SETS`."""
    config = osie.get_config()
    config.data.name = "individual_differences"
    config.split.folds = 10  # Of some 100 people, ten are strangers.
    config.encoder.sampling.num_users = 15
    config.encoder.sampling.virtual_users.number = 15
    return apply_ablations(config, SETS, sets)
