"""Both stages on OSIE, with the users and images of the few-shot scanpath papers.

    gazejax data build osie/gaze --raw DIR
    python train.py --config=configs/osie_published.py --workdir=runs/osie_published

The values are those of configs/osie.py but for the split: users 0 to 9 in the order of the release
are seen and 10 to 14 unseen, on 560 training and 70 test images. The evaluation adds `few_shot`:
which of the five is it, after 1, 5 or 10 training images? See docs/results/osie-published.md.
"""

from ml_collections import ConfigDict

from gazejax.config.ablations import apply_ablations
from gazejax.configs import osie

# Those that set no users or images of their own.
ABLATIONS = {
    name: changes
    for name, changes in osie.ABLATIONS.items()
    if not name.startswith("overlap_") and name not in ("short", "shipped")
}


def get_config(ablations: str = "") -> ConfigDict:
    """Every value of the experiment, changed by names of `ABLATIONS`, joined with +."""
    config = osie.get_config()
    config.split.update(test_rule="osie_published", fold=0)
    return apply_ablations(config, ABLATIONS, ablations)
