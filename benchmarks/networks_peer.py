"""The other side of benchmarks/networks.py: PyTorch, in its own process and environment.

The networks, losses and updates are the same, written as usual in PyTorch: `channels_last`,
float32, the fused AdamW, all cores. Maps are rendered and scaled beforehand, which our side does in
its steps, so that a batch only indexes arrays in memory.

At a stride of 2, our side pads only at the end, for which PyTorch needs a copy. A convolution that
is padded on both sides computes the same on rotated images with rotated kernels, so `check` rotates
images and kernels by 180 degrees.

The arguments are the data file, `eager` or `compiled`, a device and a dtype. The program describes
itself in a line of JSON. It then answers each line `CASE TIMES` with the seconds of one call.
"""

import json
import math
import platform
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn


def norm(groups: int, width: int) -> nn.GroupNorm:
    """GroupNorm with the epsilon of flax."""
    return nn.GroupNorm(groups, width, eps=1e-6)


class Trunk(nn.Module):
    """Blocks of a convolution of stride 2, GroupNorm and ReLU."""

    def __init__(self, channels: int, filters: list[int], groups: int):
        super().__init__()
        widths = [channels, *filters]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False)
            for a, b in zip(widths, filters, strict=False)
        )
        self.norms = nn.ModuleList(norm(groups, width) for width in filters)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Returns the output of each block, from the first to the last."""
        levels = []
        for convolution, normalize in zip(self.convolutions, self.norms, strict=True):
            x = F.relu(normalize(convolution(x)))
            levels.append(x)
        return levels


class Encoder(nn.Module):
    """The early-fusion encoder with mean pooling, and the classifier."""

    def __init__(self, channels: int, filters: list[int], groups: int, size: int, users: int):
        super().__init__()
        self.trunk = Trunk(channels, filters, groups)
        self.head = nn.Linear(filters[-1], size)
        self.classifier = nn.Linear(size, users)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Embeds pairs."""
        return self.head(self.trunk(x)[-1].mean(dim=(2, 3)))


class SaliencyNetwork(nn.Module):
    """The U-Net.

    With `share`, the trunk runs once for each image and all of its users. Otherwise the input has
    an image for each map.
    """

    def __init__(
        self, filters: list[int], decoder: list[int], groups: int, size: int, *, share: bool
    ):
        super().__init__()
        self.share = share
        self.trunk = Trunk(3, filters, groups)
        self.center = nn.Parameter(torch.zeros(size))
        self.scale = nn.Parameter(torch.ones(size))
        levels, below = filters[::-1][: len(decoder)], [0, *decoder[:-1]]
        self.lateral = nn.ModuleList(
            nn.Conv2d(a, b, 1) for a, b in zip(levels, decoder, strict=True)
        )
        self.decoder = nn.ModuleList(
            nn.Conv2d(b + lower + 1, b, 3, padding=1, bias=False)
            for b, lower in zip(decoder, below, strict=True)
        )
        self.norms = nn.ModuleList(norm(groups, width) for width in decoder)
        self.films = nn.ModuleList(nn.Linear(size, 2 * width) for width in decoder)
        self.head = nn.Conv2d(decoder[-1], 1, 1)

    def forward(
        self, images: torch.Tensor, universal: torch.Tensor, embedding: torch.Tensor
    ) -> torch.Tensor:
        """Predicts maps [map, height, width] that sum to 1."""
        number, height, width = universal.shape
        embedding = (embedding - self.center) * self.scale
        log_universal = torch.log(universal * (height * width) + 0.01)[:, None]
        levels = self.trunk(images)[::-1]
        x = None
        for level, lateral, convolution, normalize, film in zip(
            levels, self.lateral, self.decoder, self.norms, self.films, strict=False
        ):
            features = lateral(level)
            size = features.shape[2:]
            own = [log_universal]
            if tuple(size) != (height, width):
                own = [F.interpolate(log_universal, size, mode="bilinear", antialias=True)]
            if x is not None:
                own.append(F.interpolate(x, size, mode="nearest"))
            if self.share:
                split = features.shape[1]
                shared = F.conv2d(features, convolution.weight[:, :split], padding=1)
                x = F.conv2d(torch.cat(own, 1), convolution.weight[:, split:], padding=1)
                x = x.unflatten(0, (len(images), -1)) + shared[:, None]
                x = x.flatten(0, 1)
            else:
                x = convolution(torch.cat([features, *own], 1))
            scale, shift = film(embedding)[:, :, None, None].chunk(2, 1)
            x = F.relu(normalize(x) * (1 + scale) + shift)
        logits = (self.head(x) + log_universal).flatten(1)
        return F.softmax(logits, dim=1).view(number, height, width)


