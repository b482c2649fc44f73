"""`python -m gazejax`: the `gazejax` command."""

import sys

from gazejax.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
