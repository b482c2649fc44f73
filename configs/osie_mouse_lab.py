"""Both stages on mouse tracks of 16 people in a laboratory, each on 342 to 700 images of OSIE.

    gazejax data build osie/mouse_lab --raw DIR
    python train.py --config=configs/osie_mouse_lab.py --workdir=runs/osie_mouse_lab

The mouse, not gaze. The values of configs/osie_mouse.py but for those below.
"""

from ml_collections import ConfigDict

from gazejax.config.ablations import apply_ablations
from gazejax.configs import osie_mouse

SETS = osie_mouse.SETS


def get_config(sets: str = "") -> ConfigDict:
    """Every value of the experiment, changed by the named sets of `SETS`."""
    config = osie_mouse.get_config()
    config.data.name = "osie/mouse_lab"
    # OSIE's test images, and a third of the people strangers, as with configs/osie.py.
    config.split.test_rule = "osie"
    config.split.folds = 3
    config.encoder.sampling.num_users = 10
    config.encoder.sampling.virtual_users.number = 10
    config.saliency.sampling.users_per_image = 6
    config.eval.num_images = (1, 5, 10, 20)
    config.eval.saliency_num_images = (10, 20)
    return apply_ablations(config, SETS, sets)
