"""What one user looked at in one image, as a network sees it."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped
from ml_collections import ConfigDict

from gazejax.config.derived import map_size
from gazejax.inputs.maps import (
    density_at,
    leave_one_out_maps,
    scanpath_maps,
    to_relative_density,
)
from gazejax.inputs.stage_arrays import StageArrays
from gazejax.models.map_encoder import stack_inputs
from gazejax.models.scanpath_encoder import fixation_features
from gazejax.types import Scanpaths, viewing_scanpaths


class Pairs(NamedTuple):
    """Images and what one person each looked at in them.

    Attributes:
        pixels: 8-bit RGB at the stage's input size, or frozen features.
        aspect_ratio: width of the image divided by its height, as it was shown.
        scanpaths: the fixations.
        personal: the map of the fixations, at the stage's map size.
        universal: where other people looked; it sums to 1, or to 0 where that is not known.
        density: of the universal map at each fixation, relative to a uniform one.
        taste: image features averaged at the gaze, if the encoder is told.
    """

    pixels: Shaped[Array, "pair height width channel"]
    aspect_ratio: Float[Array, " pair"]
    scanpaths: Scanpaths
    personal: Float[Array, "pair map_height map_width"]
    universal: Float[Array, "pair map_height map_width"]
    density: Float[Array, "pair fixation"]
    taste: Float[Array, "pair taste"] | None


def make_pairs(
    config: ConfigDict,
    name: str,
    scanpaths: Scanpaths,
    *,
    pixels: Shaped[Array, "pair height width channel"],
    aspect_ratio: Float[Array, " pair"],
    universal_of: Callable[[Array], Array],
    taste_of: Callable[[Array], Array | None],
) -> Pairs:
    """Renders scanpaths and reads where they meet the universal map.

    Args:
        config: the validated config.
        name: one of `INPUTS`.
        scanpaths: the fixations of each pair.
        pixels: the image of each pair, at the stage's input size, or its frozen features.
        aspect_ratio: of each image.
        universal_of: personal maps -> universal maps, at the stage's map size.
        taste_of: personal minus universal maps -> tastes, or None.
    """
    personal = render_personal_maps(config, name, scanpaths, aspect_ratio)
    universal = universal_of(personal)
    return Pairs(
        pixels,
        aspect_ratio,
        scanpaths,
        personal,
        universal,
        density=density_at(universal, scanpaths),
        taste=taste_of(personal - universal),
    )


def encoder_inputs(config: ConfigDict, pairs: Pairs) -> tuple[Array | None, ...]:
    """What the encoder is called with, for pairs of stage `encoder`."""
    encoder = config.encoder.model
    if encoder.architecture == "scanpath":
        described = fixation_features(
            pairs.scanpaths, pairs.density, pairs.aspect_ratio, encoder.inputs
        )
        return described, pairs.scanpaths.mask, pairs.taste
    inputs = (
        encoder.inputs if encoder.architecture == "early_fusion" else ("image", *encoder.inputs)
    )
    stacked = stack_inputs(
        pairs.pixels,
        to_relative_density(pairs.personal),
        to_relative_density(pairs.universal),
        inputs,
    )
    return stacked, pairs.personal - pairs.universal


def render_personal_maps(
    config: ConfigDict, name: str, scanpaths: Scanpaths, aspect_ratio: Float[Array, " pair"]
) -> Float[Array, "pair height width"]:
    """The map of each pair's fixations, at the map size of a stage."""
    return scanpath_maps(
        scanpaths,
        aspect_ratio,
        sigma_frac=config.data.sigma_frac,
        map_size=map_size(config, name),
    )


def gather_pairs(
    config: ConfigDict,
    name: str,
    viewings: StageArrays,
    user: Int[Array, " pair"],
    image: Int[Array, " pair"],
    max_fixations: int,
) -> Pairs:
    """The pairs of users and images, given as data-set indices."""
    gaze = viewings.gaze
    return make_pairs(
        config,
        name,
        viewing_scanpaths(gaze, user, image, max_fixations=max_fixations),
        pixels=jnp.asarray(viewings.pixels)[image],
        aspect_ratio=jnp.asarray(gaze.aspect_ratio)[image],
        universal_of=lambda personal: leave_one_out_maps(
            viewings.group, gaze, user, image, personal
        ),
        taste_of=lambda _: (
            None if viewings.taste is None else jnp.asarray(viewings.taste)[user, image]
        ),
    )
