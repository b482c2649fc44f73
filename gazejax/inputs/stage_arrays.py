"""The stages as plain data: what each trains, on which arrays, with which loss.

Stages `encoder` and `saliency` are the model. Stage `universal` predicts the universal map of an
image that nobody has looked at, for use without one; where the config says that the others are to
be told that map, it comes before them. Stage `permuted_encoder` is a control: the
same encoder, trained on gaze whose owners are permuted.

Everything a loss reads beside the parameters is in `Stage.constants`: arrays that lie on the device
for the whole training. Images that would not fit there are *stored*; those of a step then come with
it in a `Batch`, which holds what the step would have drawn itself, so that training is the same. A
stage turns names of the config into arguments of functions; the functions themselves know no
config.
"""

import functools
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Bool, Float, Float16, Int, Shaped
from ml_collections import ConfigDict

from gazejax import (
    controls,
    data,
    features,
    losses,
    pretrained,
    processes,
    render,
    sampling,
    steps,
    virtual,
)
from gazejax.arrays import AnyArray, Dataset, Gaze, Scanpaths, Stored, gaze_on, viewing_scanpaths
from gazejax.models.encoder import (
    CHANNELS,
    EarlyEncoder,
    SiameseEncoder,
    TwoTrunkEncoder,
    stack_inputs,
)
from gazejax.models.saliency import SaliencyNetwork
from gazejax.models.scanpath import (
    FEATURES,
    ScanpathEncoder,
    average_at_gaze,
    describe_fixations,
)
from gazejax.models.taste import TasteSaliencyNetwork
from gazejax.splits import Splits, make_splits, share_images

STAGES = ("encoder", "saliency", "universal", "permuted_encoder")
ENCODERS = ("encoder", "permuted_encoder")
# The networks with an input size of their own; the other stages share theirs.
INPUTS = ("encoder", "saliency")
# Of a device's memory, for images; the rest is for the gaze and for what a step computes.
_SHARE_FOR_IMAGES = 0.4
# How many stored images an evaluation has on the devices at once.
_IMAGES_IN_PART = 64
_NUM_MEASURED = 5


class Network(NamedTuple):
    """A model as two pure functions.

    Attributes:
        init: random key -> parameters, a nested dictionary.
        apply: parameters -> the model, ready to be called.
    """

    init: Callable[[Array], Any]
    apply: Callable[[Any], Any]


class Stage(NamedTuple):
    """One stage of training.

    Attributes:
        name: one of `STAGES`.
        network: what is trained.
        loss: mean loss over one device's share of a batch.
        constants: arrays the loss reads.
        stream: how the host makes batches, if images are stored; None if they are constants.
        optimizer: of Optax.
        num_steps: length of training.
        examples_per_step: pairs (encoders) or maps (the others) in a global batch.
        unit: what an example is called.
    """

    name: str
    network: Network
    loss: steps.LossFunction
    constants: Any
    stream: "Stream | None"
    optimizer: optax.GradientTransformation
    num_steps: int
    examples_per_step: int
    unit: str


class Viewings(NamedTuple):
    """Images and gaze on the device, with the pool that training draws from.

    Attributes:
        pixels: all images of the data set at the stage's input size; or their frozen features, if
            that is what the stage's network sees. On a device None where they are stored, and so is
            the total of `group`, which is as large.
        gaze: all fixations.
        group: maps of the seen users at the stage's map size.
        users: data-set index of each pool user.
        images: data-set index of each pool image.
        viewed: which pool user saw which pool image.
        taste: of every viewing, for an encoder that is told; see `scanpath.average_at_gaze`.
    """

    pixels: Any  # Shaped[AnyArray, "all_images height width channel"] | Stored | None
    gaze: Gaze
    group: render.GroupMaps
    users: Int[AnyArray, " user"]
    images: Int[AnyArray, " image"]
    viewed: Bool[AnyArray, "user image"]
    taste: Float[AnyArray, "all_users all_images taste"] | None


class Pool(NamedTuple):
    """What batches are drawn from: those fields of `Viewings`."""

    users: Int[AnyArray, " user"]
    images: Int[AnyArray, " image"]
    viewed: Bool[AnyArray, "user image"]


class Batch(NamedTuple):
    """What a step is given where images are stored, on one device.

    Attributes:
        drawn: the global batch, as the step would draw it itself.
        images: data-set indices of the images in the device's share, ascending; the last one is
            repeated as padding.
        pixels: of those images.
        total: sum of the seen users' maps of each.
    """

    drawn: Any
    images: Int[AnyArray, " image"]
    pixels: Shaped[AnyArray, "image height width channel"]
    total: Float[AnyArray, "image map_height map_width"]


class Stream(NamedTuple):
    """How the host makes the batches of a stage whose images are stored.

    Attributes:
        draw: (constants, key) -> what a step draws, and the data-set index of the image of each row
            of the global batch, in the order in which devices share the rows.
        constants: what that reads, on the host.
        viewings: with the stored images.
    """

    draw: Callable[[Any, Array], tuple[Any, Array]]
    constants: Any
    viewings: Viewings


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


def load_dataset(config: ConfigDict, basis: features.FeatureBasis | None = None) -> Dataset:
    """Reads the config's data set, with frozen features if it asks for some.

    Args:
        config: a validated config.
        basis: see `add_features`.

    Raises:
        FileNotFoundError: if the data set is not prepared, or the backbone's weights are missing.
        ValueError: if a record does not read, or the encoder is to read durations that are not
            known.
    """
    return add_features(config, read_dataset(config), basis)


def read_dataset(config: ConfigDict) -> Dataset:
    """Reads the config's data set at the input sizes of the networks; raises as `load_dataset`."""
    dataset = data.load(
        config.data.name,
        config.data.data_dir,
        {name: input_size(config, name) for name in INPUTS},
        is_resident=_is_resident(config),
        first_trial_only=config.data.first_trial_only,
        drop_first_fixation=config.data.drop_first_fixation,
        keep_one_in=config.data.keep_one_in,
    )
    asked = sorted({"duration", "order"} & set(config.encoder.inputs))
    if asked and not dataset.has_durations:
        raise ValueError(
            f"config.encoder.inputs has {asked[0]!r}, but nobody knows the durations of "
            f"{config.data.name!r}; allowed: the inputs without 'duration' and 'order'"
        )
    return dataset


