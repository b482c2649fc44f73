r"""Users who saw different images, on synthetic_gaze: what is lost, and which input loses least?

    gazejax sweep configs/sweeps/different_images_synthetic.py \
        --workdir runs/different_images_synthetic
    gazejax compare runs/different_images_synthetic

Twelve people to train with and as many images for tests as for training, so that each has images
enough of their own: 20 to train with, 8 to be compared by. Half of the steps; one fold.
"""

SWEEP = {
    "bases": ("synthetic_gaze:short",),
    "values": {
        "stage": "encoder",
        "eval.num_images": (1, 4),
        "split.max_seen_users": 12,
        "split.hash_one_in": 2,
    },
    "sets": (
        *(f"shared_{share}_train" for share in (100, 50, 25, 0)),
        *(f"shared_{share}_test" for share in (100, 50, 25, 0)),
        *(f"shared_{share}" for share in (100, 50, 25, 0)),
        # What others look at is predicted from the image; or nothing is told of them at all.
        "shared_100+universal_predicted",
        "shared_0+universal_predicted",
        "shared_0_test+universal_predicted",
        "shared_100+personal_alone",
        "shared_0+personal_alone",
    ),
    "grids": (),
    "seeds": (0, 1, 2),
}
