"""A section of a config -> a network as two pure functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array
from ml_collections import ConfigDict

from gazejax.config.derived import user_embedding_size
from gazejax.models import feature_projection
from gazejax.models.late_fusion_encoder import LateFusionEncoder
from gazejax.models.map_encoder import CHANNELS, EarlyFusionEncoder, EncoderWithClassifier
from gazejax.models.saliency_readout import SaliencyReadout
from gazejax.models.saliency_unet import SaliencyUNet
from gazejax.models.scanpath_encoder import FEATURES, ScanpathEncoder


class Network(NamedTuple):
    """A model as two pure functions.

    Attributes:
        init: random key -> parameters, a nested dictionary.
        apply: parameters -> the model, ready to be called.
    """

    init: Callable[[Array], Any]
    apply: Callable[[Any], Any]


def encoder_network(config: ConfigDict, *, num_users: int) -> Network:
    """The encoder and its classifier of `num_users` seen users."""
    encoder, dtype = config.encoder.model, jnp.dtype(config.training.compute_dtype)

    def make(rngs: nnx.Rngs) -> EncoderWithClassifier:
        module: nnx.Module
        match encoder.architecture:
            case "early_fusion":
                module = EarlyFusionEncoder(
                    in_channels=sum(CHANNELS[name] for name in encoder.inputs),
                    filters=encoder.filters,
                    kernel_size=encoder.kernel_size,
                    stride=encoder.stride,
                    norm_groups=encoder.norm_groups,
                    pooling=encoder.pooling,
                    embedding_size=encoder.embedding_size,
                    dtype=dtype,
                    rngs=rngs,
                )
            case "late_fusion":
                module = LateFusionEncoder(
                    map_channels=sum(CHANNELS[name] for name in encoder.inputs),
                    filters=encoder.filters,
                    map_filters=encoder.map_filters,
                    kernel_size=encoder.kernel_size,
                    stride=encoder.stride,
                    norm_groups=encoder.norm_groups,
                    pooling=encoder.pooling,
                    embedding_size=encoder.embedding_size,
                    dtype=dtype,
                    rngs=rngs,
                )
            case "scanpath":
                module = ScanpathEncoder(
                    num_features=sum(FEATURES[name] for name in encoder.inputs),
                    width=encoder.width,
                    embedding_size=encoder.embedding_size,
                    preference_scale=encoder.preference_scale,
                    dtype=dtype,
                    rngs=rngs,
                )
            case other:
                raise ValueError(f"encoder.model.architecture is {other!r}; see config.schema")
        return EncoderWithClassifier(
            module, embedding_size=user_embedding_size(config), users=num_users, rngs=rngs
        )

    return _functional(make)


def saliency_network(config: ConfigDict, *, num_users: int) -> Network:
    """The conditioned saliency network; for stage `universal`, that of 0 seen users."""
    saliency, dtype = config.saliency.model, jnp.dtype(config.training.compute_dtype)

    def make(rngs: nnx.Rngs) -> nnx.Module:
        match saliency.architecture:
            case "unet":
                return SaliencyUNet(
                    trunk_filters=saliency.trunk_filters,
                    decoder_filters=saliency.decoder_filters,
                    conditioning=saliency.conditioning,
                    conditioned_levels=saliency.conditioned_levels,
                    norm_groups=saliency.norm_groups,
                    embedding_size=user_embedding_size(config),
                    dtype=dtype,
                    rngs=rngs,
                )
            case "readout":
                return SaliencyReadout(
                    num_features=feature_projection.num_features(config.features.components),
                    learnt_size=config.encoder.model.embedding_size,
                    num_users=num_users,
                    width=saliency.width,
                    memory_kind=saliency.memory.kind,
                    memory_width=saliency.memory.width,
                    rejection_distance=saliency.memory.rejection_distance,
                    temperature=saliency.memory.temperature,
                    dtype=dtype,
                    rngs=rngs,
                )
            case other:
                raise ValueError(f"saliency.model.architecture is {other!r}; see config.schema")

    return _functional(make)


def _functional(make: Callable[[nnx.Rngs], nnx.Module]) -> Network:
    graph, _ = nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(0))), nnx.Param)
    return Network(
        init=lambda key: nnx.to_pure_dict(nnx.state(make(nnx.Rngs(key)), nnx.Param)),
        apply=lambda params: nnx.merge(graph, params),
    )