def of_fold(config: ConfigDict, dataset: Dataset) -> Dataset:
    """A data set with what is left of its gaze where users are to share only some images.

    Training images are shared out among the seen users; test images among all, since what strangers
    share with the seen users decides who else there is to tell what others look at.

    Args:
        config: of one fold: it depends on who is seen.
        dataset: with all of its gaze.
    """
    splits, options = make_config_splits(config, dataset), config.split
    everybody = np.concatenate([splits.seen_users, splits.unseen_users])
    viewed = all_viewed = np.asarray(dataset.gaze.viewing_length) > 0
    for users, images, overlap in (
        (splits.seen_users, splits.train_images, options.train_overlap),
        (everybody, splits.test_images, options.test_overlap),
    ):
        viewed = share_images(
            viewed, dataset.image_ids, users, images, overlap=overlap, hash_seed=options.hash_seed
        )
    if viewed is all_viewed:
        return dataset
    length = np.where(viewed, dataset.gaze.viewing_length, 0)
    return dataset._replace(gaze=dataset.gaze._replace(viewing_length=length))


def add_features(
    config: ConfigDict, dataset: Dataset, basis: features.FeatureBasis | None
) -> Dataset:
    """Computes the frozen features of all images, if the config asks for some.

    Args:
        config: a validated config.
        dataset: from `read_dataset`.
        basis: that of a run; None: one is fitted on the training images.

    Raises:
        FileNotFoundError: if the backbone's weights are missing.
    """
    if not has_taste(config):
        return dataset
    params = pretrained.load_parameters()["backbone"]
    levels = features.cached_levels(
        params,
        dataset.images["saliency"],
        config.features.strides,
        weights=pretrained.MADE_FROM,
    )
    if basis is None:
        training = make_config_splits(config, dataset).train_images
        basis = features.fit_basis(
            [level[training] for level in levels], config.features.components
        )
    grid = features.project(basis, levels, config.saliency.map_size)
    if isinstance(dataset.images["saliency"], Stored):
        return dataset._replace(features=Stored(grid.__getitem__, len(grid)), basis=basis)
    return dataset._replace(features=grid, basis=basis)


def _is_resident(config: ConfigDict) -> bool:
    """Whether all images lie on the devices; says so if `auto` was to choose."""
    if config.data.residency != "auto":
        return bool(config.data.residency == "device")
    number = data.num_images(config.data.name, config.data.data_dir)
    needed = number * sum(_bytes_per_image(config, name) for name in INPUTS)
    available, whose = _device_memory()
    is_resident = needed <= _SHARE_FOR_IMAGES * available
    processes.say(
        f"config.data.residency 'auto': {number} images take {needed / 1e9:.2f} GB, and "
        f"{_SHARE_FOR_IMAGES * available / 1e9:.1f} GB of {whose} are for them: "
        f"{'device' if is_resident else 'stream'}"
    )
    return is_resident


def _sees_pixels(config: ConfigDict) -> bool:
    """Whether the encoder looks at the picture, and not at gaze alone."""
    return bool(config.encoder.architecture != "scanpath")


def _bytes_per_image(config: ConfigDict, name: str) -> int:
    """Of its pixels or features, and of its group map."""
    height, width = input_size(config, name)
    num_bytes = 3 * height * width
    if name == "encoder" and not _sees_pixels(config):
        num_bytes = 0
    map_height, map_width = map_size(config, name)
    if name == "saliency" and has_taste(config) and not is_fine_tuned(config):
        num_bytes = 2 * map_height * map_width * features.num_features(config.features.components)
    return num_bytes + 4 * map_height * map_width


def _device_memory() -> tuple[float, str]:
    """Bytes that a device may fill, and whose memory that is."""
    devices = jax.local_devices()
    limit = (devices[0].memory_stats() or {}).get("bytes_limit")
    if limit is not None:
        return float(limit), "each device"
    # The devices of a CPU share its memory, and each holds a copy.
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return total / len(devices), f"the memory of each of {len(devices)} devices of the CPU"


def input_size(config: ConfigDict, name: str) -> tuple[int, int]:
    """(height, width) of the pictures that a stage's network, or its backbone, looks at."""
    if name == "saliency" and has_taste(config):
        return config.features.image_size
    return config[name].image_size


def has_taste(config: ConfigDict) -> bool:
    """Whether embeddings end with the person's taste, for a saliency network that sees features.

    A valid config has a backbone for both or for neither.
    """
    return config.features.backbone != "none"


def is_fine_tuned(config: ConfigDict) -> bool:
    """Whether the saliency network sees pixels, through a backbone that it goes on training.

    Tastes are averages of the frozen features all the same: embeddings come before stage 2.
    """
    return has_taste(config) and config.features.fine_tuning_rate > 0


def is_told_predictions(config: ConfigDict) -> bool:
    """Whether the other stages are told the maps that stage `universal` predicts."""
    return bool(config.data.universal_map == "predicted")


def has_memory(config: ConfigDict) -> bool:
    """Whether the saliency network remembers the people of the training."""
    return has_taste(config) and config.saliency.conditioning != "taste"


def embedding_size(config: ConfigDict) -> int:
    """Entries of a user embedding: what is learnt, then the taste if there is one."""
    taste = 0
    if has_taste(config):
        taste = features.num_features(config.features.components)
    return config.encoder.embedding_size + taste


def make_config_splits(config: ConfigDict, dataset: Dataset) -> Splits:
    """The splits that a config makes of its data set."""
    viewed = np.asarray(dataset.gaze.viewing_length) > 0
    # Of what the splits leave, users may share a part only: see `of_fold`.
    later = ("train_overlap", "test_overlap")
    options = {key: config.split[key] for key in config.split if key not in later}
    return make_splits(dataset.user_ids, dataset.image_ids, viewed, **options)


def refuse_too_small(config: ConfigDict, dataset: Dataset, splits: Splits) -> None:
    """Refuses a data set that cannot fill a batch of the stages that the config asks for.

    Raises:
        ValueError: naming the key, what it needs and what the data has.
    """
    encoder, saliency = config.encoder.sampling, config.saliency.sampling
    lengths = np.asarray(dataset.gaze.viewing_length)
    viewed = lengths[np.ix_(splits.seen_users, splits.train_images)] > 0
    num_users, num_images = viewed.shape
    needs = {
        "encoder": [
            ("encoder.sampling.num_users", encoder.num_users, "seen users", num_users),
            (
                "encoder.sampling.images_per_user",
                encoder.images_per_user,
                "training images of every seen user",
                viewed.sum(axis=1).min(),
            ),
        ],
        "saliency": [
            (
                "saliency.sampling.users_per_image",
                saliency.users_per_image,
                "seen users",
                num_users,
            ),
            (
                "saliency.sampling.num_images",
                saliency.num_images,
                f"training images seen by {saliency.users_per_image} users",
                len(_target_images(config, viewed)),
            ),
            (
                "saliency.sampling.enrolment_images",
                saliency.enrolment_images[1] + 1,
                "training images (one of them is the target)",
                num_images,
            ),
        ],
        "universal": [
            (
                "universal.num_images",
                config.universal.num_images,
                "viewed training images",
                viewed.any(axis=0).sum(),
            )
        ],
    }
    needs["permuted_encoder"] = needs["encoder"]
    for stage in stages_to_train(config):
        for key, needed, what, available in needs[stage]:
            if needed > available:
                raise ValueError(f"config.{key} needs {needed} {what}; the data has {available}")


