"""Both stages on mouse tracks of OSIE's crowd: 835 users, each on 1 to 673 of the 700 images.

    gazejax data build osie/mouse_amt --raw DIR
    python train.py --config=configs/osie_mouse.py --workdir=runs/osie_mouse

The tracks are of the mouse, not of gaze: the mouse moves a window of sharp sight. No user saw all
images, half the users saw 40 or fewer, and times are not known. Half the images are test images,
since users are compared by ten images and ten others. What was tried is in
docs/results/experiments.md.

All values are ours: the paper did not use these data.
"""

from ml_collections import ConfigDict

from gazejax.config.ablations import apply_ablations
from gazejax.configs import ablations as shared
from gazejax.configs import base


def get_config(ablations: str = "") -> ConfigDict:
    """Every value of the experiment, changed by names of `ABLATIONS`, joined with +."""
    config = base.get_config()
    # Some 16 samples of the mouse are left of a trial.
    config.data.update(name="osie/mouse_amt", subsample_every=8)
    config.split.update(test_rule="hash", hash_one_in=2, folds=10, min_images=20)
    config.encoder.model.inputs = ("position", "step", "density")
    config.encoder.batch.num_users = 15
    config.encoder.batch.virtual_users.number = 15
    config.eval.update(num_images=(1, 5, 10), saliency_num_images=(10,))
    return apply_ablations(config, ABLATIONS, ablations)


# Each changes exactly what it names: `--config=configs/osie_mouse.py:users_50`.
ABLATIONS = {
    **shared.CONTROLS,
    # The shipped model (`make models`).
    "shipped": shared.SHIPPED,
    # Gain of unseen users with the number of seen users.
    **{f"users_{number}": {"split.max_seen_users": number} for number in (15, 50, 100, 200)},
}