def triplet_loss(embeddings: torch.Tensor, margin: float) -> torch.Tensor:
    """Batch-all mining over [user, image, embedding] of length 1; mean over active triplets."""
    users, images, _ = embeddings.shape
    flat = F.normalize(embeddings.flatten(0, 1), dim=-1)
    squared = (flat[:, None] - flat[None]).square().sum(-1)
    pair, image = (torch.arange(n, device=flat.device) for n in (users * images, images))
    owner = pair // images
    own = squared.gather(1, owner[:, None] * images + image)
    is_other = pair[:, None] % images != image
    is_negative = owner[:, None] != owner[None]
    losses = F.relu(own[:, :, None] - squared[:, None, :] + margin)
    active = is_other[:, :, None] & is_negative[:, None, :] & (losses > 0)
    return (losses * active).sum() / active.sum().clamp(min=1)


def encoder_loss(
    model: Encoder, x: torch.Tensor, users: torch.Tensor, images: int, margin: float
) -> torch.Tensor:
    """Triplet loss plus classification loss."""
    embeddings = model(x)
    classification = F.cross_entropy(model.classifier(embeddings), users.repeat_interleave(images))
    return triplet_loss(embeddings.unflatten(0, (len(users), images)), margin) + classification


def saliency_loss(
    model: SaliencyNetwork,
    images: torch.Tensor,
    universal: torch.Tensor,
    embedding: torch.Tensor,
    target: torch.Tensor,
) -> torch.Tensor:
    """MSE of maps whose mean is 1."""
    prediction = model(images, universal, embedding)
    return (prediction * prediction[0].numel() - target).square().mean()


def optimizer_of(model: nn.Module, options: dict) -> torch.optim.Optimizer:
    """AdamW in one kernel for all parameters."""
    return torch.optim.AdamW(
        model.parameters(),
        options["learning_rate"],
        weight_decay=options["weight_decay"],
        fused=True,
    )


def schedule_of(optimizer: torch.optim.Optimizer, num_steps: int, warmup_steps: int):
    """Linear warm-up, then a cosine to zero."""

    def factor(step: int) -> float:
        if step < warmup_steps:
            return step / warmup_steps
        done = min((step - warmup_steps) / max(num_steps - warmup_steps, 1), 1.0)
        return 0.5 * (1 + math.cos(math.pi * done))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def scaled(images: torch.Tensor) -> torch.Tensor:
    """8-bit [image, height, width, channel] -> float32, `channels_last`."""
    return (images / 127.5 - 1.0).permute(0, 3, 1, 2)