def stages_to_train(config: ConfigDict) -> list[str]:
    """The stages that a config asks for, in order, and what they need to be told."""
    asked = [config.stage]
    if config.stage == "all":
        has_control = config.controls.permuted_users
        asked = [name for name in STAGES if name != "permuted_encoder" or has_control]
    if is_told_predictions(config):
        return ["universal", *(name for name in asked if name != "universal")]
    return asked


def _target_images(
    config: ConfigDict, viewed: Bool[np.ndarray, "user image"]
) -> Int[np.ndarray, " target"]:
    """Pool images that stage 2 aims at; those that too few users saw can only enrol."""
    return np.flatnonzero(viewed.sum(axis=0) >= config.saliency.sampling.users_per_image)


def make_stage(
    name: str,
    config: ConfigDict,
    viewings: dict[str, Viewings],
    *,
    basis: features.FeatureBasis | None,
    encoder_params: Any,
    devices: list[jax.Device],
) -> Stage:
    """Builds a stage from the config.

    Args:
        name: one of `STAGES`.
        config: a validated config.
        viewings: for each of `INPUTS`, from `make_viewings`.
        basis: that of the data set's frozen features, if it has any.
        encoder_params: parameters of the trained encoder; stage `saliency` only.
        devices: the devices that will train.

    Raises:
        ValueError: if the devices cannot share a batch; see `refuse_too_small` for the data.
    """
    match name:
        case "encoder" | "permuted_encoder":
            arrays = viewings["encoder"]
            if name == "permuted_encoder" or config.controls.gaze == "permuted":
                gaze = controls.permute_users(arrays.gaze, np.asarray(arrays.users), config.seed)
                arrays = arrays._replace(gaze=gaze)
            return _encoder_stage(name, config, arrays, devices)
        case "universal":
            return _universal_stage(config, viewings["saliency"], basis, devices)
        case "saliency":
            embeddings = embed_pairs(
                config,
                encoder_params,
                viewings["encoder"],
                users=np.asarray(viewings["saliency"].users),
                images=np.asarray(viewings["saliency"].images),
                devices=devices,
            )
            embeddings = told_embeddings(config, embeddings, viewings["saliency"].viewed)
            return _saliency_stage(config, viewings["saliency"], basis, embeddings, devices)
        case _:
            raise ValueError(f"stage is {name!r}; allowed: {', '.join(STAGES)}")


def _encoder_stage(
    name: str, config: ConfigDict, viewings: Viewings, devices: list[jax.Device]
) -> Stage:
    num_pairs = pairs_per_batch(config)
    _require_even_shares("encoder.sampling", num_pairs, devices)
    network = encoder_network(config, num_users=len(viewings.users))
    return Stage(
        name=name,
        network=network,
        loss=_encoder_loss(
            config,
            network,
            max_fixations=longest_viewing(viewings.gaze),
            num_devices=len(devices),
        ),
        constants=jax.device_put(_resident(viewings), steps.replicated(devices)),
        stream=_make_stream(viewings, _pool(viewings), functools.partial(_draw_pairs, config)),
        optimizer=steps.make_optimizer(
            num_steps=config.encoder.num_steps, **config.encoder.optimizer
        ),
        num_steps=config.encoder.num_steps,
        examples_per_step=num_pairs,
        unit="pairs",
    )


def _resident(viewings: Viewings) -> Viewings:
    """What lies on a device for a whole training."""
    if not isinstance(viewings.pixels, Stored):
        return viewings
    group: Any = viewings.group
    return viewings._replace(pixels=None, group=group._replace(total=None))


def _pool(viewings: Viewings) -> Pool:
    return Pool(
        *(jnp.asarray(field) for field in (viewings.users, viewings.images, viewings.viewed))
    )


def _make_stream(
    viewings: Viewings, constants: Any, draw: Callable[[Any, Array], tuple[Any, Array]]
) -> Stream | None:
    if not isinstance(viewings.pixels, Stored):
        return None
    return Stream(jax.jit(draw), jax.device_put(constants, _host_device()), viewings)


def _host_device() -> jax.Device:
    return jax.local_devices(backend="cpu")[0]


def make_batch(
    stream: Stream, first_step: int, *, num_steps: int, seed: int, devices: list[jax.Device]
) -> Batch:
    """Makes what the steps of one dispatch are given; may be called from several threads.

    Args:
        stream: of the stage.
        first_step: the first of the steps.
        num_steps: how many there are.
        seed: of the training.
        devices: all that share a batch.

    Returns:
        Arrays with leading axes [local device, step], for the devices of this process alone.
    """
    with jax.default_device(_host_device()):
        key = steps.batch_key(seed)
        draws = [
            jax.device_get(stream.draw(stream.constants, steps.step_key(key, step)))
            for step in range(first_step, first_step + num_steps)
        ]
    needed = [[np.unique(share) for share in np.split(images, len(devices))] for _, images in draws]
    # A power of two, or every number of different images would be compiled for.
    most = max(len(images) for of_step in needed for images in of_step)
    width = 1 << (most - 1).bit_length()
    mine = [number for number, device in enumerate(devices) if steps.is_local(device)]
    images = np.array(
        [[np.pad(of[n], (0, width - len(of[n])), mode="edge") for of in needed] for n in mine]
    )
    every, row = np.unique(images, return_inverse=True)
    row = row.reshape(images.shape)
    drawn = jax.tree.map(lambda *leaves: np.stack(leaves), *(drawn for drawn, _ in draws))
    viewings = stream.viewings
    return Batch(
        drawn=jax.tree.map(lambda leaf: np.broadcast_to(leaf, (len(mine), *leaf.shape)), drawn),
        images=images,
        pixels=viewings.pixels[every][row],
        total=viewings.group.total[every][row],
    )


def narrow(
    viewings: Viewings,
    images: Int[AnyArray, " image"],
    *,
    pixels: Shaped[AnyArray, "image height width channel"],
    total: Float[AnyArray, "image map_height map_width"],
) -> Viewings:
    """Viewings of a few images, for which 0, 1, ... stand there; the pool stays as it is.

    Args:
        viewings: of all images; their pixels and group maps are not read.
        images: data-set indices.
        pixels: of those images.
        total: sum of the seen users' maps of each.
    """
    group: Any = viewings.group
    group = group._replace(total=total, num_viewers=jnp.asarray(group.num_viewers)[images])
    taste = None if viewings.taste is None else jnp.asarray(viewings.taste)[:, images]
    return viewings._replace(
        pixels=pixels, gaze=gaze_on(viewings.gaze, images), group=group, taste=taste
    )


