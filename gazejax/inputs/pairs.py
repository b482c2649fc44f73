"""What one user looked at in one image, as a network sees it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from gazejax.inputs.maps import (
    MapSpec,
    density_at,
    scanpath_maps,
    to_relative_density,
    universal_maps,
)
from gazejax.inputs.stage_arrays import StageArrays
from gazejax.inputs.viewing_vectors import look_up
from gazejax.models.map_encoder import MapInput, stack_inputs
from gazejax.models.scanpath_encoder import ScanpathInput, fixation_features
from gazejax.types import Scanpaths, viewing_scanpaths


class Pairs(NamedTuple):
    """Images, and what one user looked at in each.

    Attributes:
        images: 8-bit RGB at the stage's input size, or frozen features; None where the network
            sees no image.
        aspect_ratio: width of the image divided by its height, as it was shown.
        scanpaths: the fixations.
        personal: the map of the fixations, at the stage's map size.
        universal: where other users looked; it sums to 1, or to 0 where that is unknown.
        density: of the universal map at each fixation, relative to a uniform one; a virtual user
            keeps the densities of the real user.
        preference: preference vector of the viewing, for an encoder that appends one.
    """

    images: Shaped[Array, "pair height width channel"] | None
    aspect_ratio: Float[Array, " pair"]
    scanpaths: Scanpaths
    personal: Float[Array, "pair map_height map_width"]
    universal: Float[Array, "pair map_height map_width"]
    density: Float[Array, "pair fixation"]
    preference: Float[Array, "pair preference"] | None


def make_pairs(
    scanpaths: Scanpaths,
    spec: MapSpec,
    *,
    images: Shaped[Array, "pair height width channel"] | None,
    aspect_ratio: Float[Array, " pair"],
    universal_of: Callable[[Array], Array],
    preference_of: Callable[[Array], Array | None],
) -> Pairs:
    """Renders scanpaths, and reads the universal map at their fixations.

    Args:
        scanpaths: the fixations of each pair.
        spec: how fixations become maps.
        images: what the network sees of the image of each pair.
        aspect_ratio: of each image.
        universal_of: personal maps -> universal maps; leave-one-out maps depend on the personal.
        preference_of: personal minus universal maps -> preference vectors, or None.
    """
    personal = scanpath_maps(scanpaths, aspect_ratio, spec)
    universal = universal_of(personal)
    return Pairs(
        images,
        aspect_ratio,
        scanpaths,
        personal,
        universal,
        density=density_at(universal, scanpaths),
        preference=preference_of(personal - universal),
    )


def gather_pairs(
    arrays: StageArrays, user: Int[Array, " pair"], image: Int[Array, " pair"], spec: MapSpec
) -> Pairs:
    """The pairs of users and images, given as data-set indices."""
    gaze, preference = arrays.gaze, arrays.preference
    return make_pairs(
        viewing_scanpaths(gaze, user, image, max_fixations=spec.max_fixations),
        spec,
        images=None if arrays.images is None else jnp.asarray(arrays.images)[image],
        aspect_ratio=jnp.asarray(gaze.aspect_ratio)[image],
        universal_of=lambda personal: universal_maps(
            gaze, arrays.joined, arrays.universal, user, image, personal, spec
        ),
        preference_of=lambda _: None if preference is None else look_up(preference, user, image),
    )


def scanpath_inputs(
    pairs: Pairs, inputs: Sequence[ScanpathInput]
) -> tuple[
    Float[Array, "pair fixation feature"],
    Bool[Array, "pair fixation"],
    Float[Array, "pair preference"] | None,
]:
    """What a scanpath encoder is called with: fixation features, mask, preference vectors."""
    features = fixation_features(pairs.scanpaths, pairs.density, pairs.aspect_ratio, inputs)
    return features, pairs.scanpaths.mask, pairs.preference


def map_inputs(
    pairs: Pairs, inputs: Sequence[MapInput]
) -> tuple[Float[Array, "pair height width channel"], Float[Array, "pair height width"]]:
    """What a map encoder is called with: stacked images and maps, and the residual maps."""
    if pairs.images is None:
        raise TypeError("a map encoder reads images")
    stacked = stack_inputs(
        pairs.images,
        to_relative_density(pairs.personal),
        to_relative_density(pairs.universal),
        inputs,
    )
    return stacked, pairs.personal - pairs.universal