class Peer:
    """The cases, by name, on the data of a file."""

    def __init__(self, path: str, *, is_compiled: bool, device: str, dtype: torch.dtype):
        torch.set_default_device(device)
        self.device, self.dtype = torch.device(device), dtype
        arrays = dict(np.load(path))
        self.settings = json.loads(str(arrays.pop("settings")))
        self.data = {
            name: torch.from_numpy(value).to(device)
            for name, value in arrays.items()
            if not name.startswith("params/")
        }
        self.params = {
            name.removeprefix("params/"): torch.from_numpy(value)
            for name, value in arrays.items()
            if name.startswith("params/")
        }
        one, two = self.settings["encoder"], self.settings["saliency"]
        encoder = Encoder(
            one["in_channels"],
            one["filters"],
            one["norm_groups"],
            one["embedding_size"],
            one["num_users"],
        )
        self.encoder = encoder.to(memory_format=torch.channels_last)
        load_encoder(self.encoder, self.params)
        size = one["embedding_size"]
        shape = (two["trunk_filters"], two["decoder_filters"], two["norm_groups"], size)
        self.saliency = {}
        for name, share in (("shared", True), ("apart", False)):
            network = SaliencyNetwork(*shape, share=share)
            self.saliency[name] = network.to(memory_format=torch.channels_last)
            load_saliency(self.saliency[name], self.params)
        self.optimizers = {
            "encoder": optimizer_of(self.encoder, one["optimizer"]),
            "shared": optimizer_of(self.saliency["shared"], two["optimizer"]),
            "apart": optimizer_of(self.saliency["apart"], two["optimizer"]),
        }
        self.schedules = {
            name: schedule_of(
                optimizer,
                self.settings["encoder" if name == "encoder" else "saliency"]["num_steps"],
                one["optimizer"]["warmup_steps"],
            )
            for name, optimizer in self.optimizers.items()
        }

        def compiled(function: Callable) -> Callable:
            return torch.compile(function) if is_compiled else function

        # The loss and its network are compiled together.
        self.encoder_loss, self.saliency_loss = compiled(encoder_loss), compiled(saliency_loss)
        self.apply = compiled(lambda model, *inputs: model(*inputs))

    def precision(self) -> torch.autocast:
        """bfloat16 is PyTorch's own mixed precision: float32 parameters and reductions."""
        is_mixed = self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype if is_mixed else None, enabled=is_mixed)

    def check(self) -> dict:
        """Losses and norms of the gradient on the batch of the file, rotated by 180 degrees."""
        flip = {
            name: value.flip(-3, -2) if name.endswith("images") else value.flip(-2, -1)
            for name, value in self.data.items()
            if name.startswith("check/") and value.ndim > 2
        }
        one, two = self.settings["encoder"], self.settings["saliency"]
        found = {}

        def add(name: str, loss: torch.Tensor, model: nn.Module) -> None:
            model.zero_grad()
            loss.backward()
            norms = [weight.grad.square().sum() for weight in model.parameters()]
            found[name] = {"loss": loss.item(), "gradient_norm": sum(norms).sqrt().item()}
            model.zero_grad(set_to_none=True)

        x = self.data["check/inputs"].flip(-3, -2).permute(0, 3, 1, 2)
        users = self.data["check/users"]
        loss = encoder_loss(self.encoder, x, users, one["images_per_user"], one["margin"])
        add("encoder", loss, self.encoder)
        images = scaled(flip["check/images"])
        for name, network in self.saliency.items():
            repeats = two["users_per_image"] if name == "apart" else 1
            maps = [flip[f"check/{kind}"] for kind in ("universal", "target")]
            loss = saliency_loss(
                network,
                images.repeat_interleave(repeats, 0),
                maps[0],
                self.data["check/embedding"],
                maps[1],
            )
            add(f"saliency {name}", loss, network)
        return found

    def encoder_batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Samples users, and images that are the same for all of them."""
        one = self.settings["encoder"]
        users = torch.randperm(one["num_users"])[: one["users_in_batch"]]
        images = torch.randperm(len(self.data["encoder/images"]))[: one["images_per_user"]]
        pairs = users.repeat_interleave(len(images)), images.repeat(len(users))
        return self.encoder_inputs(*pairs), users

    def encoder_inputs(self, users: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Image, personal and universal map of pairs as channels."""
        data, names = self.data, self.settings["encoder"]["maps"]
        maps = [data[f"encoder/{name}"][self.stored(users), images][..., None] for name in names]
        x = torch.cat([data["encoder/images"][images] / 127.5 - 1.0, *maps], dim=-1)
        return x.permute(0, 3, 1, 2)

    def stored(self, users: torch.Tensor) -> torch.Tensor:
        """Index of the stored maps of users; users share them if the maps of all do not fit."""
        return users % len(self.data["encoder/personal"])

    def saliency_batch(
        self, name: str, num_images: int, users_per_image: int
    ) -> tuple[torch.Tensor, ...]:
        """Samples images, and users for each image."""
        data, num_users = self.data, self.settings["encoder"]["num_users"]
        images = torch.randperm(len(data["saliency/images"]))[:num_images]
        # More users than there are: some more than once.
        drawn = torch.rand(num_images, max(num_users, users_per_image)).argsort(1) % num_users
        users = drawn[:, :users_per_image].flatten()
        users, each = self.stored(users), images.repeat_interleave(users_per_image)
        pixels = data["saliency/images"][images if name == "shared" else each]
        return (
            scaled(pixels),
            data["saliency/universal"][users, each],
            data["saliency/embedding"][users],
            data["saliency/target"][users, each],
        )

    def update(self, name: str, loss: torch.Tensor, model: nn.Module, clip_norm: float) -> None:
        """One step of the optimizer."""
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm, foreach=True)
        optimizer.step()
        self.schedules[name].step()

    def embed(self, path: str) -> None:
        """Embeds all pairs [user, image] of `test/` of the data file and writes them to a file."""
        maps = [self.data[f"test/{name}"] for name in self.settings["encoder"]["maps"]]
        pixels, found = self.data["test/images"] / 127.5 - 1.0, []
        with torch.inference_mode():
            for of_user in zip(*maps, strict=True):
                x = torch.cat([pixels, *(one[..., None] for one in of_user)], dim=-1)
                found.append(self.apply(self.encoder, x.permute(0, 3, 1, 2)))
        np.save(path, torch.stack(found).cpu().numpy())

    def call(self, case: str) -> None:
        """Runs a case once."""
        one, two = self.settings["encoder"], self.settings["saliency"]
        stage, what, *kind = case.split("/")
        if what == "embed":
            return self.embed("/".join(["", *kind]))
        if stage == "encoder" and what == "train":
            x, users = self.encoder_batch()
            with self.precision():
                loss = self.encoder_loss(
                    self.encoder, x, users, one["images_per_user"], one["margin"]
                )
            self.update("encoder", loss, self.encoder, one["optimizer"]["clip_norm"])
        elif stage == "encoder":
            number = self.settings["inference_batch"]
            users = torch.randint(one["num_users"], (number,))
            images = torch.randint(len(self.data["encoder/images"]), (number,))
            with torch.inference_mode(), self.precision():
                self.apply(self.encoder, self.encoder_inputs(users, images))
        else:
            name, num_images, users_per_image = kind[0], int(kind[1]), int(kind[2])
            model = self.saliency[name]
            *inputs, target = self.saliency_batch(name, num_images, users_per_image)
            if what == "train":
                with self.precision():
                    loss = self.saliency_loss(model, *inputs, target)
                self.update(name, loss, model, two["optimizer"]["clip_norm"])
            else:
                with torch.inference_mode(), self.precision():
                    self.apply(model, *inputs)
        return None


