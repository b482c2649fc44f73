"""Whether one person's gaze fits the others' better once it is mirrored or turned."""

from collections.abc import Callable, Sequence

import numpy as np

from tfds_builders.common.coordinates import Units
from tfds_builders.common.plausibility import gaze as gaze_rows
from tfds_builders.common.plausibility.gaze import Gaze, Pairs

_GRID = 8
# Maps of all people and images in memory; further images are left out.
_MAX_CELLS = 4_000_000
_MIN_IMAGES = 10
# Student's t over the images of a person, and how much better the changed map fits. People of the
# real sets, on 8 to 100 images and beside 1 to 11 others, have a t of at most 3.9 for mirrored maps
# and 5.2 for exchanged axes, and fit at most 1.4 times as well. A person turned upside down has a
# median t of 3 to 7 on 25 images of these sets, and of 5 to 13 on 100.
_MIN_T = 3.0
_CLEAR_T = 4.0
# One or a few others may be odd themselves: 3.9 was found, of one person beside two.
_FEW_USERS = 4
_MIN_T_EXCHANGED = 6.0
# The same t, of the logarithm of how likely the gaze is by that of the others; and of what differs
# from image to image. On 12 and 25 images of the real sets, the largest one is .4 for maps upside
# down or mirrored, and 2.6 that of generated people who look at faces of one size.
_MIN_T_OF_IMAGES = 2.5
# The median of this t over the people, whatever its sign; by chance, it is .7.
_MIN_SIDE = 1.5
_ANYWHERE = 0.2  # Share of gaze that may be anywhere.
_MIN_RATIO = 1.15
_CLEAR_RATIO = 1.4  # One of the two has to be clear.
_MIN_RATIO_EXCHANGED = 1.5
# Saccades are longer from side to side than up and down: by 1.3 to 1.9 in the real sets;
# of one person on 12 of their images, 0.77 was found.
_SACCADE_RATIO = 0.77
_MIN_STEPS = 500
_MIN_IMAGES_OF_STEPS = 25

_UPSIDE_DOWN, _EXCHANGED = "upside down", "with x and y exchanged"
_Maps = np.ndarray  # [u, i, _GRID, _GRID], rows of the picture before columns

# What may have happened to x and y, and what it does to maps.
_CHANGES: tuple[tuple[str, str, Callable[[_Maps], _Maps]], ...] = (
    (_UPSIDE_DOWN, "give --y up", lambda maps: maps[..., ::-1, :]),
    ("mirrored from left to right", "x is counted from the right", lambda maps: maps[..., ::-1]),
    (
        "turned by 180 degrees",
        "x and y are counted from the bottom right",
        lambda maps: maps[..., ::-1, ::-1],
    ),
    (
        _EXCHANGED,
        "exchange them (--columns x=y,y=x in a table)",
        lambda maps: np.swapaxes(maps, -1, -2),
    ),
)


