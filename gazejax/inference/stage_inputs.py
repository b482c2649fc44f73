"""A config and its data set -> what the networks read."""

from jaxtyping import Float
from ml_collections import ConfigDict
from numpy import ndarray

from gazejax.config.derived import INPUTS, has_preference_vector, map_size
from gazejax.data.splits import Splits
from gazejax.inputs.maps import MapSpec
from gazejax.inputs.stage_arrays import StageInputs, make_stage_arrays
from gazejax.types import Dataset, longest_viewing


def make_stage_inputs(
    name: str,
    config: ConfigDict,
    dataset: Dataset,
    splits: Splits,
    replacement: Float[ndarray, "all_images map_height map_width"] | None = None,
    *,
    by_recording: bool = False,
    max_fixations: int = 0,
) -> StageInputs:
    """Gathers what a stage reads, with the summed maps of the seen users.

    Args:
        name: one of `INPUTS`.
        config: the validated config.
        dataset: the data set.
        splits: which users and images are seen.
        replacement: universal maps in place of the leave-one-out maps; None: none.
        by_recording: whether the viewings are of the recordings of the data set.
        max_fixations: length that viewings are padded to if the longest one is shorter, so that
            what was compiled for longer ones is used again.
    """
    longest = max(max_fixations, longest_viewing(dataset.gaze))
    if by_recording and dataset.recordings is not None:
        longest = max(longest, longest_viewing(dataset.recordings.gaze))
    spec = MapSpec(map_size(config, name), config.data.sigma_frac, longest)
    has_preference = has_preference_vector(config)
    reads_features = has_preference and name == "saliency"
    images = dataset.features if reads_features else dataset.images.get(name)
    arrays = make_stage_arrays(
        dataset,
        images,
        spec,
        users=splits.seen_users,
        train_images=splits.train_images,
        replacement=replacement,
        has_preference=has_preference and name == "encoder",
        by_recording=by_recording,
    )
    return StageInputs(arrays, spec)


def both_stage_inputs(
    config: ConfigDict,
    dataset: Dataset,
    splits: Splits,
    replacement: Float[ndarray, "all_images map_height map_width"] | None = None,
) -> dict[str, StageInputs]:
    """What the encoder and what the saliency network read; see `make_stage_inputs`."""
    return {name: make_stage_inputs(name, config, dataset, splits, replacement) for name in INPUTS}
