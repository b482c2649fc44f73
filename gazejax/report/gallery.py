"""The gallery of a report: pictures, fixations and maps of some users, and who the users are."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gazejax.report.html import map_uri, picture_uri

_LONGEST_PX = 400

# Traits by the names of `traits.measure`: what they are, digits, and the words for more of them.
_TRAITS = {
    "duration_ms": ("Duration of a fixation, ms", 0),
    "fixations": ("Fixations an image", 1),
    "saccade_length": ("Distance to the next fixation, image widths", 3),
    "spread": ("Spread of the fixations, image widths", 3),
    "center_share": ("Share of fixations near the center", 3),
    "fixated_brightness": ("Brightness of what is looked at, minus that of others", 4),
    "fixated_contrast": ("Contrast of what is looked at, minus that of others", 4),
    "fixated_color": ("Color of what is looked at, minus that of others", 4),
}


def gallery(shown: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
    """What the gallery of a page shows.

    Args:
        shown: content of `evaluation_report.npz`.

    Returns:
        None without maps. `images`: name, address of the picture and its size in pixels; `uris`:
        addresses of maps; `examples`: by user and image, the number of each map in `uris`
        (universal, own, mean, truth, own minus mean), the fixations as shares of width and height,
        and CC of own and mean with the truth.
    """
    if "example_user" not in shown:
        return None
    names = shown["example_image_ids"].tolist()
    images = []
    for number, name in enumerate(names):
        pixels = shown[f"picture_{number}"]
        uri = picture_uri(pixels, longest_px=_LONGEST_PX)
        images.append({"name": name, "uri": uri, "size": [*pixels.shape[1::-1]]})
    uris: dict[str, int] = {}
    examples: dict[str, dict[str, Any]] = {}
    ends = np.cumsum(shown["example_num_fixations"])
    for row, (user, image) in enumerate(
        zip(shown["example_user"].tolist(), shown["example_image"].tolist(), strict=True)
    ):
        difference = shown["example_difference"][row].astype(np.int16) + 128
        maps = [*shown["example_maps"][row], difference.astype(np.uint8)]
        start = ends[row] - shown["example_num_fixations"][row]
        examples.setdefault(str(user), {})[str(image)] = {
            "maps": [uris.setdefault(map_uri(one), len(uris)) for one in maps],
            "xy": np.round(shown["example_xy_frac"][start : ends[row]], 4).tolist(),
            "cc": [_number(cc, 3) for cc in shown["example_cc"][row]],
        }
    return {"images": images, "uris": [*uris], "examples": examples}


def people(shown: Mapping[str, np.ndarray], result: Mapping[str, Any]) -> dict[str, Any]:
    """What a page says of each user.

    Args:
        shown: content of `evaluation_report.npz`.
        result: content of `evaluation.json`.

    Returns:
        `traits`: what each is, its digits, and the smallest value, quantiles at 10, 50 and 90 % and
        the largest value of all users; `users`: name, whether seen, numbers of the nearest users,
        traits, and the information gain of own over another's embedding with its interval.
    """
    names, values = shown["trait_names"].tolist(), shown["traits"].astype(float)
    # No user may have seen a test image.
    known = [number for number in range(len(names)) if np.isfinite(values[:, number]).any()]
    quantiles = np.nanquantile(values[:, known], (0, 0.1, 0.5, 0.9, 1), axis=0).T
    gains = _gains(result)
    users = [
        {
            "name": name,
            "seen": bool(shown["is_seen"][number]),
            "nearest": [other for other in shown["nearest"][number].tolist() if other >= 0],
            "traits": [_number(one, 5) for one in values[number, known]],
            "gain": gains.get(name),
        }
        for number, name in enumerate(shown["user_ids"].tolist())
    ]
    return {
        "traits": [
            {
                "name": _TRAITS[names[number]][0],
                "digits": _TRAITS[names[number]][1],
                "quantiles": np.round(of_trait, 5).tolist(),
            }
            for number, of_trait in zip(known, quantiles, strict=True)
        ],
        "users": users,
    }


def _number(value: float, digits: int) -> float | None:
    return None if np.isnan(value) else round(float(value), digits)


def _gains(result: Mapping[str, Any]) -> dict[str, list[float]]:
    """Information gain of own over swapped, with its interval, of each user; unseen where known."""
    found: dict[str, list[float]] = {}
    for group in ("seen", "unseen"):
        sizes = result.get("saliency_users", {}).get(group, {})
        for user, row in (list(sizes.values())[-1] if sizes else {}).items():
            if row["information_gain"] is not None:
                interval = row["information_gain_interval"] or [None, None]
                found[user] = [row["information_gain"], *interval]
    return found
