"""The configs, as `gazejax.configs.NAME`: in a checkout, the files of the folder `configs/`.

An installed package has those files in this place, and does not have this one.
"""

from pathlib import Path

__path__ = [str(Path(__file__).parents[2] / "configs")]
