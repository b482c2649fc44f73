"""Users who saw different images, on OSIE: what is lost, and which input loses least?

    gazejax sweep configs/sweeps/different_images.py --workdir runs/different_images
    gazejax compare runs/different_images

In training, in enrolment, and in both. All of them leave each user as many images as all can have
without sharing one: 56 of a training, of ten users, and 9 to be compared by, of fifteen. On all
three folds, a third of the steps.
"""

SWEEP = {
    "bases": ("osie:short",),
    "values": {"stage": "encoder", "eval.num_images": (1, 4)},
    "ablations": (
        *(f"overlap_{share}_train" for share in (100, 50, 25, 0)),
        *(f"overlap_{share}_test" for share in (100, 50, 25, 0)),
        *(f"overlap_{share}" for share in (100, 50, 25, 0)),
        # Universal maps predicted from the image; or neither universal map nor image features.
        "overlap_100+universal_predicted",
        "overlap_0+universal_predicted",
        "overlap_0_test+universal_predicted",
        "overlap_100+scanpath_only",
        "overlap_0+scanpath_only",
        # A batch whose users share no image, though there are some that they could.
        "overlap_25+different_images",
    ),
    "grids": (),
    "seeds": (0, 1, 2),
}
