"""Both stages on gaze of your own, a table that was built under a name.

    gazejax data check gaze.csv --images DIR
    gazejax data build gaze_table --table gaze.csv --images DIR --name mine
    python train.py --config=configs/custom.py:mine+durations --workdir=runs/mine

`mine+durations` where the table has durations, since durations separate users; `mine` where it has
none. The values are those of configs/osie.py but for those below, which fit few users and few
images too: five users with gaze on 25 images are enough. With more users, sample more at once:

    --config.encoder.batch.num_users=10 --config.saliency.batch.users_per_image=8
"""

from ml_collections import ConfigDict

from gazejax.config.ablations import apply_ablations
from gazejax.configs import osie


def get_config(data: str = "mine") -> ConfigDict:
    """Every value of the experiment, for NAME, or NAME+ABLATIONS: names of `ABLATIONS`."""
    name, _, ablations = data.partition("+")
    config = osie.get_config()
    config.data.name = name
    # By names, whatever they are: one in five images is a test image, every third user is unseen.
    config.split.test_rule = "hash"
    config.encoder.model.inputs = ("position", "step", "density")
    config.encoder.batch.update(num_users=3, images_per_user=6)
    config.encoder.batch.virtual_users.number = 13
    config.saliency.batch.update(num_images=8, users_per_image=3, enrolment_images=(2, 10))
    config.universal.num_images = 8
    return apply_ablations(config, ABLATIONS, ablations)


ABLATIONS = {
    # Those of osie.py but for those that need more users, more images or durations.
    **{
        name: changes
        for name, changes in osie.ABLATIONS.items()
        if name not in ("validation", "pairs_6", "durations_off", "preference_off", "scanpath_only")
        and not name.startswith("users_")
    },
    # Where the table has durations.
    "durations": {"encoder.model.inputs": ("position", "duration", "order", "step", "density")},
}
