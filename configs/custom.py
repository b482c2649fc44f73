"""Both stages on gaze of your own, a table that was built under a name.

    gazejax data check gaze.csv --images DIR
    gazejax data build gaze_table --table gaze.csv --images DIR --name mine
    python train.py --config=configs/custom.py:mine+durations --workdir=runs/mine

`mine+durations` where the table has them, since they tell people apart; `mine` where it has not.
The values of configs/osie.py but for those below, which fit few people and few images too: five
people with gaze on 25 images are enough. With more people, draw more at once:

    --config.encoder.sampling.num_users=10 --config.saliency.sampling.users_per_image=8
"""

from ml_collections import ConfigDict

from gazejax.config.ablations import apply_ablations
from gazejax.configs import osie


def get_config(data: str = "mine") -> ConfigDict:
    """Every value of the experiment, for NAME, or NAME+SETS: changed by named sets of `SETS`."""
    name, _, sets = data.partition("+")
    config = osie.get_config()
    config.data.name = name
    # By names, whatever they are: one in five images is a test image, every third user a stranger.
    config.split.test_rule = "hash"
    config.encoder.inputs = ("position", "step", "density")
    config.encoder.sampling.update(num_users=3, images_per_user=6)
    config.encoder.sampling.virtual_users.number = 13
    config.saliency.sampling.update(num_images=8, users_per_image=3, enrolment_images=(2, 10))
    config.universal.num_images = 8
    return apply_ablations(config, SETS, sets)


SETS = {
    # Those of osie.py but for those that need more people, more images or durations.
    **{
        name: changes
        for name, changes in osie.SETS.items()
        if name not in ("validation", "pairs_6", "durations_off", "taste_off", "gaze_alone")
        and not name.startswith("users_")
    },
    # Where the table has them, since they tell people apart.
    "durations": {"encoder.inputs": ("position", "duration", "order", "step", "density")},
}
