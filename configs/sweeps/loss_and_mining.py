"""Loss and mining of stage 1 on OSIE: which of them tells strangers apart, and what collapses?

    gazejax sweep configs/sweeps/loss_and_mining.py --workdir runs/loss_and_mining
    gazejax compare runs/loss_and_mining

Without the users and images of the figures, on all three folds: the base and 16 variants with three
seeds each.
"""

SWEEP = {
    "bases": ("configs/osie.py:validation",),
    "values": {"stage": "encoder", "eval.folds": 3, "controls.permuted_users": False},
    "sets": (
        "euclidean",
        "mining_random",
        "mining_semi_hard",
        "mining_batch_hard",
        "pairs_1",
        "classification_off",
        # Triplets alone, as the paper has them: does the mining decide then?
        "classification_off+mining_random",
        "classification_off+mining_semi_hard",
        "classification_off+mining_batch_hard",
    ),
    # What a margin is depends on the length of embeddings.
    "grids": ({"sets": ("", "unit_length"), "encoder.loss.margin": (0.2, 0.5, 1.0, 2.0)},),
    "seeds": (0, 1, 2),
}