def in_parts(
    viewings: Viewings, images: Int[np.ndarray, " image"]
) -> Iterator[tuple[Viewings, slice, Int[np.ndarray, " part"]]]:
    """Goes through images in parts that a device can hold; in one part if they are not stored.

    Args:
        viewings: of all images.
        images: data-set indices.

    Yields:
        Viewings with their images, which part of `images` that is, and the indices that stand for
        it there.
    """
    if not isinstance(viewings.pixels, Stored):
        yield viewings, slice(0, len(images)), images
        return
    for start in range(0, len(images), _IMAGES_IN_PART):
        part = images[start : start + _IMAGES_IN_PART]
        # All parts have one shape, or each would be compiled for.
        padded = np.resize(part, min(_IMAGES_IN_PART, len(images)))
        near = narrow(
            viewings, padded, pixels=viewings.pixels[padded], total=viewings.group.total[padded]
        )
        yield near, slice(start, start + len(part)), np.arange(len(part))


def pairs_per_batch(config: ConfigDict) -> int:
    """Pairs in a batch of stage 1, those of virtual users included."""
    sizes = config.encoder.sampling
    return (sizes.num_users + sizes.virtual_users.number) * sizes.images_per_user


def _saliency_stage(
    config: ConfigDict,
    viewings: Viewings,
    basis: features.FeatureBasis | None,
    embeddings: Float[np.ndarray, "user image embedding"],
    devices: list[jax.Device],
) -> Stage:
    sizes = config.saliency.sampling
    targets = _target_images(config, np.asarray(viewings.viewed))
    _require_even_shares("saliency.sampling", sizes.num_images, devices)
    network = saliency_network(config, num_users=len(viewings.users))
    people = _start_of_people(embeddings, viewings.viewed, config.encoder.embedding_size)
    start = people | _start_of_backbone(config, basis)
    network = network._replace(init=_starting_at(network.init, start))
    return Stage(
        name="saliency",
        network=network,
        loss=_saliency_loss(
            config,
            network,
            max_fixations=longest_viewing(viewings.gaze),
            num_devices=len(devices),
        ),
        constants=jax.device_put(
            (_resident(viewings), targets, embeddings), steps.replicated(devices)
        ),
        stream=_make_stream(
            viewings, (_pool(viewings), targets), functools.partial(_draw_targets, config)
        ),
        optimizer=steps.make_optimizer(
            num_steps=config.saliency.num_steps,
            # What says who is who, or what is seen, has a meaning to keep.
            decay_of_part=dict.fromkeys(start, 0.0) | _memory_decay(config),
            relative_rate_of_part=_backbone_rate(config),
            **config.saliency.optimizer,
        ),
        num_steps=config.saliency.num_steps,
        examples_per_step=sizes.num_images * sizes.users_per_image,
        unit="maps",
    )


def _universal_stage(
    config: ConfigDict,
    viewings: Viewings,
    basis: features.FeatureBasis | None,
    devices: list[jax.Device],
) -> Stage:
    options = config.universal
    images = np.asarray(viewings.images)
    targets = images[np.asarray(viewings.group.num_viewers)[images] > 0]
    _require_even_shares("universal.num_images", options.num_images, devices)
    network = saliency_network(config, num_users=0)
    start = _start_of_backbone(config, basis)
    return Stage(
        name="universal",
        network=network._replace(init=_starting_at(network.init, start)),
        loss=_universal_loss(config, num_devices=len(devices)),
        constants=jax.device_put(
            (_resident(viewings), targets, center_prior(viewings)), steps.replicated(devices)
        ),
        stream=_make_stream(viewings, targets, functools.partial(_draw_images, config)),
        optimizer=steps.make_optimizer(
            num_steps=options.num_steps,
            decay_of_part=dict.fromkeys(start, 0.0),
            relative_rate_of_part=_backbone_rate(config),
            **options.optimizer,
        ),
        num_steps=options.num_steps,
        examples_per_step=options.num_images,
        unit="maps",
    )


def encoder_network(config: ConfigDict, *, num_users: int) -> Network:
    """The encoder and its classifier of `num_users` seen users."""
    encoder, dtype = config.encoder, jnp.dtype(config.training.compute_dtype)

    def make(rngs: nnx.Rngs) -> SiameseEncoder:
        module: nnx.Module
        match encoder.architecture:
            case "early":
                module = EarlyEncoder(
                    image_size=encoder.image_size,
                    in_channels=sum(CHANNELS[name] for name in encoder.inputs),
                    filters=encoder.filters,
                    kernel_size=encoder.kernel_size,
                    stride=encoder.stride,
                    norm_groups=encoder.norm_groups,
                    pooling=encoder.pooling,
                    embedding_size=encoder.embedding_size,
                    dtype=dtype,
                    rngs=rngs,
                )
            case "two_trunk" | "gaze_pooled":
                module = TwoTrunkEncoder(
                    map_channels=sum(CHANNELS[name] for name in encoder.inputs),
                    filters=encoder.filters,
                    map_filters=encoder.map_filters,
                    kernel_size=encoder.kernel_size,
                    stride=encoder.stride,
                    norm_groups=encoder.norm_groups,
                    pooling="gaze" if encoder.architecture == "gaze_pooled" else "mean",
                    embedding_size=encoder.embedding_size,
                    dtype=dtype,
                    rngs=rngs,
                )
            case "scanpath":
                module = ScanpathEncoder(
                    num_features=sum(FEATURES[name] for name in encoder.inputs),
                    width=encoder.width,
                    embedding_size=encoder.embedding_size,
                    taste_scale=encoder.taste_scale,
                    dtype=dtype,
                    rngs=rngs,
                )
            case other:
                raise ValueError(f"encoder.architecture is {other!r}; see config.ARCHITECTURES")
        return SiameseEncoder(
            module, embedding_size=embedding_size(config), users=num_users, rngs=rngs
        )

    return _functional(make)


def saliency_network(config: ConfigDict, *, num_users: int) -> Network:
    """The conditioned saliency network; for stage `universal`, that of 0 seen users."""
    saliency, dtype = config.saliency, jnp.dtype(config.training.compute_dtype)

    def make(rngs: nnx.Rngs) -> nnx.Module:
        match saliency.architecture:
            case "unet":
                return SaliencyNetwork(
                    trunk_filters=saliency.trunk_filters,
                    decoder_filters=saliency.decoder_filters,
                    conditioning=saliency.conditioning,
                    conditioned_levels=saliency.conditioned_levels,
                    norm_groups=saliency.norm_groups,
                    embedding_size=embedding_size(config),
                    dtype=dtype,
                    rngs=rngs,
                )
            case "taste":
                return TasteSaliencyNetwork(
                    num_features=features.num_features(config.features.components),
                    habit_size=config.encoder.embedding_size,
                    num_people=num_users,
                    width=saliency.width,
                    conditioning=saliency.conditioning,
                    memory_width=saliency.memory.width,
                    radius=saliency.memory.radius,
                    softness=saliency.memory.softness,
                    backbone=_fine_tuned_features(config) if is_fine_tuned(config) else None,
                    dtype=dtype,
                    rngs=rngs,
                )
            case other:
                raise ValueError(f"saliency.architecture is {other!r}; allowed: 'unet', 'taste'")

    return _functional(make)


