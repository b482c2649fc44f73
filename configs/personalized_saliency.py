"""Both stages on PS: 30 people, 1606 images, most of them looked at four times.

    gazejax data build personalized_saliency/gaze --raw DIR --images DIR
    python train.py --config=configs/personalized_saliency.py --workdir=runs/ps

Without those images there are the 59 that are OSIE's as well, or the gaze alone:

    gazejax data build personalized_saliency/osie_overlap --raw DIR --images OSIE/data/stimuli
    python train.py --config=configs/personalized_saliency.py:osie_overlap --workdir=runs/ps_overlap
    gazejax data build personalized_saliency/fixations_only --raw DIR
    python train.py --config=configs/personalized_saliency.py:fixations_only --workdir=runs/ps_gaze

The values of configs/osie.py but for those below. All viewings of a picture count as one, as long
as data.first_trial_only is False. `gaze` was not tried: the images were not at hand.
"""

from ml_collections import ConfigDict

from configs import osie, osie_maps


def get_config(part: str = "gaze") -> ConfigDict:
    """Every value of the experiment, for one of the builder's configurations."""
    if part not in ("gaze", "osie_overlap", "fixations_only"):
        raise ValueError(f"part is {part!r}; allowed: gaze, osie_overlap, fixations_only")
    config = osie.get_config()
    config.data.name = f"personalized_saliency/{part}"
    config.split.test_rule = "hash"
    config.encoder.sampling.num_users = 15
    config.encoder.sampling.virtual_users.number = 15
    if part == "osie_overlap":
        # Half of 59 images are test images, to compare people by ten of them and ten others.
        config.split.hash_one_in = 2
        config.saliency.sampling.enrolment_images = (3, 20)
        config.eval.num_images = (1, 5, 10, 15)
        config.eval.saliency_num_images = (10,)
    if part == "fixations_only":
        # All images are one grey screen. The encoder reads scanpaths alone, and the saliency
        # network has nothing to go by but the map of the others and the person.
        of_maps = osie_maps.get_config()
        config.features = of_maps.features
        config.saliency = of_maps.saliency
        config.saliency.num_steps = 300
        config.encoder.taste_scale = 0.0
        config.universal.num_steps = 40
        config.checkpoint.every = 100
    return config
