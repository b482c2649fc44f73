"""The train step: its gradient, what it does with one that is not finite, and its devices."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gazejax.config.derived import STAGES
from gazejax.data.loading import load_dataset, make_config_splits
from gazejax.inference.networks import encoder_network
from gazejax.inference.stage_inputs import both_stage_inputs
from gazejax.runtime.devices import replicated
from gazejax.training.loop import TrainingOptions, train
from gazejax.training.run import make_stage
from gazejax.training.step import init_state, make_train_step
from tests.tiny import tiny_config, tiny_scanpath_config

OPTIONS = TrainingOptions(
    seed=0,
    steps_per_dispatch=1,
    log_every=2,
    max_consecutive_nonfinite=10,
    checkpoint_every=4,
    checkpoints_kept=2,
    stream={},
)


@pytest.fixture(scope="module")
def tiny(data_dir, tiny_dataset):
    config = tiny_config(data_dir)
    splits = make_config_splits(config, tiny_dataset)
    viewings = both_stage_inputs(config, tiny_dataset, splits)
    return config, viewings


# One for all tests that take it, so that they share the programs that are compiled.
OPTIMIZER = optax.adam(2e-3, b1=0.9)


def gradient_on(name, tiny, num_devices):
    """Gradient of the first step: Adam's first moment is a tenth of it."""
    config, viewings = tiny
    devices = jax.local_devices()[:num_devices]
    encoder = encoder_network(config, num_users=len(viewings["encoder"].arrays.pool.users))
    stage = make_stage(
        name,
        config,
        viewings,
        encoder_params=jax.jit(encoder.init)(jax.random.key(7)),
        devices=devices,
    )
    state = init_state(stage.network.init, OPTIMIZER, 0)
    if name == "saliency":  # The head starts at zero and would hide the gradient of all below it.
        state.params["head"]["kernel"] += 0.1
    step = make_train_step(stage.loss, OPTIMIZER, devices=devices, steps_per_dispatch=1)
    state = jax.device_put(state, replicated(devices))
    state, metrics = step(state, stage.constants, None)
    moment = optax.tree.get(jax.device_get(state.optimizer_state), "mu")
    return jax.tree.map(lambda leaf: 10 * leaf, moment), float(metrics["loss"][0])


# One number a stage, as each compiles a step of its own; every stage has the same way to share.
NUM_DEVICES = {"encoder": 4, "saliency": 2, "universal": 4, "permuted_encoder": 4}


@pytest.mark.parametrize("name", STAGES)
def test_gradient_does_not_depend_on_the_number_of_devices(name, tiny):
    whole, loss = gradient_on(name, tiny, 1)
    assert float(optax.tree.norm(whole)) > 1e-3
    split, split_loss = gradient_on(name, tiny, NUM_DEVICES[name])
    assert split_loss == pytest.approx(loss, rel=1e-5)
    for path, expected in jax.tree_util.tree_leaves_with_path(whole):
        found = dict(jax.tree_util.tree_leaves_with_path(split))[path]
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-6, err_msg=str(path))


def test_several_steps_per_dispatch_equal_single_ones(tiny):
    config, viewings = tiny
    devices = jax.local_devices()[:1]
    stage = make_stage("encoder", config, viewings, encoder_params=None, devices=devices)

    def run(steps_per_dispatch, dispatches):
        step = make_train_step(
            stage.loss, OPTIMIZER, devices=devices, steps_per_dispatch=steps_per_dispatch
        )
        state = init_state(stage.network.init, OPTIMIZER, 0)
        state, losses = jax.device_put(state, replicated(devices)), []
        for _ in range(dispatches):
            state, metrics = step(state, stage.constants, None)
            losses += metrics["loss"].tolist()
        return int(state.step), losses

    one, many = run(1, 4), run(2, 2)
    assert one[0] == many[0] == 4
    np.testing.assert_allclose(one[1], many[1], rtol=1e-4)


def quadratic(params, constants, batch, key, device):
    """Loss w^2 on even steps; the constant poisons it from a given step on."""
    bad = jnp.where(constants["is_poisoned"], jnp.nan, 1.0)
    return (params["w"] ** 2).sum() * bad, {}


def test_an_update_that_is_not_finite_is_skipped_and_counted():
    devices = jax.local_devices()[:2]
    optimizer = optax.adam(0.1)
    state = init_state(lambda key: {"w": jnp.ones(3)}, optimizer, 0)
    state = jax.device_put(state, replicated(devices))
    step = make_train_step(quadratic, optimizer, devices=devices, steps_per_dispatch=1)
    good = {"is_poisoned": jnp.array(False)}
    bad = {"is_poisoned": jnp.array(True)}
    state, _ = step(state, good, None)
    weights = np.asarray(state.params["w"])
    for count in (1, 2):
        state, metrics = step(state, bad, None)
        assert metrics["num_skipped_in_a_row"][0] == count
    np.testing.assert_array_equal(state.params["w"], weights)
    state, metrics = step(state, good, None)
    assert (state.params["w"] < weights).all()
    assert (int(state.step), int(state.num_skipped)) == (4, 2)
    assert metrics["num_skipped_in_a_row"][0] == 0


