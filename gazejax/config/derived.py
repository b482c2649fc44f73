"""What follows from a config: stages to train, sizes, folds."""

from pathlib import Path

from ml_collections import ConfigDict

from gazejax.models import feature_projection

STAGES = ("encoder", "saliency", "universal", "permuted_encoder")

ENCODERS = ("encoder", "permuted_encoder")

# The networks with an input size of their own; the other stages share theirs.
INPUTS = ("encoder", "saliency")


def encoder_sees_pixels(config: ConfigDict) -> bool:
    """Whether the encoder reads the image, and not gaze alone."""
    return bool(config.encoder.model.architecture != "scanpath")


def input_size(config: ConfigDict, name: str) -> tuple[int, int]:
    """(height, width) of the images that a stage's network, or its backbone, reads."""
    if name == "saliency" and has_preference_vector(config):
        return config.features.image_size
    if name == "encoder" and not encoder_sees_pixels(config):
        return config.encoder.map_size
    return config[name].image_size


def has_preference_vector(config: ConfigDict) -> bool:
    """Whether embeddings end with a preference vector, for a saliency network on features.

    A valid config has a backbone for both or for neither.
    """
    return config.features.backbone != "none"


def uses_predicted_universal_maps(config: ConfigDict) -> bool:
    """Whether the other stages read the maps that stage `universal` predicts."""
    return bool(config.data.universal_map == "predicted")


def has_memory(config: ConfigDict) -> bool:
    """Whether the saliency network has a memory of the seen users."""
    return has_preference_vector(config) and config.saliency.model.memory.kind != "none"


def user_embedding_size(config: ConfigDict) -> int:
    """Entries of a user embedding: the learnt part, then the preference vector if there is one."""
    preference = 0
    if has_preference_vector(config):
        preference = feature_projection.num_features(config.features.components)
    return config.encoder.model.embedding_size + preference


def stages_to_train(config: ConfigDict) -> list[str]:
    """The stages that a config asks for, in order, and the stage whose maps they read."""
    asked = [config.stage]
    if config.stage == "all":
        has_control = config.controls.train_permuted_encoder
        asked = [name for name in STAGES if name != "permuted_encoder" or has_control]
    if uses_predicted_universal_maps(config):
        return ["universal", *(name for name in asked if name != "universal")]
    return asked


def pairs_per_batch(config: ConfigDict) -> int:
    """Pairs in a batch of stage 1, those of virtual users included."""
    sizes = config.encoder.batch
    return (sizes.num_users + sizes.virtual_users.number) * sizes.images_per_user


def map_size(config: ConfigDict, name: str) -> tuple[int, int]:
    """(height, width) of the maps of a stage; in a map encoder maps are as large as images."""
    if name == "encoder" and encoder_sees_pixels(config):
        return config.encoder.image_size
    return config[name].map_size


def fold_configs(config: ConfigDict, workdir: Path) -> dict[Path, ConfigDict]:
    """Config of each fold by its folder: the config itself, or those of a cross-validation."""
    if not config.split.cross_validate:
        return {workdir: config}
    configs = {}
    for fold in range(config.split.folds):
        one = config.copy_and_resolve_references()
        one.split.update(fold=fold, cross_validate=False)
        configs[workdir / f"fold_{fold}"] = one
    return configs
