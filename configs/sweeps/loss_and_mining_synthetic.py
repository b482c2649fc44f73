r"""Loss and mining of stage 1 on synthetic_gaze, and the collapse of triplets alone.

    gazejax sweep configs/sweeps/loss_and_mining_synthetic.py \
        --workdir runs/loss_and_mining_synthetic
    gazejax compare runs/loss_and_mining_synthetic

Half of the steps; one fold.
"""

SWEEP = {
    "bases": ("synthetic_gaze:short",),
    "values": {"stage": "encoder", "eval.num_images": (1, 5, 20)},
    "ablations": (
        "margin_1",
        "l2_normalize_off",
        "mining_random",
        "mining_semi_hard",
        "mining_batch_hard",
        "prototypes",
        "classification_off",
        "classification_off+mining_batch_hard",
        # All triplets with a margin of 0.2 on the raw map of the gaze: the collapse.
        "personal_map_only",
        "personal_map_only+classification_off",
    ),
    "grids": (),
    "seeds": (0, 1, 2),
}
