"""A section of a config -> a network as pure functions."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array
from ml_collections import ConfigDict

from gazejax.config.derived import embedding_layout
from gazejax.inputs.pairs import Pairs, map_inputs, scanpath_inputs
from gazejax.models.late_fusion_encoder import LateFusionEncoder
from gazejax.models.map_encoder import EarlyFusionEncoder, EncoderWithClassifier
from gazejax.models.saliency_readout import SaliencyReadout
from gazejax.models.saliency_unet import SaliencyUNet
from gazejax.models.scanpath_encoder import ScanpathEncoder

# Parameters of stage `universal` for each data set, where there are several; see `universal`.
OF_DATASET = "of_dataset"
PARAMS_OF_DATASET = ("log_gain", "center_weight")


@dataclass(frozen=True, eq=False)
class Network:
    """A network as pure functions.

    One config makes one network: what was compiled for it is found again, in another fold too.

    Attributes:
        init: random key -> parameters, a nested dictionary.
        apply: parameters -> the network, ready to be called.
        prepare: pairs -> what an encoder is called with; of an encoder only.
        apply_encoder: parameters of the encoder alone, without those of its classifier -> the
            encoder; of an encoder only.
        abstract_params: the parameters with shapes and dtypes as leaves.
    """

    init: Callable[[Array], Any]
    apply: Callable[[Any], Any]
    prepare: Callable[[Pairs], tuple[Any, ...]] | None = None
    apply_encoder: Callable[[Any], Any] | None = None
    abstract_params: Any = None

    def embed(self, params: Any, pairs: Pairs) -> Array:
        """The embedding of each pair, float32 [pair, embedding]; of an encoder only.

        Args:
            params: parameters of the network; `encoder` alone is used.
            pairs: what to embed.
        """
        if self.prepare is None or self.apply_encoder is None:
            raise TypeError("only an encoder embeds pairs")
        return self.apply_encoder(params["encoder"])(*self.prepare(pairs))

    def predict(self, params: Any, *inputs: Any) -> Any:
        """What the network returns."""
        return self.apply(params)(*inputs)


def encoder_network(config: ConfigDict, *, num_users: int) -> Network:
    """The encoder, and its classifier of `num_users` seen users."""
    return _encoder_network(
        tuple(config.encoder.model.items()),
        sum(embedding_layout(config)),
        num_users,
        config.training.compute_dtype,
    )


@functools.cache
def _encoder_network(
    model: tuple[tuple[str, Any], ...], embedding_size: int, num_users: int, dtype: str
) -> Network:
    options = dict(model)
    architecture, inputs = options.pop("architecture"), options["inputs"]
    encoder: Callable[..., nnx.Module]
    prepare: Callable[..., tuple[Any, ...]]
    match architecture:
        case "scanpath":
            encoder, prepare = ScanpathEncoder, functools.partial(scanpath_inputs, inputs=inputs)
        case "early_fusion":
            encoder, prepare = EarlyFusionEncoder, functools.partial(map_inputs, inputs=inputs)
        case "late_fusion":
            prepare = functools.partial(map_inputs, inputs=("image", *inputs))
            encoder = LateFusionEncoder
        case other:
            raise ValueError(f"encoder.model.architecture is {other!r}; see gazejax.config.schema")

    def make_encoder(rngs: nnx.Rngs) -> nnx.Module:
        return encoder(**options, dtype=jnp.dtype(dtype), rngs=rngs)

    def make(rngs: nnx.Rngs) -> EncoderWithClassifier:
        return EncoderWithClassifier(
            make_encoder(rngs), embedding_size=embedding_size, users=num_users, rngs=rngs
        )

    alone = _functional(make_encoder)
    return replace(_functional(make), prepare=prepare, apply_encoder=alone.apply)


def saliency_network(config: ConfigDict, *, num_users: int, num_datasets: int = 1) -> Network:
    """The conditioned saliency network; for stage `universal`, that of 0 seen users.

    Args:
        config: a validated config.
        num_users: number of seen users.
        num_datasets: number of data sets that have parameters of their own, zero at first; 1: none
            has.
    """
    options = {key: config.saliency.model[key] for key in config.saliency.model}
    architecture, layout = options.pop("architecture"), embedding_layout(config)
    match architecture:
        case "unet":
            make_module: Callable[..., nnx.Module] = SaliencyUNet
            options["embedding_size"] = sum(layout)
        case "readout":
            make_module, memory = SaliencyReadout, options.pop("memory")
            options |= {
                "num_features": layout.preference,
                "learnt_size": layout.learnt,
                "num_users": num_users,
                "memory_kind": memory.kind,
                "memory_width": memory.width,
                "rejection_distance": memory.rejection_distance,
                "temperature": memory.temperature,
            }
        case other:
            raise ValueError(f"saliency.model.architecture is {other!r}; see gazejax.config.schema")
    options["dtype"] = jnp.dtype(config.training.compute_dtype)
    return _saliency_network(make_module, tuple(options.items()), num_datasets)


@functools.cache
def _saliency_network(
    make_module: Callable[..., nnx.Module], options: tuple[tuple[str, Any], ...], num_datasets: int
) -> Network:
    network = _functional(lambda rngs: make_module(**dict(options), rngs=rngs))
    if num_datasets == 1:
        return network

    def init_own() -> dict[str, dict[str, Array]]:
        return {OF_DATASET: {name: jnp.zeros(num_datasets) for name in PARAMS_OF_DATASET}}

    return replace(
        network,
        init=lambda key: network.init(key) | init_own(),
        apply=lambda params: network.apply(without_datasets(params)),
        abstract_params=network.abstract_params | jax.eval_shape(init_own),
    )


def without_datasets(params: Any) -> Any:
    """The parameters of a network without those of single data sets."""
    return {name: part for name, part in params.items() if name != OF_DATASET}


def _functional(make: Callable[[nnx.Rngs], nnx.Module]) -> Network:
    graph, abstract_params = nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(0))), nnx.Param)
    return Network(
        init=lambda key: nnx.to_pure_dict(nnx.state(make(nnx.Rngs(key)), nnx.Param)),
        apply=lambda params: nnx.merge(graph, params),
        abstract_params=nnx.to_pure_dict(abstract_params),
    )
