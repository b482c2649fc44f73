"""Pictures for people to look at."""

import numpy as np
from jaxtyping import Float, UInt8

# From cold to hot; dark to bright all the way, so that it reads in grey as well.
_HEAT = np.array(
    [[12, 10, 40], [80, 18, 110], [175, 45, 95], [240, 110, 50], [255, 195, 60], [255, 250, 200]],
    float,
)


def draw_prediction(
    image: UInt8[np.ndarray, "height width 3"], saliency: Float[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height both_widths 3"]:
    """Draws the map over the image, and beside it the bare map."""
    strength = saliency / saliency.max()
    heat = colour(strength)
    opacity = 0.25 + 0.5 * strength[..., None]
    overlay = (1 - opacity) * image + opacity * heat
    return np.concatenate([overlay.round().astype(np.uint8), heat], axis=1)


def colour(values: Float[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width 3"]:
    """Colours values between 0 and 1 from dark and cold to bright and hot."""
    position = np.linspace(0, 1, len(_HEAT))
    channels = [np.interp(values, position, _HEAT[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)
