"""Trains and evaluates: `python train.py --config=configs/osie.py --workdir=runs/osie`.

The same as `gazejax train`, from a checkout.
"""

import sys

from gazejax.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
