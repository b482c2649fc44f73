"""The two programs of a trained model, `embed` and `predict`: arrays in, an array out, no state.

A program holds all parameters as constants, those of the backbone too. Its inputs are pictures at
the size of the network and gaze in fractions of the picture. Axes of which the length is free have
a name. The programs call what `api.Model` calls, for one viewing, and map it over the free axes.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from gazejax.config.derived import (
    INPUTS,
    duration_use,
    embedding_layout,
    has_preference_vector,
    input_sizes,
    map_size,
)
from gazejax.data import features, pretrained
from gazejax.inference.networks import encoder_network, saliency_network
from gazejax.inference.serving import FIXATIONS, make_embed, make_predict
from gazejax.inference.universal import make_universal_predictor
from gazejax.inputs.maps import MapSpec, to_density
from gazejax.types import Scanpaths
from gazejax.workdir.trained import Trained


class Value(NamedTuple):
    """An input or the output of a program.

    Attributes:
        name: of the input.
        shape: length of each axis, or the name of an axis of any length.
        dtype: `uint8`, `int32` or `float32`.
        unit: what the numbers are, with their unit.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str
    unit: str


class Program(NamedTuple):
    """A pure function with what it is called with.

    Attributes:
        name: `embed` or `predict`.
        call: arrays in the order of `inputs` -> the output.
        inputs: of the function.
        output: of the function.
    """

    name: str
    call: Callable[..., Array]
    inputs: tuple[Value, ...]
    output: Value


def make_programs(trained: Trained) -> tuple[Program, ...]:
    """Makes the programs of a trained model; without stage `saliency`, `embed` alone.

    Args:
        trained: the model.

    Raises:
        FileNotFoundError: if the model has a backbone, of which the weights are not installed.
    """
    read_picture = _make_picture_reader(trained)
    programs = (_make_embed(trained, read_picture),)
    return (
        programs if trained.saliency is None else (*programs, _make_predict(trained, read_picture))
    )


def symbolic_inputs(program: Program) -> list[jax.ShapeDtypeStruct]:
    """What JAX traces the program with: shapes with the names of free axes."""
    scope = jax.export.SymbolicScope()
    return [
        jax.ShapeDtypeStruct(
            jax.export.symbolic_shape(",".join(map(str, value.shape)), scope=scope),
            np.dtype(value.dtype),
        )
        for value in program.inputs
    ]


def _make_picture_reader(trained: Trained) -> Callable[[Array], tuple[Array, Array]]:
    """Returns (a picture of the saliency network) -> (what this network reads, universal map)."""
    config, prior = trained.config, trained.center_prior["saliency"]
    predict = make_universal_predictor(config)
    projection, backbone = trained.projection, None
    if projection is not None:
        backbone = pretrained.load_parameters()["backbone"]

    def read(picture: UInt8[Array, "height width 3"]) -> tuple[Array, Array]:
        image = picture[None]
        if projection is not None:
            image = features.frozen_features(
                backbone,
                image,
                strides=config.features.strides,
                projection=projection,
                size=map_size(config, "saliency"),
            )
        start = jnp.asarray(prior)
        if not trained.predicts_universal_maps:
            return image[0], start
        return image[0], predict(trained.universal, image, start)[0]

    return read


def _make_embed(trained: Trained, read_picture: Callable[[Array], tuple[Array, Array]]) -> Program:
    config = trained.config
    sizes, has_preference = input_sizes(config), has_preference_vector(config)
    maps = {name: map_size(config, name) for name in INPUTS}
    spec = MapSpec(maps["encoder"], config.data.sigma_frac, FIXATIONS)
    embed = make_embed(encoder_network(config, num_users=1), spec, has_preference=has_preference)
    durations = duration_use(config.encoder.model.inputs, without_durations=0.0)
    inputs = [_picture("picture", "viewing", sizes["saliency"])]
    if "encoder" in sizes:
        inputs.append(_picture("encoder_picture", "viewing", sizes["encoder"]))
    inputs += [
        Value(
            "aspect_ratio", ("viewing",), "float32", "width / height of the picture as it was shown"
        ),
        Value(
            "xy_frac",
            ("viewing", "fixation", 2),
            "float32",
            "x then y of each fixation in order, as fractions of the width and the height of the "
            "picture, from its top left corner",
        ),
        Value(
            "num_fixations",
            ("viewing",),
            "int32",
            "fixations of each viewing; what follows is padding",
        ),
    ]
    if durations.is_read:
        inputs.append(
            Value("duration_ms", ("viewing", "fixation"), "float32", "milliseconds; 0: not known")
        )

    def embed_one(named: dict[str, Array]) -> Float[Array, " embedding"]:
        xy_frac = named["xy_frac"]
        duration_ms = named.get("duration_ms", jnp.zeros_like(xy_frac[:, 0]))
        is_real = jnp.arange(xy_frac.shape[0]) < named["num_fixations"]
        saliency_input, universal = read_picture(named["picture"])
        resized = jax.image.resize(universal, maps["encoder"], "linear")
        pixels = named.get("encoder_picture")
        return embed(
            trained.encoder,
            None if pixels is None else pixels[None],
            Scanpaths(xy_frac[None], duration_ms[None], is_real[None]),
            named["aspect_ratio"][None],
            to_density(resized)[None],
            saliency_input[None],
        )[0]

    def call(*arrays: Array) -> Float[Array, "viewing embedding"]:
        names = [value.name for value in inputs]
        return jax.vmap(embed_one)(dict(zip(names, arrays, strict=True)))

    size = sum(embedding_layout(config))
    unit = "embedding of each viewing; that of a user is the mean over the user's viewings"
    output = Value("embedding", ("viewing", size), "float32", unit)
    return Program("embed", call, tuple(inputs), output)


def _make_predict(
    trained: Trained, read_picture: Callable[[Array], tuple[Array, Array]]
) -> Program:
    config = trained.config
    network = saliency_network(config, num_users=trained.num_seen_users)
    predict = make_predict(network)

    def call(
        pictures: UInt8[Array, "image height width 3"], embeddings: Float[Array, "user embedding"]
    ) -> Float[Array, "image user map_height map_width"]:
        def predict_image(picture: Array) -> Array:
            saliency_input, universal = read_picture(picture)
            start = to_density(universal)
            return jax.vmap(
                lambda one: predict(trained.saliency, saliency_input, start, one[None])[0]
            )(embeddings)

        return jax.vmap(predict_image)(pictures)

    inputs = (
        _picture("picture", "image", input_sizes(config)["saliency"]),
        Value(
            "embedding",
            ("user", sum(embedding_layout(config))),
            "float32",
            "embedding of each user: the mean of the output of embed over the user's viewings",
        ),
    )
    shape = ("image", "user", *map_size(config, "saliency"))
    unit = "where each user looks in each picture: a density, which sums to 1 over the picture"
    return Program("predict", call, inputs, Value("saliency", shape, "float32", unit))


def _picture(name: str, axis: str, size: tuple[int, int]) -> Value:
    unit = "8-bit RGB, 0 to 255, resized to this height and width"
    return Value(name, (axis, *size, 3), "uint8", unit)