def _fine_tuned_features(config: ConfigDict) -> features.FineTunedFeatures:
    return features.FineTunedFeatures(
        strides=config.features.strides,
        components=config.features.components,
        size=config.saliency.map_size,
    )


def predict_universal(config: ConfigDict) -> Callable[[Any, Array, Array], Array]:
    """How stage `universal` predicts: (params, images, center prior) -> universal maps.

    The saliency network with nobody's embedding, on the mean training map in place of a universal.
    """
    network = saliency_network(config, num_users=0)

    def predict(
        params: Any,
        pixels: Shaped[Array, "image height width channel"],
        prior: Float[Array, "map_height map_width"],
    ) -> Float[Array, "image map_height map_width"]:
        nobody = jnp.zeros((len(pixels), 1, embedding_size(config)))
        start = jnp.broadcast_to(prior, (len(pixels), 1, *prior.shape))
        return network.apply(params)(pixels, start, nobody)[:, 0]

    return predict


def center_prior(viewings: Viewings) -> Float[np.ndarray, "height width"]:
    """Mean of all training maps: where people look, whatever the image."""
    total = np.asarray(viewings.group.total)[np.asarray(viewings.images)].sum(axis=0)
    return total / total.sum()


def map_size(config: ConfigDict, name: str) -> tuple[int, int]:
    """(height, width) of the maps of a stage: the encoder's enter beside the image, at its size."""
    return config.encoder.image_size if name == "encoder" else config.saliency.map_size


def told_universals(
    config: ConfigDict,
    viewings: Viewings,
    universal_params: Any,
    devices: list[jax.Device],
) -> Float[np.ndarray, "all_images map_height map_width"] | None:
    """The universal maps that networks are told in place of the group's; None: those are.

    Args:
        config: the validated config.
        viewings: of stage `saliency`, with the group's maps.
        universal_params: parameters of stage `universal`; read if its predictions are told.
        devices: the devices to use.
    """
    every_image = np.arange(viewings.gaze.viewing_length.shape[1])
    match config.data.universal_map:
        case "group":
            return None
        case "center_prior":
            prior = center_prior(viewings)
            return np.broadcast_to(prior, (len(every_image), *prior.shape))
        case "predicted":
            return predict_universals(config, universal_params, viewings, every_image, devices)
        case other:
            raise ValueError(f"data.universal_map is {other!r}; see config.RULES")


def predict_universals(
    config: ConfigDict,
    params: Any,
    viewings: Viewings,
    images: Int[np.ndarray, " image"],
    devices: list[jax.Device],
) -> Float[np.ndarray, "image map_height map_width"]:
    """The predicted universal maps of some images, by the parameters of stage `universal`."""
    predict, prior = predict_universal(config), center_prior(viewings)

    def of_images(constants: Any, image: Array) -> Array:
        params, pixels, prior = constants
        return predict(params, pixels[image], prior)

    found: list[np.ndarray] = []
    for near, _, rows in in_parts(viewings, images):
        found += steps.map_rows(
            of_images,
            (params, near.pixels, prior),
            (rows,),
            devices=devices,
            batch_size=config.eval.batch_size,
        )
    return np.concatenate(found)


def _as_told(
    universal: Float[np.ndarray, "image height width"], size: tuple[int, int], num_users: int
) -> render.GroupMaps:
    """Maps that are nobody's in particular: nobody is left out of them."""
    shape = (len(universal), *size)
    total = jax.image.resize(universal, shape, "linear", antialias=True)
    return jax.device_get(
        render.GroupMaps(
            total=render.normalise(total, "sum"),
            num_viewers=jnp.ones(len(universal), jnp.int32),
            is_member=jnp.zeros(num_users, bool),
        )
    )


def make_viewings(
    name: str,
    config: ConfigDict,
    dataset: Dataset,
    splits: Splits,
    universal: Float[np.ndarray, "all_images map_height map_width"] | None = None,
) -> Viewings:
    """Gathers what a stage reads, with the group maps of the seen users.

    Args:
        name: one of `INPUTS`.
        config: the validated config.
        dataset: the data set.
        splits: who and what is seen.
        universal: maps that stand in the place of the group's; see `told_universals`.
    """
    max_fixations = longest_viewing(dataset.gaze)

    @jax.jit
    def group_of(gaze: Gaze, images: Array, members: Array) -> render.GroupMaps:
        return render.group_maps(
            gaze_on(gaze, images),
            members,
            sigma_frac=config.data.sigma_frac,
            map_size=map_size(config, name),
            max_fixations=max_fixations,
        )

    seen_lengths = np.asarray(dataset.gaze.viewing_length)[splits.seen_users]
    pixels: np.ndarray | Stored = dataset.images[name]
    images = np.arange(len(dataset.image_ids))
    parts = np.split(images, range(_IMAGES_IN_PART, len(images), _IMAGES_IN_PART))
    gaze = jax.device_put(dataset.gaze)
    groups = [
        jax.device_get(group_of(gaze, part, splits.seen_users))
        for part in (parts if isinstance(pixels, Stored) else [images])
    ]
    group = groups[0]._replace(
        total=np.concatenate([part.total for part in groups]),
        num_viewers=np.concatenate([part.num_viewers for part in groups]),
    )
    if universal is not None:
        group = _as_told(universal, map_size(config, name), len(dataset.user_ids))
    taste = None
    if dataset.features is not None and name == "encoder":
        taste = _tastes(config, dataset.features, dataset.gaze, group)
    elif dataset.features is not None and not is_fine_tuned(config):
        pixels = dataset.features
    if name == "encoder" and not _sees_pixels(config):
        nothing = np.zeros((len(images), 1, 1, 0), np.uint8)
        is_stored = isinstance(pixels, Stored)
        pixels = Stored(nothing.__getitem__, len(images)) if is_stored else nothing
    return Viewings(
        pixels=pixels,
        gaze=dataset.gaze,
        group=group,
        users=splits.seen_users,
        images=splits.train_images,
        viewed=seen_lengths[:, splits.train_images] > 0,
        taste=taste,
    )


