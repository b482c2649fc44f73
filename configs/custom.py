"""Both stages on gaze of your own, a table that was built under a name.

    gazejax data check gaze.csv --images DIR
    gazejax data build gaze_table --table gaze.csv --images DIR --name mine
    python train.py --config=configs/custom.py:mine --workdir=runs/mine

The values of configs/osie.py but for those below, which fit few people and few images too: five
people with gaze on 25 images are enough. With more people, draw more at once; with known durations,
read them, since they tell people apart:

    --config.encoder.sampling.num_users=10 --config.saliency.sampling.users_per_image=8
    --config.encoder.inputs="('position', 'duration', 'order', 'step', 'density')"
"""

from ml_collections import ConfigDict

from configs import osie


def get_config(name: str = "mine") -> ConfigDict:
    """Every value of the experiment, for a data set of this name."""
    config = osie.get_config()
    config.data.name = name
    # By names, whatever they are: one in five images is a test image, every third user a stranger.
    config.split.test_rule = "hash"
    config.encoder.inputs = ("position", "step", "density")  # No durations: they may not be known.
    config.encoder.sampling.update(num_users=3, images_per_user=6)
    config.encoder.sampling.virtual_users.number = 13
    config.saliency.sampling.update(num_images=8, users_per_image=3, enrolment_images=(2, 10))
    config.universal.num_images = 8
    return config
