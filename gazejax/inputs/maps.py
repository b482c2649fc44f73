"""Fixations to maps: personal maps, universal maps, and how maps are scaled for a network.

A Gaussian is separable, so the map of F fixations is one matrix product ``[h, F] @ [F, w]``: exact,
without truncation.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from gazejax.types import AnyArray, Gaze, Scanpaths, viewing_scanpaths


class MapSpec(NamedTuple):
    """How fixations become maps.

    Attributes:
        size: height and width of a map in cells.
        sigma_frac: standard deviation of a fixation, as a fraction of the image width.
        max_fixations: fixations of the longest viewing, the length that viewings are padded to.
    """

    size: tuple[int, int]
    sigma_frac: float
    max_fixations: int


def density_map(
    xy_frac: Float[Array, "fixation 2"],
    mask: Bool[Array, " fixation"],
    *,
    aspect_ratio: Float[Array, ""] | float,
    sigma_frac: float,
    map_size: tuple[int, int],
) -> Float[Array, "height width"]:
    """Renders fixations as a density: a sum of Gaussians that sums to 1.

    Args:
        xy_frac: fixations, x then y, as fractions of image width and height.
        mask: True for the fixations that count.
        aspect_ratio: image width divided by height; keeps the Gaussian round on the image.
        sigma_frac: standard deviation as a fraction of the image **width**.
        map_size: height and width of the map in cells.

    Returns:
        A map that sums to 1; all zero where no fixation counts.

    Source: ours. Evaluated at cell centres; mass that falls outside of the image is not counted.
    Along either axis the standard deviation is at least half a cell, or a fixation between two
    cells of a narrow picture would vanish.

    Example:
        >>> fixations = jnp.array([[0.25, 0.5], [0.9, 0.9]])  # Of them only the first counts.
        >>> mask = jnp.array([True, False])
        >>> options = {"aspect_ratio": 2.0, "sigma_frac": 0.25, "map_size": (1, 2)}
        >>> print(density_map(fixations, mask, **options).round(2))
        [[0.88 0.12]]
    """
    height, width = map_size
    column = (jnp.arange(width) + 0.5) / width
    row = (jnp.arange(height) + 0.5) / height
    x, y = xy_frac[:, :1], xy_frac[:, 1:]
    over_columns = jnp.exp(-0.5 * ((column - x) / max(sigma_frac, 0.5 / width)) ** 2)
    sigma_rows_frac = jnp.maximum(sigma_frac * aspect_ratio, 0.5 / height)
    over_rows = jnp.exp(-0.5 * ((row - y) / sigma_rows_frac) ** 2)
    total = jnp.einsum(
        "fh,fw->hw", over_rows * mask[:, None], over_columns, precision=jax.lax.Precision.HIGHEST
    )
    return _divide(total, total.sum())


def personal_maps(
    gaze: Gaze,
    user: Int[Array, " pair"],
    image: Int[Array, " pair"],
    spec: MapSpec,
) -> Float[Array, "pair height width"]:
    """Renders the viewings of (user, image) pairs; see `density_map`.

    Example:
        >>> # User 0 looked twice at image 0, user 1 once.
        >>> gaze = Gaze(
        ...     xy_frac=jnp.array([[0.25, 0.5], [0.25, 0.5], [0.75, 0.5]]),
        ...     duration_ms=jnp.zeros(3),
        ...     viewing_offset=jnp.array([[0], [2]]),
        ...     viewing_length=jnp.array([[2], [1]]),
        ...     aspect_ratio=jnp.array([2.0]),
        ... )
        >>> spec = MapSpec(size=(1, 2), sigma_frac=0.25, max_fixations=2)
        >>> print(personal_maps(gaze, jnp.array([0, 1]), jnp.array([0, 0]), spec).round(2))
        [[[0.88 0.12]]
        <BLANKLINE>
         [[0.12 0.88]]]
    """
    scanpaths = viewing_scanpaths(gaze, user, image, max_fixations=spec.max_fixations)
    return scanpath_maps(scanpaths, jnp.asarray(gaze.aspect_ratio)[image], spec)


def scanpath_maps(
    scanpaths: Scanpaths,
    aspect_ratio: Float[Array, " pair"],
    spec: MapSpec,
) -> Float[Array, "pair height width"]:
    """Renders the scanpath of each pair; see `density_map`.

    Example:
        >>> scanpaths = Scanpaths(
        ...     xy_frac=jnp.array([[[0.25, 0.5], [0.75, 0.5]]]),
        ...     duration_ms=jnp.zeros((1, 2)),
        ...     mask=jnp.array([[True, True]]),
        ... )
        >>> spec = MapSpec(size=(1, 2), sigma_frac=0.25, max_fixations=2)
        >>> print(scanpath_maps(scanpaths, jnp.array([2.0]), spec).round(2))
        [[[0.5 0.5]]]
    """

    def render(scanpath: Scanpaths, aspect_ratio: Float[Array, ""]) -> Float[Array, "height width"]:
        return density_map(
            scanpath.xy_frac,
            scanpath.mask,
            aspect_ratio=aspect_ratio,
            sigma_frac=spec.sigma_frac,
            map_size=spec.size,
        )

    return jax.vmap(render)(scanpaths, aspect_ratio)


def density_at(
    maps: Float[Array, "pair height width"], scanpaths: Scanpaths
) -> Float[Array, "pair fixation"]:
    """Density of a map at each fixation's cell, relative to a uniform density.

    Example:
        >>> scanpaths = Scanpaths(
        ...     xy_frac=jnp.array([[[0.1, 0.5], [0.9, 0.5]]]),
        ...     duration_ms=jnp.zeros((1, 2)),
        ...     mask=jnp.array([[True, True]]),
        ... )
        >>> density_at(jnp.array([[[0.75, 0.25]]]), scanpaths).tolist()
        [[1.5, 0.5]]
    """
    height, width = maps.shape[1:]
    cells = jnp.array([width, height])
    cell = jnp.clip(jnp.floor(scanpaths.xy_frac * cells), 0, cells - 1).astype(int)
    pair = jnp.arange(len(maps))[:, None]
    return maps[pair, cell[..., 1], cell[..., 0]] * (height * width)


class LeaveOneOutMaps(NamedTuple):
    """Sums of the personal maps of some users, the members, so that each can be left out again.

    Attributes:
        total: sum of the members' personal maps of each image.
        num_viewers: how many members saw each image.
        is_member: True for the users of the data set who are members.
    """

    total: Float[AnyArray, "image height width"]
    num_viewers: Int[AnyArray, " image"]
    is_member: Bool[AnyArray, " user"]


def sum_maps(
    gaze: Gaze,
    members: Int[Array, " member"],
    spec: MapSpec,
    viewers: Int[Array, "image viewer"] | None = None,
) -> LeaveOneOutMaps:
    """Sums the personal maps of the members, image by image; memory grows with images only.

    Args:
        gaze: the fixations.
        members: the users whose maps are summed.
        spec: how fixations become maps.
        viewers: the members who saw each image, and -1 where they are fewer than of another one;
            None: every member is looked at for every image, which takes longer.

    Example:
        >>> gaze = Gaze(
        ...     xy_frac=jnp.array([[0.25, 0.5], [0.75, 0.5]]),
        ...     duration_ms=jnp.zeros(2),
        ...     viewing_offset=jnp.array([[0], [1]]),
        ...     viewing_length=jnp.array([[1], [1]]),
        ...     aspect_ratio=jnp.array([2.0]),
        ... )
        >>> spec = MapSpec(size=(1, 2), sigma_frac=0.25, max_fixations=1)
        >>> group = sum_maps(gaze, jnp.array([0, 1]), spec)
        >>> print(group.total.round(2), group.num_viewers)
        [[[1. 1.]]] [2]
    """
    num_users, num_images = gaze.viewing_length.shape

    def image_total(of_image: tuple[Array, Array]) -> Float[Array, "height width"]:
        image, users = of_image
        maps = personal_maps(gaze, users, jnp.broadcast_to(image, users.shape), spec)
        return jnp.where((users >= 0)[:, None, None], maps, 0.0).sum(axis=0)

    if viewers is None:
        viewers = jnp.broadcast_to(members, (num_images, len(members)))
    return LeaveOneOutMaps(
        total=jax.lax.map(image_total, (jnp.arange(num_images), viewers)),
        num_viewers=(jnp.asarray(gaze.viewing_length)[members] > 0).sum(axis=0),
        is_member=jnp.zeros(num_users, bool).at[members].set(True),
    )


def leave_one_out_maps(
    universal: LeaveOneOutMaps,
    gaze: Gaze,
    user: Int[Array, " pair"],
    image: Int[Array, " pair"],
    personal: Float[Array, "pair height width"],
) -> Float[Array, "pair height width"]:
    """Mean map of the *other* members who saw the image.

    Args:
        universal: sums of the members' maps.
        gaze: the fixations of the data set.
        user: user of each pair, who is left out if a member.
        image: image of each pair.
        personal: the personal map of each pair, at the size of the sums.

    Returns:
        Maps that sum to 1; all zero where no other member saw the image.

    Example:
        >>> gaze = Gaze(
        ...     xy_frac=jnp.array([[0.25, 0.5], [0.75, 0.5]]),
        ...     duration_ms=jnp.zeros(2),
        ...     viewing_offset=jnp.array([[0], [1]]),
        ...     viewing_length=jnp.array([[1], [1]]),
        ...     aspect_ratio=jnp.array([2.0]),
        ... )
        >>> spec = MapSpec(size=(1, 2), sigma_frac=0.25, max_fixations=1)
        >>> group = sum_maps(gaze, jnp.array([0, 1]), spec)
        >>> user, image = jnp.array([0]), jnp.array([0])
        >>> personal = personal_maps(gaze, user, image, spec)
        >>> # Without user 0, what user 1 looked at.
        >>> print(leave_one_out_maps(group, gaze, user, image, personal).round(2))
        [[[0.12 0.88]]]
    """
    counted = universal.is_member[user] & (jnp.asarray(gaze.viewing_length)[user, image] > 0)
    others = universal.total[image] - counted[:, None, None] * personal
    num_others = universal.num_viewers[image] - counted
    # The subtraction leaves rounding errors where no other member looked: below zero, and where no
    # other member saw the image at all, a faint copy of the user's own map.
    others = jnp.where((num_others > 0)[:, None, None], jnp.maximum(others, 0.0), 0.0)
    return others / jnp.maximum(num_others, 1)[:, None, None]


class JoinedGaze(NamedTuple):
    """The gaze that universal maps were summed from, where viewings are of recordings.

    Attributes:
        gaze: the fixations with all sessions of a user joined.
        user: index of the user of each recording.
    """

    gaze: Gaze
    user: Int[AnyArray, " recording"]


def universal_maps(
    gaze: Gaze,
    joined: JoinedGaze | None,
    universal: LeaveOneOutMaps,
    user: Int[Array, " pair"],
    image: Int[Array, " pair"],
    personal: Float[Array, "pair height width"],
    spec: MapSpec,
) -> Float[Array, "pair height width"]:
    """The leave-one-out map of each (user, image) pair; of a recording, without all of its user's.

    Args:
        gaze: the fixations of the viewings.
        joined: None: the viewings are of users, and `universal` was summed from `gaze`. Else
            `user` has indices of recordings.
        universal: sums of the members' maps.
        user: user or recording of each pair.
        image: image of each pair.
        personal: the personal map of each pair.
        spec: how fixations become maps.

    Example:
        >>> gaze = Gaze(
        ...     xy_frac=jnp.array([[0.25, 0.5], [0.75, 0.5]]),
        ...     duration_ms=jnp.zeros(2),
        ...     viewing_offset=jnp.array([[0], [1]]),
        ...     viewing_length=jnp.array([[1], [1]]),
        ...     aspect_ratio=jnp.array([2.0]),
        ... )
        >>> spec = MapSpec(size=(1, 2), sigma_frac=0.25, max_fixations=1)
        >>> group = sum_maps(gaze, jnp.array([0, 1]), spec)
        >>> # In the second session, user 0 did not see the image.
        >>> apart = gaze._replace(
        ...     viewing_offset=jnp.array([[0], [0], [1]]),
        ...     viewing_length=jnp.array([[1], [0], [1]]),
        ... )
        >>> joined = JoinedGaze(gaze, jnp.array([0, 0, 1]))
        >>> second, image = jnp.array([1]), jnp.array([0])
        >>> personal = personal_maps(apart, second, image, spec)
        >>> # Without both sessions of user 0, what user 1 looked at.
        >>> found = universal_maps(apart, joined, group, second, image, personal, spec)
        >>> print(found.round(2))
        [[[0.12 0.88]]]
    """
    if joined is None:
        return leave_one_out_maps(universal, gaze, user, image, personal)
    owner = jnp.asarray(joined.user)[user]
    own = personal_maps(joined.gaze, owner, image, spec)
    return leave_one_out_maps(universal, joined.gaze, owner, image, own)


def personal_and_universal_maps(
    gaze: Gaze,
    universal: LeaveOneOutMaps,
    user: Int[Array, " pair"],
    image: Int[Array, " pair"],
    spec: MapSpec,
    joined: JoinedGaze | None = None,
) -> tuple[Float[Array, "pair height width"], Float[Array, "pair height width"]]:
    """The personal map and the leave-one-out map of each (user, image) pair.

    `joined` as in `universal_maps`.

    Example:
        >>> gaze = Gaze(
        ...     xy_frac=jnp.array([[0.25, 0.5], [0.75, 0.5]]),
        ...     duration_ms=jnp.zeros(2),
        ...     viewing_offset=jnp.array([[0], [1]]),
        ...     viewing_length=jnp.array([[1], [1]]),
        ...     aspect_ratio=jnp.array([2.0]),
        ... )
        >>> spec = MapSpec(size=(1, 2), sigma_frac=0.25, max_fixations=1)
        >>> group = sum_maps(gaze, jnp.array([0, 1]), spec)
        >>> pair = jnp.array([0]), jnp.array([0])
        >>> personal, universal = personal_and_universal_maps(gaze, group, *pair, spec)
        >>> print(personal.round(2), universal.round(2))
        [[[0.88 0.12]]] [[[0.12 0.88]]]
    """
    personal = personal_maps(gaze, user, image, spec)
    return personal, universal_maps(gaze, joined, universal, user, image, personal, spec)


def to_density(maps: Float[Array, "*batch height width"]) -> Float[Array, "*batch height width"]:
    """Scales each map so that it sums to 1; a zero map stays zero.

    Example:
        >>> to_density(jnp.array([[1.0, 3.0]])).tolist()
        [[0.25, 0.75]]
    """
    return _divide(maps, maps.sum(axis=(-2, -1), keepdims=True))


def to_relative_density(
    maps: Float[Array, "*batch height width"],
) -> Float[Array, "*batch height width"]:
    """Scales each map so that its mean is 1: density relative to a uniform one; zero stays zero.

    A map that sums to 1 has values near 1e-4: as an input of a network or as a target of the MSE
    such values starve training.

    Example:
        >>> to_relative_density(jnp.array([[1.0, 3.0]])).tolist()
        [[0.5, 1.5]]
    """
    return _divide(maps, maps.mean(axis=(-2, -1), keepdims=True))


def _divide(
    maps: Float[Array, "*batch height width"], scale: Float[Array, "..."]
) -> Float[Array, "*batch height width"]:
    return jnp.where(scale > 0, maps / jnp.where(scale > 0, scale, 1.0), 0.0)
