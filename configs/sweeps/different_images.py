"""Users who saw different images, on OSIE: what is lost, and which input loses least?

    gazejax sweep configs/sweeps/different_images.py --workdir runs/different_images
    gazejax compare runs/different_images

In training, in enrolment, and in both. All of them leave each user as many images as all can have
without sharing one: 56 of a training, of ten people, and 9 to be compared by, of fifteen. On all
three folds, a third of the steps.
"""

SWEEP = {
    "bases": ("osie:short",),
    "values": {"stage": "encoder", "eval.num_images": (1, 4)},
    "sets": (
        *(f"shared_{share}_train" for share in (100, 50, 25, 0)),
        *(f"shared_{share}_test" for share in (100, 50, 25, 0)),
        *(f"shared_{share}" for share in (100, 50, 25, 0)),
        # What others look at is predicted from the image; or nothing is told of them at all.
        "shared_100+universal_predicted",
        "shared_0+universal_predicted",
        "shared_0_test+universal_predicted",
        "shared_100+gaze_alone",
        "shared_0+gaze_alone",
        # A batch whose users share no image, though there are some that they could.
        "shared_25+own_images",
    ),
    "grids": (),
    "seeds": (0, 1, 2),
}
