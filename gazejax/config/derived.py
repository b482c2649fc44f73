"""Values that are derived from a config: stages to train, sizes, folds."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

from gazejax.config.schema import WITHOUT_IMAGES
from gazejax.models import feature_projection
from gazejax.models.scanpath_encoder import TIMED_FEATURES

STAGES = ("encoder", "saliency", "universal", "permuted_encoder")

ENCODER_STAGES = ("encoder", "permuted_encoder")

# The networks with an input size of their own; the other stages share theirs.
INPUTS = ("encoder", "saliency")


def dataset_names(name: str) -> tuple[str, ...]:
    """The prepared data sets that `config.data.name` names.

    Example:
        >>> dataset_names("osie/gaze,mine")
        ('osie/gaze', 'mine')
    """
    return tuple(name.split(","))


class EmbeddingLayout(NamedTuple):
    """Entries of a user embedding: first the learnt part, then the preference vector.

    Attributes:
        learnt: number of entries of the learnt part.
        preference: number of entries of the preference vector; 0 where there is none.
    """

    learnt: int
    preference: int


def input_sizes(config: ConfigDict) -> dict[str, tuple[int, int]]:
    """(height, width) of the images that each network, or its backbone, reads, if it reads any."""
    sizes = {}
    if config.encoder.model.architecture not in WITHOUT_IMAGES:
        sizes["encoder"] = config.encoder.image_size
    section = config.features if has_preference_vector(config) else config.saliency
    return sizes | {"saliency": section.image_size}


def map_size(config: ConfigDict, name: str) -> tuple[int, int]:
    """(height, width) of the maps of a stage; in a map encoder, maps have the size of images."""
    if name == "encoder" and "encoder" in input_sizes(config):
        return config.encoder.image_size
    return config[name].map_size


def has_preference_vector(config: ConfigDict) -> bool:
    """Whether embeddings end with a preference vector, for a saliency network on features.

    A valid config has a backbone for both or for neither.
    """
    return config.features.backbone != "none"


class DurationUse(NamedTuple):
    """How an encoder uses the durations of fixations.

    Attributes:
        is_read: whether it reads them.
        is_needed: whether it embeds no gaze without them.
    """

    is_read: bool
    is_needed: bool


def duration_use(inputs: Sequence[str], *, without_durations: float) -> DurationUse:
    """How an encoder uses durations.

    Args:
        inputs: of the encoder, `encoder.model.inputs`.
        without_durations: share of its training without them, `encoder.batch.virtual_sessions`.

    Example:
        >>> duration_use(("position", "duration"), without_durations=0.25)
        DurationUse(is_read=True, is_needed=False)
    """
    is_read = bool(TIMED_FEATURES & set(inputs))
    return DurationUse(is_read, is_read and without_durations == 0)


def embedding_layout(config: ConfigDict) -> EmbeddingLayout:
    """The parts of a user embedding."""
    preference = 0
    if has_preference_vector(config):
        preference = feature_projection.num_features(config.features.components)
    return EmbeddingLayout(config.encoder.model.embedding_size, preference)


def stages_to_train(config: ConfigDict) -> list[str]:
    """The stages to train, in order, including the stage `universal` if others read its maps."""
    stages = [config.stage]
    if config.stage == "all":
        has_control = config.controls.train_permuted_encoder
        stages = [name for name in STAGES if name != "permuted_encoder" or has_control]
    if config.data.universal_map == "predicted":
        return ["universal", *(name for name in stages if name != "universal")]
    return stages


def batch_divisor(config: ConfigDict) -> int:
    """The largest number of devices that can share the batches of all stages evenly."""
    sizes = config.encoder.batch
    num_pairs = (sizes.num_users + sizes.virtual_users.number) * sizes.images_per_user
    return math.gcd(num_pairs, config.saliency.batch.num_images, config.universal.num_images)


def fold_configs(config: ConfigDict, workdir: Path) -> dict[Path, ConfigDict]:
    """Config of each fold, by its folder; without cross-validation, the config itself."""
    if not config.split.cross_validate:
        return {workdir: config}
    configs = {}
    for fold in range(config.split.folds):
        one = config.copy_and_resolve_references()
        one.split.update(fold=fold, cross_validate=False)
        configs[workdir / f"fold_{fold}"] = one
    return configs
