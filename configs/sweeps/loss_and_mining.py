"""Loss and mining of stage 1 on OSIE: which of them separates unseen users, and what collapses?

    gazejax sweep configs/sweeps/loss_and_mining.py --workdir runs/loss_and_mining
    gazejax compare runs/loss_and_mining

On all three folds, without the unseen users and test images of the reported metrics. A third of
the steps.
"""

SWEEP = {
    "bases": ("osie:validation+short",),
    "values": {"stage": "encoder", "eval.num_images": (1, 5, 20)},
    "ablations": (
        "margin_0.2",
        "l2_normalize",
        "l2_normalize+margin_0.2",
        "euclidean",
        "mining_random",
        "mining_semi_hard",
        "mining_batch_hard",
        "pairs_1",
        "prototypes",
        "prototypes_only",
        "classification_off",
        # Triplets alone, as the paper has them: does the mining decide then?
        "classification_off+mining_random",
        "classification_off+mining_batch_hard",
        "classification_off+l2_normalize+margin_0.2",
    ),
    "grids": (),
    "seeds": (0, 1, 2),
}