def check_agreement(gaze: Gaze, user_ids: Sequence[str]) -> list[str]:
    """Compares the maps of each person with those of the others on the same images.

    Where the gaze of all people is mirrored alike, nothing is found. The mean height of gaze is
    .467 to .515 of the picture in the real sets, so that it does not say which way is up.
    """
    maps = _maps_of(gaze)
    if maps is None:
        return []
    # Both groups of people have to be found, even if they are equally large.
    is_turned = _groups(maps)
    aligned = np.where(is_turned[:, None, None, None], maps[:, :, ::-1], maps)
    others = aligned.sum(0) - aligned
    del aligned
    num_others = others.sum((2, 3), keepdims=True)
    others /= np.maximum(num_others, 1)
    likelihood = _log_likelihood(others, num_others > 0)
    # Without gaze of the person, or of others, an image says nothing.
    has_both = (maps.any((2, 3)) & others.any((2, 3))).astype(np.float64)
    num_images = has_both.sum(1)
    mean_map = maps.sum(1) / np.maximum(num_images, 1)[:, None, None]
    own = (maps * others).sum((2, 3))
    own_likelihood = (maps * likelihood).sum((2, 3))
    own_fit = (own * has_both).sum(1)
    num_users = np.count_nonzero(num_images)
    least_t = _CLEAR_T if num_users <= _FEW_USERS else _MIN_T
    best = np.zeros(len(maps))
    change = np.full(len(maps), -1)
    for number, (what, _, apply) in enumerate(_CHANGES):
        changed = apply(maps)
        fit = (changed * others).sum((2, 3))
        gain = fit - own
        t = _t_of(gain, has_both)
        ratio = (fit * has_both).sum(1) / np.maximum(own_fit, 1e-12)
        if what == _EXCHANGED:
            is_better = (t >= _MIN_T_EXCHANGED) & (ratio >= _MIN_RATIO_EXCHANGED)
        else:
            gain_of_log = (changed * likelihood).sum((2, 3)) - own_likelihood
            t_of_log = _t_of(gain_of_log, has_both)
            # What is left once the mean map of the person, of all images, is taken off.
            rest = apply(mean_map) - mean_map
            t_of_images = _t_of(gain - np.einsum("ukl,uikl->ui", rest, others), has_both)
            log_of_images = gain_of_log - np.einsum("ukl,uikl->ui", rest, likelihood)
            t_of_images = np.minimum(t_of_images, _t_of(log_of_images, has_both))
            is_better = (t >= least_t) & ((t >= _CLEAR_T) | (ratio >= _CLEAR_RATIO))
            by_images = t_of_images >= _MIN_T_OF_IMAGES
            # Of two things side by side in all images, such as eyes of faces, people prefer one.
            is_better &= by_images | (what == _UPSIDE_DOWN)
            is_better |= (t_of_log >= least_t) & by_images
            is_better &= ratio >= _MIN_RATIO
            # Where people do not agree with each other, one of them fits another way by chance. One
            # of few people changes what the others agree on.
            sides = np.abs(t_of_log[num_images >= _MIN_IMAGES])
            if num_users > _FEW_USERS and len(sides) and np.median(sides) < _MIN_SIDE:
                continue
            t = np.maximum(t, t_of_log)
        is_better &= (num_images >= _MIN_IMAGES) & (t > best)
        change = np.where(is_better, number, change)
        best = np.where(is_better, t, best)
    found = []
    for number, (what, mend, _) in enumerate(_CHANGES):
        users = np.flatnonzero(change == number)
        if len(users):
            # The larger group is taken for right; of two alike, either may be.
            other = ", or the others' is" if 2 * len(users) >= (num_images > 0).sum() else ""
            found.append(
                f"gaze of {gaze_rows.names_of(users, user_ids)} looks {what}{other}: on "
                f"{int(num_images[users].min())} and more images it fits the gaze of the other "
                f"people better that way (t {best[users].min():.1f} and more): {mend} for these "
                "people, in a build or conversion of their own"
            )
    return found


def _log_likelihood(others: _Maps, is_known: np.ndarray) -> _Maps:
    """Returns float32 [u, i, 8, 8]: logarithm of the share of gaze of the others in a cell.

    A few fixations of others are spread over the cells around them.
    """
    smooth = others
    for axis in (2, 3):
        whole = np.moveaxis(smooth, axis, 0)
        spread = whole / 2
        spread[1:] += whole[:-1] / 4
        spread[:-1] += whole[1:] / 4
        smooth = np.moveaxis(spread, 0, axis)
    smooth += _ANYWHERE / _GRID**2
    np.log(smooth, out=smooth)
    smooth *= is_known
    return np.ascontiguousarray(smooth)


def _t_of(gain: np.ndarray, has_both: np.ndarray) -> np.ndarray:
    """Returns Student's t [u] of gains [u, i], over the images that a person and others saw."""
    num_images = has_both.sum(1)
    mean = (gain * has_both).sum(1) / np.maximum(num_images, 1)
    deviation = np.square(gain - mean[:, None]) * has_both
    error = np.sqrt(deviation.sum(1) / np.maximum(num_images * (num_images - 1), 1))
    return mean / np.maximum(error, 1e-12)


