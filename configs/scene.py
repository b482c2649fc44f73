r"""Both stages on the scene set: 12 users, 500 images, free viewing for 3 s.

    gazejax data build gaze_table --format scene --table Scene/data/tidy/fixations.mat \
        --images Scene/data/stimuli --name scene
    python train.py --config=configs/scene.py --workdir=runs/scene

The values are those of configs/osie.py but for those below. The config was tried on a table of
these viewings, as far as the splits and batches, and on invented files of the same form.
"""

from ml_collections import ConfigDict

from gazejax.config.ablations import apply_ablations
from gazejax.configs import osie


def get_config(ablations: str = "") -> ConfigDict:
    """Every value of the experiment, changed by names of `ABLATIONS`, joined with +."""
    config = osie.get_config()
    config.data.name = "scene"
    config.split.test_rule = "hash"
    config.encoder.batch.num_users = 8  # Of 12 users, four are unseen.
    config.encoder.batch.virtual_users.number = 8
    return apply_ablations(config, ABLATIONS, ablations)


ABLATIONS = {
    # Those of osie.py but for a batch of all users, which is the config's own.
    **{name: changes for name, changes in osie.ABLATIONS.items() if name != "users_8"},
    # Of eight seen users, five are left to train with.
    "validation": {
        **osie.ABLATIONS["validation"],
        "encoder.batch.num_users": 5,
        "saliency.batch.users_per_image": 5,
    },
}