def _tastes(
    config: ConfigDict,
    image_features: Float16[np.ndarray, "image height width feature"] | Stored,
    gaze: Gaze,
    group: render.GroupMaps,
) -> Float[np.ndarray, "user image taste"]:
    """The taste that every viewing shows: for each image one matrix product for all users."""
    users = jnp.arange(len(gaze.viewing_length))
    max_fixations = longest_viewing(gaze)

    @jax.jit
    def of_image(grid: Array, gaze: Gaze, group: render.GroupMaps) -> Array:
        at = jnp.zeros_like(users)
        personal = render.personal_maps(
            gaze,
            users,
            at,
            sigma_frac=config.data.sigma_frac,
            map_size=map_size(config, "encoder"),
            max_fixations=max_fixations,
        )
        universal = render.universal_maps(group, gaze, users, at, personal)
        return average_at_gaze(grid[None], personal - universal)

    fixations = gaze._replace(xy_frac=jax.device_put(gaze.xy_frac))
    tastes = []
    for image in range(len(image_features)):
        near = np.array([image])
        of_it = group._replace(total=group.total[near], num_viewers=group.num_viewers[near])
        tastes.append(of_image(image_features[image], gaze_on(fixations, near), of_it))
    return np.stack(jax.device_get(tastes), axis=1)


def longest_viewing(gaze: Gaze) -> int:
    """Number of fixations of the longest viewing, the length that viewings are padded to."""
    return int(np.max(gaze.viewing_length))


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
    personal = _personal_maps(config, name, scanpaths, aspect_ratio)
    universal = universal_of(personal)
    return Pairs(
        pixels,
        aspect_ratio,
        scanpaths,
        personal,
        universal,
        density=render.density_at(universal, scanpaths),
        taste=taste_of(personal - universal),
    )


def encoder_inputs(config: ConfigDict, pairs: Pairs) -> tuple[Array | None, ...]:
    """What the encoder is called with, for pairs of stage `encoder`."""
    encoder = config.encoder
    if encoder.architecture == "scanpath":
        described = describe_fixations(
            pairs.scanpaths, pairs.density, pairs.aspect_ratio, encoder.inputs
        )
        return described, pairs.scanpaths.mask, pairs.taste
    inputs = encoder.inputs if encoder.architecture == "early" else ("image", *encoder.inputs)
    stacked = stack_inputs(
        pairs.pixels,
        render.normalise(pairs.personal, encoder.map_scale),
        render.normalise(pairs.universal, encoder.map_scale),
        inputs,
    )
    return stacked, pairs.personal - pairs.universal


def embed_pairs(
    config: ConfigDict,
    encoder_params: Any,
    viewings: Viewings,
    *,
    users: Int[np.ndarray, " user"],
    images: Int[np.ndarray, " image"],
    devices: list[jax.Device],
) -> Float[np.ndarray, "user image embedding"]:
    """Embeds every viewing of the given users and images; zero where a user did not see an image.

    Args:
        config: the validated config.
        encoder_params: parameters of stage 1.
        viewings: what stage 1 reads. Its group maps are those of the seen users; a seen user is
            left out of their own.
        users: data-set indices, of seen or unseen users.
        images: data-set indices.
        devices: the devices to use.
    """
    embed = _make_embed(config, viewings)
    embeddings = np.zeros((len(users), len(images), embedding_size(config)), np.float32)
    for near, part, rows in in_parts(viewings, images):
        row, column = np.nonzero(np.asarray(near.gaze.viewing_length)[np.ix_(users, rows)] > 0)
        batches = steps.map_rows(
            embed,
            (encoder_params, near),
            (users[row], rows[column]),
            devices=devices,
            batch_size=config.eval.batch_size,
        )
        done = 0
        for batch in batches:
            at = slice(done, done + len(batch))
            embeddings[:, part][row[at], column[at]] = batch
            done = at.stop
    return embeddings


def _make_embed(config: ConfigDict, viewings: Viewings) -> Callable[[Any, Array, Array], Array]:
    network = encoder_network(config, num_users=len(viewings.users))
    max_fixations = longest_viewing(viewings.gaze)

    def embed(constants: Any, user: Array, image: Array) -> Array:
        params, viewings = constants
        pairs = _gather_pairs(config, "encoder", viewings, user, image, max_fixations)
        inputs = encoder_inputs(config, pairs)
        return network.apply(params).encoder(*inputs)

    return embed


class EmbeddingCost(NamedTuple):
    """What one pair costs to embed in a batch, the rendering of its map included.

    Frozen features are not: they are the picture's, and computed once for all people.

    Attributes:
        num_operations: floating-point operations, as XLA counts those it compiled.
        seconds: on one device; the median of a few batches.
    """

    num_operations: float
    seconds: float


def measure_embedding(config: ConfigDict, encoder_params: Any, viewings: Viewings) -> EmbeddingCost:
    """Measures what the encoder costs, on a batch of viewings."""
    size = config.eval.batch_size
    near, _, rows = next(in_parts(viewings, np.asarray(viewings.images)))
    row, column = np.nonzero(np.asarray(near.gaze.viewing_length)[:, rows] > 0)
    users, images = np.resize(row, size), np.resize(rows[column], size)
    constants = jax.device_put((encoder_params, near), jax.local_devices()[0])
    embed = jax.jit(_make_embed(config, viewings)).lower(constants, users, images).compile()
    seconds = []
    for _ in range(_NUM_MEASURED):
        began = time.perf_counter()
        jax.block_until_ready(embed(constants, users, images))
        seconds.append(time.perf_counter() - began)
    counted = (embed.cost_analysis() or {}).get("flops", float("nan"))
    return EmbeddingCost(counted / size, float(np.median(seconds)) / size)


def told_embeddings(
    config: ConfigDict,
    embeddings: Float[np.ndarray, "user image embedding"],
    viewed: Bool[AnyArray, "user image"],
) -> Float[np.ndarray, "user image embedding"]:
    """What stage 2 is told in place of these embeddings, if the config makes it a control."""
    return controls.replace_embeddings(
        config.controls.embeddings, embeddings, viewed, seed=config.seed
    )


def _functional(make: Callable[[nnx.Rngs], nnx.Module]) -> Network:
    graph, _ = nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(0))), nnx.Param)
    return Network(
        init=lambda key: nnx.to_pure_dict(nnx.state(make(nnx.Rngs(key)), nnx.Param)),
        apply=lambda params: nnx.merge(graph, params),
    )