def _maps_of(gaze: Gaze) -> _Maps | None:
    """Returns float32 [u, i, 8, 8], shares of gaze of a person on an image; None: too little."""
    inside = gaze_rows.both((gaze.xy_frac >= 0) & (gaze.xy_frac < 1))
    image, user = gaze.image[inside], gaze.user[inside]
    if not len(image):
        return None
    num_users = int(user.max()) + 1
    rows_of_image = np.bincount(image)
    num_images = min(len(rows_of_image), _MAX_CELLS // (num_users * _GRID * _GRID))
    if num_users < 2 or num_images < _MIN_IMAGES:
        return None
    # The images with most gaze.
    chosen = np.argsort(-rows_of_image, kind="stable")[:num_images]
    place = np.full(len(rows_of_image), -1)
    place[chosen] = np.arange(num_images)
    column = place[image]
    kept = column >= 0
    cell = np.floor(gaze.xy_frac[inside][kept] * _GRID).astype(np.int64)
    index = (user[kept].astype(np.int64) * num_images + column[kept]) * _GRID + cell[:, 1]
    counts = np.bincount(
        index * _GRID + cell[:, 0], minlength=num_users * num_images * _GRID * _GRID
    )
    maps = counts.reshape(num_users, num_images, _GRID, _GRID).astype(np.float32)
    return maps / np.maximum(maps.sum((2, 3), keepdims=True), 1)


def _groups(maps: _Maps) -> np.ndarray:
    """Returns bool [u]: the people of the smaller group, whose maps are upside down to the rest.

    From no one turned, one person after the other is turned as long as that adds to the agreement
    of all. People without an image in common say nothing of each other.
    """
    # The part that changes its sign when the map is turned upside down.
    odd = (maps - maps[:, :, ::-1]).reshape(len(maps), -1)
    agreement = (odd @ odd.T).astype(np.float64)
    np.fill_diagonal(agreement, 0)
    is_turned = np.zeros(len(maps), bool)
    with_others = agreement.sum(1)
    rounding = 1e-6 * np.abs(agreement).sum(1).max(initial=0)
    while with_others.min(initial=0) < -rounding:  # The sum grows each time, so that this ends.
        user = int(with_others.argmin())
        sign = 2.0 if is_turned[user] else -2.0
        with_others += sign * np.where(is_turned, -1.0, 1.0) * agreement[user]
        with_others[user] *= -1
        is_turned[user] ^= True
    # People without gaze are in neither group.
    num_users = np.count_nonzero(maps.any((1, 2, 3)))
    return is_turned if 2 * is_turned.sum() <= num_users else ~is_turned


def check_directions(gaze: Gaze, pairs: Pairs, units: Units) -> list[str]:
    """Saccades that are longer up and down than from side to side, on pictures not upright."""
    size = gaze.size_px[pairs.row]
    chosen = np.flatnonzero(size[:, 0] >= size[:, 1])
    is_few = np.count_nonzero(np.bincount(gaze.image[pairs.row[chosen]])) < _MIN_IMAGES_OF_STEPS
    if len(chosen) < _MIN_STEPS or is_few or units == "deg":
        return []
    some = chosen[gaze_rows.some_rows(len(chosen))]
    step = gaze.xy_frac[pairs.following[some]] - gaze.xy_frac[pairs.row[some]]
    across, down = np.nanmean(np.abs(step * size[some]), axis=0)
    if not across < _SACCADE_RATIO * down:
        return []
    return [
        f"x and y may be exchanged: steps are {across:.0f} pixels long across and {down:.0f} up "
        f"and down (mean of {len(some)}), while people look around a picture more from "
        "side to side; if so, exchange them (--columns x=y,y=x in a table)"
    ]
