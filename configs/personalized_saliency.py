"""Both stages on PS: 30 users, 1606 images, most of them looked at four times.

    gazejax data build personalized_saliency/gaze --raw DIR --images DIR
    python train.py --config=configs/personalized_saliency.py --workdir=runs/ps

Without those images there are the 59 that are OSIE's as well, or the gaze alone:

    gazejax data build personalized_saliency/osie_overlap --raw DIR --images OSIE/data/stimuli
    python train.py --config=configs/personalized_saliency.py:osie_overlap --workdir=runs/ps_overlap
    gazejax data build personalized_saliency/fixations_only --raw DIR
    python train.py --config=configs/personalized_saliency.py:fixations_only --workdir=runs/ps_gaze

The values are those of configs/osie.py but for those below. All viewings of an image count as one,
as long as data.first_trial_only is False. `gaze` was not tried: the images were not at hand.
"""

from ml_collections import ConfigDict

from gazejax.config.ablations import apply_ablations
from gazejax.configs import osie, osie_maps


def get_config(ablations: str = "") -> ConfigDict:
    """Every value of the experiment, changed by names of `ABLATIONS`, joined with +."""
    config = osie.get_config()
    config.data.name = "personalized_saliency/gaze"
    config.split.test_rule = "hash"
    config.encoder.batch.num_users = 15
    config.encoder.batch.virtual_users.number = 15
    return apply_ablations(config, ABLATIONS, ablations)


ABLATIONS = {
    **osie.ABLATIONS,
    "osie_overlap": {
        "data.name": "personalized_saliency/osie_overlap",
        # Half of 59 images are test images, to compare users by ten of them and ten others.
        "split.hash_one_in": 2,
        "saliency.batch.enrolment_images": (3, 20),
        "eval.num_images": (1, 5, 10, 15),
        "eval.saliency_num_images": (10,),
    },
    # All images are one grey screen. The encoder reads scanpaths alone; the saliency network has
    # nothing but the universal map and the embedding.
    "fixations_only": {
        "data.name": "personalized_saliency/fixations_only",
        "features": {"backbone": "none"},
        "encoder.model.preference_scale": 0.0,
        "saliency": osie_maps.get_config().saliency.to_dict() | {"num_steps": 300},
        "universal.num_steps": 40,
        "checkpoint.every": 100,
    },
}