def load_convolution(layer: nn.Conv2d | nn.Linear, params: dict, name: str) -> None:
    """Copies a layer of our network; the kernel of a convolution is rotated by 180 degrees."""
    kernel = params[f"{name}/kernel"]
    weight = kernel.flip(0, 1).permute(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
    with torch.no_grad():
        layer.weight.copy_(weight)
        if layer.bias is not None:
            layer.bias.copy_(params[f"{name}/bias"])


def load_norm(layer: nn.GroupNorm, params: dict, name: str) -> None:
    """Copies a GroupNorm of our network."""
    with torch.no_grad():
        layer.weight.copy_(params[f"{name}/scale"])
        layer.bias.copy_(params[f"{name}/bias"])


def load_encoder(model: Encoder, params: dict) -> None:
    """Copies the parameters of our encoder."""
    root = "encoder/encoder"
    for number, layer in enumerate(model.trunk.convolutions):
        load_convolution(layer, params, f"{root}/trunk/convolutions/{number}")
    for number, layer in enumerate(model.trunk.norms):
        load_norm(layer, params, f"{root}/trunk/norms/{number}")
    load_convolution(model.head, params, f"{root}/head")
    load_convolution(model.classifier, params, "encoder/classifier")


def load_saliency(model: SaliencyNetwork, params: dict) -> None:
    """Copies the parameters of our saliency network."""
    root = "saliency"
    for name, layers, load in (
        ("trunk", model.trunk.convolutions, load_convolution),
        ("trunk_norms", model.trunk.norms, load_norm),
        ("lateral", model.lateral, load_convolution),
        ("decoder", model.decoder, load_convolution),
        ("decoder_norms", model.norms, load_norm),
    ):
        for number, layer in enumerate(layers):
            load(layer, params, f"{root}/{name}/{number}")
    for number, layer in enumerate(model.films):
        load_convolution(layer, params, f"{root}/films/{number}/linear")
    load_convolution(model.head, params, f"{root}/head")
    with torch.no_grad():
        model.center.copy_(params[f"{root}/embedding_scale/center"])
        model.scale.copy_(params[f"{root}/embedding_scale/scale"])


def answer(message: dict) -> None:
    """Writes one line to the driver."""
    print(json.dumps(message), flush=True)


def main(path: str, mode: str, device: str, dtype: str) -> None:
    """Answers the driver until it closes the pipe."""
    torch.manual_seed(0)
    is_compiled = mode == "compiled"
    peer = Peer(path, is_compiled=is_compiled, device=device, dtype=getattr(torch, dtype))
    about = {"python": platform.python_version(), "torch": torch.__version__}
    threads = {"threads": torch.get_num_threads()}
    answer({"versions": about | threads, "check": peer.check()})
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for line in sys.stdin:
        case, times = line.split()
        start, cpu_start = time.perf_counter(), time.process_time()
        for _ in range(int(times)):
            peer.call(case)
        wait()
        seconds = (time.perf_counter() - start) / int(times)
        cpu_seconds = (time.process_time() - cpu_start) / int(times)
        answer({"seconds": seconds, "cpu_seconds": cpu_seconds})


if __name__ == "__main__":
    main(*sys.argv[1:])
