r"""Users who saw different images, on synthetic_gaze: what is lost, and which input loses least?

    gazejax sweep configs/sweeps/different_images_synthetic.py \
        --workdir runs/different_images_synthetic
    gazejax compare runs/different_images_synthetic

Twelve users to train with and as many images for tests as for training, so that each has images
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
    "ablations": (
        *(f"overlap_{share}_train" for share in (100, 50, 25, 0)),
        *(f"overlap_{share}_test" for share in (100, 50, 25, 0)),
        *(f"overlap_{share}" for share in (100, 50, 25, 0)),
        # Universal maps predicted from the image; or neither universal map nor image features.
        "overlap_100+universal_predicted",
        "overlap_0+universal_predicted",
        "overlap_0_test+universal_predicted",
        "overlap_100+personal_map_only",
        "overlap_0+personal_map_only",
    ),
    "grids": (),
    "seeds": (0, 1, 2),
}