def test_training_stops_when_updates_stay_not_finite(tiny, tmp_path):
    config, viewings = tiny
    devices = jax.local_devices()[:1]
    stage = make_stage("encoder", config, viewings, encoder_params=None, devices=devices)

    def poisoned(params, *_):
        return params["w"].sum() * jnp.nan, {}

    small = replace(stage.network, init=lambda _: {"w": jnp.ones(3)})
    stage = stage._replace(network=small, loss=poisoned, optimizer=optax.sgd(0.1))
    with pytest.raises(FloatingPointError, match=r"not finite in 10 updates in a row \(step 10\)"):
        train(stage, OPTIONS, tmp_path, metadata={}, devices=devices)


def test_batch_that_devices_cannot_share_is_refused(tiny):
    config, viewings = tiny
    with pytest.raises(ValueError, match=r"config.encoder.batch gives a batch of 20 to share"):
        make_stage(
            "encoder",
            config,
            viewings,
            encoder_params=None,
            devices=jax.local_devices()[:3],
        )


def features_config(data_dir):
    """With the first blocks of the backbone alone, which compile quickly."""
    config = tiny_scanpath_config(data_dir)
    config.features.update(strides=(4,), components=(5,))
    return config


@pytest.fixture(scope="module")
def dataset_with_features(data_dir):
    return load_dataset(features_config(data_dir))


def saliency_stage_on_features(config, dataset):
    splits = make_config_splits(config, dataset)
    viewings = both_stage_inputs(config, dataset, splits)
    encoder = encoder_network(config, num_users=len(splits.seen_users))
    return make_stage(
        "saliency",
        config,
        viewings,
        encoder_params=jax.jit(encoder.init)(jax.random.key(7)),
        devices=jax.local_devices()[:1],
    )


def test_the_memory_learns_on_top_and_changes_nothing_below_it(data_dir, dataset_with_features):
    gradients = {}
    for kind in ("none", "film"):
        config = features_config(data_dir)
        config.saliency.model.memory.kind = kind
        stage = saliency_stage_on_features(config, dataset_with_features)
        params = jax.jit(stage.network.init)(jax.random.key(0))
        # What starts at zero would hide the gradient of all below it.
        params["head"]["kernel"] += 0.1
        params["of_image"]["kernel"] = jnp.full_like(params["of_image"]["kernel"], 0.05)
        params["of_universal"]["kernel"] = jnp.full_like(params["of_universal"]["kernel"], 0.05)
        if kind == "film":
            params["memory"]["head"]["kernel"] += 0.1
            params["memory"]["of_user"] += 0.1
        gradients[kind], _ = jax.jit(jax.grad(stage.loss, has_aux=True))(
            params, stage.constants, None, jax.random.key(1), jnp.int32(0)
        )
    memory, known = (gradients["film"].pop(name) for name in ("memory", "recognizer"))
    assert float(optax.tree.norm(memory)) > 1e-3
    assert float(optax.tree.norm(known)) == 0.0
    assert float(optax.tree.norm(gradients["none"])) > 1e-3
    for path, expected in jax.tree_util.tree_leaves_with_path(gradients["none"]):
        found = dict(jax.tree_util.tree_leaves_with_path(gradients["film"]))[path]
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5, err_msg=str(path))


@pytest.mark.parametrize(
    "name",
    [
        "encoder",
        "saliency",
        pytest.param("scanpath encoder", marks=pytest.mark.slow),
        pytest.param("readout saliency", marks=pytest.mark.slow),
    ],
)
def test_half_precision_trains_as_single_precision_does(name, tiny, data_dir, request):
    """Two different mistakes show: bfloat16 that is not used, and a sum that is made in it."""
    if name in STAGES:
        config, viewings = tiny
    else:
        config = features_config(data_dir)
        config.saliency.model.memory.kind = "film"
        dataset = request.getfixturevalue("dataset_with_features")
        splits = make_config_splits(config, dataset)
        viewings = both_stage_inputs(config, dataset, splits)
    devices = jax.local_devices()[:1]
    curves = {}
    for dtype in ("float32", "bfloat16"):
        changed = config.copy_and_resolve_references()
        changed.training.compute_dtype = dtype
        encoder = encoder_network(config, num_users=len(viewings["encoder"].arrays.pool.users))
        stage = make_stage(
            name.split()[-1],
            changed,
            viewings,
            encoder_params=jax.jit(encoder.init)(jax.random.key(7)),
            devices=devices,
        )
        state = init_state(stage.network.init, OPTIMIZER, 0)
        step = make_train_step(stage.loss, OPTIMIZER, devices=devices, steps_per_dispatch=1)
        state = jax.device_put(state, replicated(devices))
        curve = []
        for _ in range(50):
            state, metrics = step(state, stage.constants, None)
            curve.append(metrics["loss"].item())
        assert {leaf.dtype.name for leaf in jax.tree.leaves(state.params)} == {"float32"}
        curves[dtype] = np.array(curve)
    single, half = curves.values()
    assert (single != half).any()
    fallen = single[:5].mean() - single[-5:].mean()
    assert fallen > 0.01 * single[:5].mean()
    assert abs(half[-5:].mean() - single[-5:].mean()) < max(
        0.05 * fallen, 0.005 * single[-5:].mean()
    )