def _start_of_people(
    embeddings: Float[np.ndarray, "user image embedding"],
    viewed: Bool[AnyArray, "user image"],
    num_learnt: int,
) -> dict[str, dict[str, Array]]:
    """Where the parts of the network start that say who is who among the seen users.

    `embedding_scale`: center and spread of them all; what is learnt and the taste have a spread
    each, so that entries of one kind keep their ratio. `known_people`: the learnt part of each.
    """
    viewings = np.asarray(viewed).sum(axis=1, keepdims=True)
    users = embeddings.sum(axis=1) / viewings
    center = users.mean(axis=0)
    scale = np.ones_like(center)
    for part in (slice(num_learnt), slice(num_learnt, None)):
        deviation = (users - center)[:, part]
        if deviation.size:
            scale[part] = 1 / max(float(np.sqrt((deviation**2).mean())), 1e-6)
    learnt = users[:, :num_learnt]
    variance = ((learnt - center[:num_learnt]) ** 2).sum(axis=1).mean()
    return {
        "embedding_scale": {"center": jnp.asarray(center), "scale": jnp.asarray(scale)},
        "known_people": {
            "centers": jnp.asarray(learnt),
            "variance": jnp.asarray(np.maximum(variance, 1e-12)),
        },
    }


def _start_of_backbone(
    config: ConfigDict, basis: features.FeatureBasis | None
) -> dict[str, dict[str, Any]]:
    """Where a backbone starts that is trained on: at the frozen features."""
    if not is_fine_tuned(config) or basis is None:
        return {}
    params = pretrained.load_parameters()["backbone"]
    return {"backbone": features.fine_tuned_start(params, basis)}


def _backbone_rate(config: ConfigDict) -> dict[str, float]:
    return {"backbone": config.features.fine_tuning_rate} if is_fine_tuned(config) else {}


def _starting_at(
    init: Callable[[Array], Any], start: dict[str, dict[str, Any]]
) -> Callable[[Array], Any]:
    """Starts those parts there that the network has."""

    def init_there(key: Array) -> Any:
        params = init(key)
        return params | {name: part for name, part in start.items() if name in params}

    return init_there


def _personal_maps(
    config: ConfigDict, name: str, scanpaths: Scanpaths, aspect_ratio: Float[Array, " pair"]
) -> Float[Array, "pair height width"]:
    return render.scanpath_maps(
        scanpaths,
        aspect_ratio,
        sigma_frac=config.data.sigma_frac,
        map_size=map_size(config, name),
    )


def _gather_pairs(
    config: ConfigDict,
    name: str,
    viewings: Viewings,
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
        universal_of=lambda personal: render.universal_maps(
            viewings.group, gaze, user, image, personal
        ),
        taste_of=lambda _: (
            None if viewings.taste is None else jnp.asarray(viewings.taste)[user, image]
        ),
    )


def _warp_pairs(config: ConfigDict, warp: virtual.Warp, pairs: Pairs) -> Pairs:
    """Makes pairs of virtual users; what is where they looked, and who else, stays as it was."""
    scanpaths = virtual.warp_scanpaths(warp, pairs.scanpaths)
    return pairs._replace(
        pixels=virtual.mirror_columns(warp, pairs.pixels),
        scanpaths=scanpaths,
        personal=_personal_maps(config, "encoder", scanpaths, pairs.aspect_ratio),
        universal=virtual.mirror_columns(warp, pairs.universal),
        taste=None if pairs.taste is None else _mirror_tastes(warp, pairs.taste),
    )


def _mirror_tastes(
    warp: virtual.Warp, taste: Float[Array, "pair taste"]
) -> Float[Array, "pair taste"]:
    sign = jnp.asarray(features.mirrored_signs(taste.shape[-1]))
    return jnp.where(warp.is_mirrored[:, None], taste * sign, taste)


def _at_hand(viewings: Viewings, batch: Batch | None) -> tuple[Viewings, Callable[[Array], Array]]:
    """Viewings with images, and data-set indices -> the indices that stand for them there."""
    if batch is None:
        return viewings, lambda image: image
    near = narrow(viewings, batch.images, pixels=batch.pixels, total=batch.total)
    return near, lambda image: jnp.searchsorted(batch.images, image)


class Drawn(NamedTuple):
    """Who and what was drawn for a global batch, as indices into the pool.

    Attributes:
        users: of stage 1, those of the batch; of stage 2, those of each image.
        images: of stage 1, those of each user; of stage 2, those of the batch.
    """

    users: Int[Array, "*user"]
    images: Int[Array, "*image"]


def _draw_pairs(config: ConfigDict, pool: Pool, key: Array) -> tuple[Drawn, Array]:
    """Draws a batch of stage 1, and the image of each of its pairs."""
    sizes = config.encoder.sampling
    draw_key, _, _ = jax.random.split(key, 3)
    drawn = Drawn(
        *sampling.draw_pairs(
            draw_key,
            pool.viewed,
            num_users=sizes.num_users,
            images_per_user=sizes.images_per_user,
            share_images=sizes.share_images,
        )
    )
    return drawn, _drawn_pairs(config, pool, drawn)[1]


def _drawn_pairs(config: ConfigDict, pool: Pool, drawn: Drawn) -> tuple[Array, Array]:
    """Data-set indices of the user and the image of each pair, those of virtual users last."""
    sizes = config.encoder.sampling
    virtual_users = jnp.arange(sizes.virtual_users.number) % sizes.num_users
    made_of = jnp.concatenate([jnp.arange(sizes.num_users), virtual_users])
    user = jnp.repeat(pool.users[drawn.users[made_of]], sizes.images_per_user)
    return user, pool.images[drawn.images[made_of].reshape(-1)]


def _draw_targets(config: ConfigDict, constants: Any, key: Array) -> tuple[Drawn, Array]:
    """Draws a batch of stage 2, and its images as data-set indices."""
    pool, targets = constants
    sizes = config.saliency.sampling
    draw_key, _ = jax.random.split(key)
    drawn, users = sampling.draw_viewings(
        draw_key,
        pool.viewed[:, targets],
        num_images=sizes.num_images,
        users_per_image=sizes.users_per_image,
    )
    images = targets[drawn]
    return Drawn(users, images), pool.images[images]


def _draw_images(config: ConfigDict, targets: Array, key: Array) -> tuple[Array, Array]:
    """Draws a batch of stage `universal`, as data-set indices."""
    images = jax.random.permutation(key, targets)[: config.universal.num_images]
    return images, images


