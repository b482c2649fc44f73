"""What the networks of a trained run read of single images."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped, UInt8

from gazejax.data import features
from gazejax.data.reader import resize_image, resize_map
from gazejax.models.feature_projection import FeatureProjection


class ReadImage(NamedTuple):
    """What networks read of an image.

    Attributes:
        pixels: at the size that the encoder reads; None: it reads none.
        aspect_ratio: width of the image divided by its height.
        saliency_input: what the saliency network reads of the image: frozen features, or pixels.
        universal: universal map at the size of the saliency network's maps.
        encoder_universal: universal map at the size of the encoder's maps, summing to 1.
        digest: `image_digest` of the image.
    """

    pixels: UInt8[np.ndarray, "_height _width 3"] | None
    aspect_ratio: float
    saliency_input: Shaped[np.ndarray, "_height _width _channel"]
    universal: Float[np.ndarray, "map_height map_width"]
    encoder_universal: Float[np.ndarray, "_map_height _map_width"]
    digest: bytes


# What networks read of so many images is kept: of 96 x 128 positions and 65 features, 400 MB.
_MOST_KEPT = 256


def image_digest(image: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """SHA-256 of the pixels and the size of an image."""
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()


def make_image_reader(
    *,
    image_sizes: Mapping[str, tuple[int, int]],
    map_sizes: Mapping[str, tuple[int, int]],
    backbone: tuple[Any, Sequence[int], FeatureProjection] | None,
    predict_universal: Callable[[np.ndarray], Float[np.ndarray, "map_height map_width"]],
) -> Callable[[UInt8[np.ndarray, "height width 3"]], ReadImage]:
    """Makes a function from an image to what networks read of it, with a predicted universal map.

    What is read of the last images is kept, by a digest of their pixels.

    Args:
        image_sizes: (height, width) of the images that each network reads; see
            `derived.input_sizes`.
        map_sizes: (height, width) of the maps of each network.
        backbone: its parameters, the strides of its levels and their projection; None: networks
            read pixels.
        predict_universal: input of the saliency network -> universal map.
    """
    kept: OrderedDict[bytes, ReadImage] = OrderedDict()
    lock = threading.Lock()

    def read(image: UInt8[np.ndarray, "height width 3"], digest: bytes) -> ReadImage:
        saliency_input: np.ndarray = resize_image(image, image_sizes["saliency"])
        if backbone is not None:
            params, strides, projection = backbone
            levels = features.backbone_levels(params, saliency_input[None], strides)
            saliency_input = features.project(projection, levels, map_sizes["saliency"])[0]
        universal = predict_universal(saliency_input)
        return ReadImage(
            resize_image(image, image_sizes["encoder"]) if "encoder" in image_sizes else None,
            image.shape[1] / image.shape[0],
            saliency_input,
            universal,
            resize_map(universal, map_sizes["encoder"]),
            digest,
        )

    def read_or_find(image: UInt8[np.ndarray, "height width 3"]) -> ReadImage:
        key = image_digest(image)
        with lock:
            if key in kept:
                kept.move_to_end(key)
                return kept[key]
        found = read(image, key)
        with lock:
            kept[key] = found
            if len(kept) > _MOST_KEPT:
                kept.popitem(last=False)
        return found

    return read_or_find
