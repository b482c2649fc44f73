"""Both stages on mouse tracks of 16 users in a laboratory, each on 342 to 700 images of OSIE.

    gazejax data build osie/mouse_lab --raw DIR
    python train.py --config=configs/osie_mouse_lab.py --workdir=runs/osie_mouse_lab

The tracks are of the mouse, not of gaze. The values are those of configs/osie_mouse.py but for
those below.
"""

from ml_collections import ConfigDict

from gazejax.config.ablations import apply_ablations
from gazejax.configs import osie_mouse

ABLATIONS = osie_mouse.ABLATIONS


def get_config(ablations: str = "") -> ConfigDict:
    """Every value of the experiment, changed by names of `ABLATIONS`, joined with +."""
    config = osie_mouse.get_config()
    config.data.name = "osie/mouse_lab"
    # OSIE's test images, and a third of the users unseen, as in configs/osie.py.
    config.split.update(test_rule="osie", folds=3)
    config.encoder.batch.num_users = 10
    config.encoder.batch.virtual_users.number = 10
    config.saliency.batch.users_per_image = 6
    config.eval.update(num_images=(1, 5, 10, 20), saliency_num_images=(10, 20))
    return apply_ablations(config, ABLATIONS, ablations)