def _encoder_loss(
    config: ConfigDict, network: Network, *, max_fixations: int, num_devices: int
) -> steps.LossFunction:
    sizes, terms = config.encoder.sampling, config.encoder.loss
    num_users, num_virtual = sizes.num_users, sizes.virtual_users.number

    def loss(
        params: Any, constants: Viewings, batch: Batch | None, key: Array, device: Array
    ) -> tuple[Array, dict[str, Array]]:
        if batch is None:
            drawn, _ = _draw_pairs(config, _pool(constants), key)
        else:
            drawn = batch.drawn
        _, warp_key, mining_key = jax.random.split(key, 3)
        # Virtual users follow the real ones that they are made of.
        warps = jax.tree.map(
            lambda *parts: jnp.concatenate(parts),
            virtual.no_warps(num_users),
            virtual.draw_warps(warp_key, **sizes.virtual_users),
        )
        # Every device draws the whole batch, embeds its share and mines triplets in the whole.
        share = functools.partial(steps.my_share, device=device, num_devices=num_devices)
        viewings, row_of = _at_hand(constants, batch)
        user, image = _drawn_pairs(config, _pool(constants), drawn)
        pairs = _gather_pairs(
            config, "encoder", viewings, share(user), row_of(share(image)), max_fixations
        )
        if num_virtual:
            of_pair = functools.partial(jnp.repeat, repeats=sizes.images_per_user, axis=0)
            warp = jax.tree.map(lambda entries: share(of_pair(entries)), warps)
            pairs = _warp_pairs(config, warp, pairs)
        model = network.apply(params)
        mine = model.encoder(*encoder_inputs(config, pairs))
        everyone = jax.lax.all_gather(mine, steps.DEVICE_AXIS, tiled=True)
        embeddings = everyone.reshape(num_users + num_virtual, sizes.images_per_user, -1)
        sets = losses.mean_over_sets(embeddings, size=terms.pairs_per_embedding)
        triplet, active = losses.mined_triplet_loss(
            losses.unit_length(sets) if terms.unit_length else sets,
            mining_key,
            margin=terms.margin,
            distance=terms.distance,
            mining=terms.mining,
        )
        prototype = losses.prototype_loss(
            losses.unit_length(embeddings) if terms.unit_length else embeddings,
            distance=terms.distance,
        )
        classification = optax.losses.softmax_cross_entropy_with_integer_labels(
            model.classifier(embeddings[:num_users]),
            jnp.broadcast_to(drawn.users[:, None], (num_users, sizes.images_per_user)),
        ).mean()
        total = (
            triplet
            + terms.classification_weight * classification
            + terms.prototype_weight * prototype
        )
        return total, {
            "triplet_loss": triplet,
            "active_share": active,
            "classification_loss": classification,
            "prototype_loss": prototype,
        }

    return loss


def _saliency_loss(
    config: ConfigDict, network: Network, *, max_fixations: int, num_devices: int
) -> steps.LossFunction:
    sizes = config.saliency.sampling
    fewest, most = sizes.enrolment_images

    def loss(
        params: Any, constants: Any, batch: Batch | None, key: Array, device: Array
    ) -> tuple[Array, dict[str, Array]]:
        whole, targets, pair_embeddings = constants
        pool = _pool(whole)
        if batch is None:
            drawn, _ = _draw_targets(config, (pool, targets), key)
        else:
            drawn = batch.drawn
        _, enrolment_key = jax.random.split(key)
        is_target = jnp.arange(pool.viewed.shape[1]) == drawn.images[:, None, None]
        enrolled, weight = sampling.draw_enrolment(
            enrolment_key,
            pool.viewed[drawn.users] & ~is_target,
            min_images=fewest,
            max_images=most,
        )
        images, users, enrolled, weight = (
            steps.my_share(rows, device, num_devices)
            for rows in (pool.images[drawn.images], drawn.users, enrolled, weight)
        )
        embedding = jnp.einsum("ipn,ipnd->ipd", weight, pair_embeddings[users[..., None], enrolled])
        viewings, row_of = _at_hand(whole, batch)
        row = row_of(images)
        pairs = _gather_pairs(
            config,
            "saliency",
            viewings,
            pool.users[users.reshape(-1)],
            jnp.repeat(row, sizes.users_per_image),
            max_fixations,
        )
        shape = (*users.shape, *pairs.personal.shape[1:])
        inputs = (
            viewings.pixels[row],
            pairs.universal.reshape(shape),
            embedding,
        )
        scale, terms = config.saliency.target_scale, config.saliency.loss
        target = render.normalise(pairs.personal, scale).reshape(shape)

        def compare(prediction: Array) -> tuple[Array, dict[str, Array]]:
            scaled = render.normalise(prediction, scale)
            metrics = {
                "mse": losses.mean_squared_error(prediction=scaled, target=target),
                "cross_entropy": losses.cross_entropy(
                    prediction=prediction, target=pairs.personal.reshape(shape)
                ),
                "one_minus_cc": losses.one_minus_correlation(prediction=scaled, target=target),
            }
            metrics = jax.tree.map(jnp.mean, metrics)
            weights = (terms.mse_weight, terms.kld_weight, terms.cc_weight)
            total = sum(
                weight * value for weight, value in zip(weights, metrics.values(), strict=True)
            )
            return jnp.asarray(total), metrics

        if has_memory(config):
            # All but the memory learns as if everybody were a stranger, the memory on top of it.
            others, _ = compare(network.apply(params)(*inputs, as_strangers=True))
            kept = jax.lax.stop_gradient(params) | {"memory": params["memory"]}
            total, metrics = compare(network.apply(kept)(*inputs))
            total += others
        else:
            total, metrics = compare(network.apply(params)(*inputs))
        universal_error = losses.mean_squared_error(
            prediction=render.normalise(pairs.universal, scale).reshape(shape), target=target
        )
        return total, metrics | {"universal_loss": universal_error.mean()}

    return loss


def _memory_decay(config: ConfigDict) -> dict[str, float]:
    return {"memory": config.saliency.memory.weight_decay} if has_memory(config) else {}


def _universal_loss(config: ConfigDict, *, num_devices: int) -> steps.LossFunction:
    predict = predict_universal(config)

    def loss(
        params: Any, constants: Any, batch: Batch | None, key: Array, device: Array
    ) -> tuple[Array, dict[str, Array]]:
        whole, targets, prior = constants
        if batch is None:
            drawn, _ = _draw_images(config, targets, key)
        else:
            drawn = batch.drawn
        viewings, row_of = _at_hand(whole, batch)
        row = row_of(steps.my_share(drawn, device, num_devices))
        scale = config.saliency.target_scale
        target = render.normalise(viewings.group.total[row], scale)
        start = render.normalise(jnp.broadcast_to(prior, target.shape), scale)
        error = losses.mean_squared_error(
            prediction=render.normalise(predict(params, viewings.pixels[row], prior), scale),
            target=target,
        )
        start_error = losses.mean_squared_error(prediction=start, target=target)
        return error.mean(), {"center_prior_loss": start_error.mean()}

    return loss


def _require_even_shares(name: str, batch: int, devices: list[jax.Device]) -> None:
    if batch % len(devices):
        raise ValueError(
            f"config.{name} gives a batch of {batch} to share among "
            f"{len(devices)} devices; allowed: a multiple of the devices"
        )
