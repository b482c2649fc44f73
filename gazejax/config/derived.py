"""What follows from a config: stages to train, sizes, folds."""

from pathlib import Path

from ml_collections import ConfigDict

from gazejax.models import feature_projection

STAGES = ("encoder", "saliency", "universal", "permuted_encoder")

ENCODERS = ("encoder", "permuted_encoder")

# The networks with an input size of their own; the other stages share theirs.
INPUTS = ("encoder", "saliency")


def encoder_sees_pixels(config: ConfigDict) -> bool:
    """Whether the encoder looks at the picture, and not at gaze alone."""
    return bool(config.encoder.architecture != "scanpath")


def input_size(config: ConfigDict, name: str) -> tuple[int, int]:
    """(height, width) of the pictures that a stage's network, or its backbone, looks at."""
    if name == "saliency" and has_preference_vector(config):
        return config.features.image_size
    return config[name].image_size


def has_preference_vector(config: ConfigDict) -> bool:
    """Whether embeddings end with the person's taste, for a saliency network that sees features.

    A valid config has a backbone for both or for neither.
    """
    return config.features.backbone != "none"


def uses_predicted_universal_maps(config: ConfigDict) -> bool:
    """Whether the other stages are told the maps that stage `universal` predicts."""
    return bool(config.data.universal_map == "predicted")


def has_memory(config: ConfigDict) -> bool:
    """Whether the saliency network remembers the people of the training."""
    return has_preference_vector(config) and config.saliency.conditioning != "taste"


def user_embedding_size(config: ConfigDict) -> int:
    """Entries of a user embedding: what is learnt, then the taste if there is one."""
    taste = 0
    if has_preference_vector(config):
        taste = feature_projection.num_features(config.features.components)
    return config.encoder.embedding_size + taste


def stages_to_train(config: ConfigDict) -> list[str]:
    """The stages that a config asks for, in order, and what they need to be told."""
    asked = [config.stage]
    if config.stage == "all":
        has_control = config.controls.permuted_users
        asked = [name for name in STAGES if name != "permuted_encoder" or has_control]
    if uses_predicted_universal_maps(config):
        return ["universal", *(name for name in asked if name != "universal")]
    return asked


def pairs_per_batch(config: ConfigDict) -> int:
    """Pairs in a batch of stage 1, those of virtual users included."""
    sizes = config.encoder.sampling
    return (sizes.num_users + sizes.virtual_users.number) * sizes.images_per_user


def map_size(config: ConfigDict, name: str) -> tuple[int, int]:
    """(height, width) of the maps of a stage: the encoder's enter beside the image, at its size."""
    return config.encoder.image_size if name == "encoder" else config.saliency.map_size


def fold_configs(config: ConfigDict, workdir: Path) -> dict[Path, ConfigDict]:
    """Config of each fold by its folder: the config itself, or those of a cross-validation."""
    if config.eval.folds == 1:
        return {workdir: config}
    configs = {}
    for fold in range(config.eval.folds):
        one = config.copy_and_resolve_references()
        one.split.update(folds=config.eval.folds, fold=fold)
        one.eval.folds = 1
        configs[workdir / f"fold_{fold}"] = one
    return configs
