"""Use by another program: any image size, one pair or many, and every bad input named."""

import copy
import json
import multiprocessing
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import gazejax
from gazejax.inference import networks
from gazejax.runtime.devices import without_x64
from tests.tiny import without_stage_2

IMAGE = np.random.default_rng(0).integers(0, 256, (50, 70, 3)).astype(np.uint8)
FIXATIONS = np.array([[10.5, 40.0], [69.9, 0.0], [35.0, 25.0]])


# Viewings have about ten fixations in the training.
of_any_length = pytest.mark.filterwarnings("ignore:viewings have:UserWarning")


@pytest.fixture(scope="module")
def model(tiny_run):
    return gazejax.load(tiny_run)


@pytest.mark.parametrize("shape", [(50, 70), (31, 200), (1, 1), (600, 800)])
def test_embeds_and_predicts_at_any_size(model, shape):
    image = np.zeros((*shape, 3), np.uint8)
    embedding = model.embed([image], [np.array([[0.5, 0.5]])])
    assert embedding.shape == (model.embedding_size,)
    assert embedding.dtype == np.float32
    saliency = model.predict(image, embedding)
    assert saliency.shape == shape
    assert saliency.dtype == np.float32
    assert saliency.min() >= 0
    assert saliency.sum(dtype=np.float64) == pytest.approx(1.0, abs=1e-5)


@of_any_length
def test_embedding_is_the_mean_over_pairs_however_many(model):
    other = IMAGE[::-1, :60]
    points = [FIXATIONS, FIXATIONS[2:]]
    one, two = model.embed([IMAGE], points[:1]), model.embed([other], points[1:])
    both = model.embed([IMAGE, other], points)
    np.testing.assert_allclose(both, (one + two) / 2, atol=1e-5)
    many = model.embed([IMAGE, other] * 7, points * 7)
    np.testing.assert_allclose(many, both, atol=1e-5)
    # A picture is one image, however often it is given, whichever array it is.
    assert (both.num_images, many.num_images) == (2, 2)
    again = model.embed_many({"ann": ([IMAGE, IMAGE.copy()], [FIXATIONS, FIXATIONS])})
    assert again["ann"].num_images == 1


def test_many_users_are_embedded_as_one_by_one(model):
    other = IMAGE[::-1, :60]
    given = {
        "ann": ([IMAGE, other], [FIXATIONS, FIXATIONS[2:]]),
        "bob": ((other.copy(),), [FIXATIONS[1:] / 2]),
        **{
            f"user {n}": ([IMAGE], [FIXATIONS[:1] + n / 9]) for n in range(33)
        },  # Two calls and more.
    }
    found = model.embed_many(given, sessions={"bob": ["monday"]})
    assert list(found) == list(given)
    for user, (images, fixations) in given.items():
        expected = model.embed(images, fixations)
        np.testing.assert_allclose(found[user], expected, atol=1e-5)
        assert found[user].num_images == len(images)
        assert (found[user].user, expected.user) == (user, "")
    assert found["bob"].sessions == ("monday",)
    assert found["ann"].sessions == ()
    sessions = (name for name in ["monday"])
    assert model.embed([IMAGE], [FIXATIONS], sessions=sessions).sessions == ("monday",)
    with pytest.raises(ValueError, match=r"^sessions has the user 'eve'; allowed: users of"):
        model.embed_many(given, sessions={"eve": ["monday"]})
    with pytest.raises(
        TypeError, match=r"^sessions\['ann'\] is 'monday'; allowed: a list of names"
    ):
        model.embed_many(given, sessions={"ann": "monday"})


@pytest.mark.parametrize(
    ("users", "error", "message"),
    [
        ([IMAGE], TypeError, "users is of type list; allowed: a mapping"),
        ({"ann": IMAGE}, TypeError, r"users\['ann'\] is a ndarray; allowed: a tuple of images"),
        ({"ann": ([IMAGE], [])}, ValueError, r"^users\['ann'\]: images has 1 entries and fix"),
        (
            {"ann": ([IMAGE], [[[1, 99]]])},
            ValueError,
            r"^users\['ann'\]: fixations\[0\]\[0\] is .*99",
        ),
    ],
)
def test_embed_many_names_the_user_and_the_bad_argument(model, users, error, message):
    with pytest.raises(error, match=message):
        model.embed_many(users)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.predict_many(None, [np.zeros(6)]), "images is of type NoneType; allowed: im"),
        (lambda m: m.predict_many("x.jpg", [np.zeros(6)]), "images is of type str; allowed: ima"),
        (lambda m: m.predict_many([], {}), "embeddings is of type dict; allowed: a list of Embed"),
        (lambda m: m.embed_people(3), "viewings is of type int; allowed: an image and the gaze"),
        (lambda m: m.embed_people([IMAGE]), r"viewings\[0\] is of type ndarray; allowed: a tuple"),
        (lambda m: m.embed_many({}, sessions=3), "sessions is of type int; allowed: a mapping"),
        (lambda m: m.embed([IMAGE], [FIXATIONS], sessions=3), "sessions is 3; allowed: a list of"),
        (lambda m: m.predict(IMAGE, "ann"), "embedding has dtype <U3; allowed: float or integer"),
    ],
)
def test_arguments_of_odd_types_are_named(model, call, message):
    with pytest.raises(TypeError, match=f"^{message}") as refusal:
        call(model)
    assert "\n" not in str(refusal.value)


def test_many_maps_are_those_of_single_calls(model):
    users = np.random.default_rng(2).normal(size=(35, model.embedding_size)).astype(np.float32)
    images = [IMAGE, IMAGE[::-1, :9]]
    found = model.predict_many(iter(images), dict(enumerate(users)).values())
    for image, maps in zip(images, found, strict=True):
        assert maps.shape == (35, *image.shape[:2])
        assert maps.dtype == np.float32
        for user in (0, 7, 8, 31, 34):
            np.testing.assert_allclose(
                maps[user], model.predict(image, users[user]), rtol=1e-4, atol=1e-9
            )
    with pytest.raises(ValueError, match="embeddings has 0 entries; allowed: at least one"):
        model.predict_many([IMAGE], [])
    with pytest.raises(ValueError, match=r"embeddings\[1\] has shape \(3,\)"):
        model.predict_many([IMAGE], [users[0], np.zeros(3)])
    with pytest.raises(TypeError, match=r"images\[1\] has dtype float64"):
        list(model.predict_many([IMAGE, IMAGE / 255], users))


def test_a_run_of_stage_1_alone_embeds(tiny_run, tmp_path, model):
    run = without_stage_2(tiny_run, tmp_path / "run")
    alone = gazejax.load(run)
    embedding = alone.embed([IMAGE], [FIXATIONS])
    assert embedding.encoder_digest == model.encoder_digest
    assert alone.predict(IMAGE).shape == IMAGE.shape[:2]  # The mean training map.
    with pytest.raises(ValueError, match="has no stage saliency, which predicts the maps of user"):
        alone.predict(IMAGE, embedding)


@of_any_length
def test_another_number_of_fixations_is_not_compiled_anew(model):
    import jax

    def embed(number):
        model.embed([IMAGE] * (1 + number % 9), [np.full((number, 2), 20.0)] * (1 + number % 9))

    compiled = []

    def listener(event, *_, **__):
        if "backend_compile" in event:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listener)
    try:
        embed(129)  # Beyond the first length: compiled, so that the listener is known to hear.
        assert compiled
        embed(1)
        compiled.clear()
        for number in (8, 31, 33, 100, 128, 130, 256):
            embed(number)
        assert not compiled
    finally:
        jax.monitoring.unregister_event_duration_listener(listener)


@pytest.mark.parametrize(
    "run", ["tiny_run", pytest.param("tiny_scanpath_run", marks=pytest.mark.slow)]
)
def test_api_embeds_as_training_did(run, request):
    """The same pair through `embed` and through the evaluation path gives the same embedding."""
    import jax

    from gazejax.config.derived import has_preference_vector
    from gazejax.data.loading import load_dataset, make_config_splits
    from gazejax.inference.embed import embed_viewings
    from gazejax.inference.networks import encoder_network
    from gazejax.inference.stage_inputs import make_stage_inputs
    from gazejax.workdir.layout import load_config, load_projection
    from gazejax.workdir.parameters import load_params

    folder = request.getfixturevalue(run)
    config = load_config(folder)
    dataset = load_dataset(config, load_projection(folder))
    splits = make_config_splits(config, dataset)
    user, image = splits.unseen_users[:1], splits.test_images[:1]
    inputs = make_stage_inputs("encoder", config, dataset, splits)
    expected = embed_viewings(
        encoder_network(config, num_users=len(splits.seen_users)),
        load_params(folder, "encoder"),
        inputs,
        users=user,
        images=image,
        embedding_size=gazejax.load(folder).embedding_size,
        devices=jax.local_devices()[:1],
        batch_size=32,
    ).vectors[0]
    sums = inputs.arrays.universal
    universal = np.asarray(sums.total)[image[0]] / sums.num_viewers[image[0]]
    gaze = dataset.gaze
    start = gaze.viewing_offset[user[0], image[0]]
    used = slice(start, start + gaze.viewing_length[user[0], image[0]])
    # At the size that the encoder, or the backbone before it, looks at.
    name = "saliency" if has_preference_vector(config) else "encoder"
    pixels = dataset.images[name][image[0]]
    height, width = pixels.shape[:2]
    found = gazejax.load(folder).embed(
        [pixels],
        [gaze.xy_frac[used] * [width, height]],
        universal=[universal],
        durations_ms=[gaze.duration_ms[used]],
    )
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("durations_ms", "message"),
    [
        (None, "durations_ms is missing; this encoder was trained on the durations"),
        ([], "durations_ms has 0 entries; allowed: one for each of the 1 images"),
        ([[200, 300]], r"durations_ms\[0\] has shape \(2,\); allowed: one for each of the 3 fix"),
        ([[200, 300, 0]], r"durations_ms\[0\] holds 0; allowed: above 0"),
        ([[200, 300, np.nan]], r"durations_ms\[0\] holds a NaN"),
    ],
)
def test_an_encoder_of_durations_names_what_is_wrong_with_them(
    tiny_scanpath_run, durations_ms, message
):
    with pytest.raises(ValueError, match=message):
        gazejax.load(tiny_scanpath_run).embed([IMAGE], [FIXATIONS], durations_ms=durations_ms)


def test_a_person_changes_the_map_and_nobody_gives_the_universal_one(model):
    universal = np.zeros((5, 7))
    universal[1, 5] = 3.0
    of_mean = model.predict(IMAGE, universal=universal)
    # Cells of 10 px: the peak stays in row 1, column 5.
    row, column = np.unravel_index(of_mean.argmax(), of_mean.shape)
    assert 8 <= row < 22
    assert 48 <= column < 62
    assert of_mean.sum(dtype=np.float64) == pytest.approx(1.0, abs=1e-5)
    someone = model.predict(IMAGE, np.full(model.embedding_size, 1.0), universal)
    assert np.abs(someone - of_mean).max() > 0


def test_a_given_universal_map_comes_back_as_it_is(model):
    universal = np.random.default_rng(1).random(IMAGE.shape[:2])
    found = model.predict(IMAGE, universal=universal)
    np.testing.assert_allclose(found, universal / universal.sum(), rtol=1e-4)


def test_other_kinds_of_arrays_are_understood(model):
    expected = model.embed([IMAGE], [FIXATIONS])
    for fixations in (FIXATIONS.tolist(), FIXATIONS.astype(np.float32)):
        np.testing.assert_allclose(model.embed([IMAGE], [fixations]), expected, atol=1e-5)
    np.testing.assert_allclose(model.embed((Image.fromarray(IMAGE),), [FIXATIONS]), expected)
    assert model.embed([IMAGE], [np.array([[10, 40]])]).shape == expected.shape


def test_a_copied_workdir_needs_no_data_set(tiny_run, tmp_path, model):
    copy = shutil.copytree(tiny_run, tmp_path / "copy")
    there = gazejax.load(copy)
    expected = model.embed([IMAGE], [FIXATIONS])
    np.testing.assert_array_equal(there.embed([IMAGE], [FIXATIONS]), expected)
    np.testing.assert_array_equal(there.predict(IMAGE), model.predict(IMAGE))


def test_the_filters_of_the_training_apply_to_new_gaze(tiny_run, tmp_path, model):
    copy = shutil.copytree(tiny_run, tmp_path / "copy")
    stored = json.loads((copy / "config.json").read_text())
    stored["config"]["data"] |= {"drop_first_fixation": True, "subsample_every": 2}
    (copy / "config.json").write_text(json.dumps(stored))
    filtered = gazejax.load(copy)
    points = np.concatenate([FIXATIONS, FIXATIONS[::-1] / 2])
    # Without the first, of two each the first: the second, fourth and sixth.
    expected = model.embed([IMAGE], [points[[1, 3, 5]]])
    np.testing.assert_array_equal(filtered.embed([IMAGE], [points]), expected)
    with pytest.raises(ValueError, match=r"fixations\[0\] has 1 fixations, .* leave none"):
        filtered.embed([IMAGE], [points[:1]])
    # Each of two viewings loses its first fixation.
    gaze = gazejax.api.PersonalGaze(points, [0, 0, 1, 1, 2, 2], None)
    for added in (0, np.uint64(2**40), -7):  # Of trials their order counts, not their numbers.
        trials = gaze._replace(trial=np.array(gaze.trial, type(added)) + added)
        [embedding] = filtered.embed_people([(IMAGE, {"ann": trials})]).values()
        np.testing.assert_array_equal(embedding, expected)
        assert embedding.num_images == 1


def test_embed_warns_of_other_units(model, recwarn):
    model.embed([IMAGE], [FIXATIONS])
    assert not recwarn
    with pytest.warns(UserWarning, match="^x and y look like fractions, not pixels; "):
        model.embed([IMAGE], [FIXATIONS / 70])


def test_embed_warns_of_viewings_of_another_length(model, recwarn):
    ten = np.tile(FIXATIONS, (4, 1))[:10]
    model.embed([IMAGE] * 9, [ten] * 9)
    assert not recwarn
    with pytest.warns(UserWarning, match=r"^viewings have 40.0 fixations on average, and those of"):
        model.embed([IMAGE] * 9, [np.tile(ten, (4, 1))] * 9)
    gaze = gazejax.api.PersonalGaze(np.tile(ten, (4, 1)), [0] * 40, None)
    with pytest.warns(UserWarning, match=r"^viewings of 'ann' have 40.0 fixations on average, and"):
        model.embed_people([(IMAGE, {"ann": gaze})] * 9)


@pytest.mark.parametrize(
    ("gaze", "error", "message"),
    [
        (gazejax.api.PersonalGaze(FIXATIONS, [0, 0], None), ValueError, r"trial .* shape \(2,\)"),
        (gazejax.api.PersonalGaze(FIXATIONS, [0.0] * 3, None), TypeError, "trial .* dtype float64"),
        (gazejax.api.PersonalGaze(FIXATIONS, None, None), TypeError, "trial .* dtype object"),
        ((FIXATIONS, [0, 0, 0], None), TypeError, "gaze .* type tuple; allowed: PersonalGaze"),
    ],
)
def test_embed_people_names_the_user_and_the_bad_argument(model, gaze, error, message):
    with pytest.raises(error, match=message) as refusal:
        model.embed_people([(IMAGE, {"ann": gaze})])
    assert "gaze of 'ann' on image 0" in str(refusal.value)
    assert "; allowed: " in str(refusal.value)


@pytest.mark.slow
def test_results_that_are_not_finite_are_refused(tiny_scanpath_run):
    timed = gazejax.load(tiny_scanpath_run)
    most = np.full(3, 3e38)
    with (
        pytest.warns(UserWarning, match="durations look like nanoseconds"),
        pytest.raises(ValueError, match=r"^fixations\[0\] has an embedding that is not finite; "),
    ):
        timed.embed([IMAGE], [FIXATIONS], durations_ms=[most])
    gaze = gazejax.api.PersonalGaze(FIXATIONS, [0, 0, 0], most)
    with pytest.raises(ValueError, match=r"^gaze of 'ann' on image 0 has an embedding that is not"):
        timed.embed_people([(IMAGE, {"ann": gaze})])
    with pytest.raises(ValueError, match=r"duration_ms of gaze of 'ann' on image 0 is missing"):
        timed.embed_people([(IMAGE, {"ann": gaze._replace(duration_ms=None)})])


GREY = IMAGE[..., 0]
NAN = np.array([[np.nan, 1.0]])
MASKED = np.ma.masked_greater(FIXATIONS, 60)


@pytest.mark.parametrize(
    ("images", "fixations", "error", "message"),
    [
        ([], [], ValueError, "images has 0 entries"),
        ([IMAGE], [FIXATIONS, FIXATIONS], ValueError, "fixations 2; allowed: equally many"),
        (None, [FIXATIONS], TypeError, "images is of type NoneType; allowed: a list"),
        ([IMAGE], [[[1, 2], [3]]], ValueError, r"fixations\[0\] has rows of different lengths"),
        ([IMAGE / 255], [FIXATIONS], TypeError, r"images\[0\] has dtype float64; allowed: uint8"),
        ([GREY], [FIXATIONS], ValueError, r"images\[0\] has shape \(50, 70\)"),
        ([IMAGE], [np.zeros((0, 2))], ValueError, r"fixations\[0\] has shape \(0, 2\)"),
        ([IMAGE], [np.zeros((3, 3))], ValueError, r"fixations\[0\] has shape \(3, 3\)"),
        ([IMAGE], [NAN], ValueError, r"fixations\[0\] holds a NaN"),
        ([IMAGE], [np.array([["a", "b"]])], TypeError, r"fixations\[0\] has dtype"),
        ([IMAGE], [FIXATIONS.astype("m8[s]")], TypeError, r"fixations\[0\] has dtype timedelta64"),
        ([IMAGE], [MASKED], ValueError, r"fixations\[0\] has masked elements; allowed: an array"),
        ([np.ma.masked_equal(IMAGE, 7)], [FIXATIONS], ValueError, r"images\[0\] has masked"),
        # x = 70 is just outside of a picture 70 px wide; as (y, x) it would be y = 70 of 50.
        ([IMAGE], [np.array([[70.0, 3.0]])], ValueError, r"\(70, 3\); allowed: inside .* x < 70"),
        ([IMAGE], [np.array([[3.0, -0.1]])], ValueError, r"\(3, -0.1\); allowed: inside"),
    ],
)
def test_embed_names_the_bad_argument(model, images, fixations, error, message):
    with pytest.raises(error, match=message):
        model.embed(images, fixations)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"image": GREY}, ValueError, r"image has shape \(50, 70\)"),
        ({"image": IMAGE, "embedding": np.zeros(3)}, ValueError, r"embedding has shape \(3,\)"),
        ({"image": IMAGE, "embedding": np.full(6, np.inf)}, ValueError, "embedding holds a NaN"),
        ({"image": IMAGE, "embedding": np.full(6, 1e300)}, ValueError, "beyond float32"),
        ({"image": IMAGE, "embedding": np.full(6, 1e38)}, ValueError, r"up to 1e\+38 .* no finite"),
        ({"image": IMAGE, "universal": np.zeros((4, 4))}, ValueError, "universal has values from"),
        ({"image": IMAGE, "universal": -np.ones((4, 4))}, ValueError, "universal has values from"),
        ({"image": IMAGE, "universal": np.ones(4)}, ValueError, r"universal has shape \(4,\)"),
    ],
)
def test_predict_names_the_bad_argument(model, arguments, error, message):
    with pytest.raises(error, match=message):
        model.predict(**arguments)


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_name_is_a_text_or_a_path(name):
    with pytest.raises(
        TypeError, match=r"^name_or_folder is .*; allowed: the path of a folder, or"
    ):
        gazejax.load(name)


def test_a_folder_that_is_no_workdir_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config.json does not exist"):
        gazejax.load(tmp_path)


def test_64_bits_change_nothing(tiny_run, model):
    expected = model.embed([IMAGE], [FIXATIONS])
    with jax.enable_x64(True):
        for cached in (networks._encoder_network, networks._saliency_network):
            cached.cache_clear()  # As in a process that has these bits from its start.
        other = gazejax.load(tiny_run)
        assert other.digest == model.digest
        for one in (model, other):
            embedding = one.embed([IMAGE], [FIXATIONS])
            np.testing.assert_array_equal(embedding, expected)
            found = one.predict(IMAGE, embedding)
            np.testing.assert_array_equal(found, model.predict(IMAGE, expected))
        assert jnp.zeros(1, float).dtype == jnp.float64  # The caller's setting stays.


def test_programs_compute_in_32_bits_in_all_threads(monkeypatch):
    def dtypes():
        with ThreadPoolExecutor(1) as pool:
            return jnp.zeros(1, float).dtype, pool.submit(
                lambda: jnp.zeros(1, float).dtype
            ).result()

    before = jax.config.values["jax_enable_x64"]
    jax.config.update("jax_enable_x64", True)
    try:
        assert dtypes() == (jnp.float64, jnp.float64)
        assert without_x64(dtypes)() == (jnp.float32, jnp.float32)
        assert dtypes() == (jnp.float64, jnp.float64)
    finally:
        jax.config.update("jax_enable_x64", before)


def test_a_model_is_pickled_as_its_workdir(tiny_run, tmp_path, model, monkeypatch):
    run = shutil.copytree(tiny_run, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    there = gazejax.load("run")
    pickled = pickle.dumps(there)
    assert len(pickled) < 1000
    monkeypatch.chdir("/")
    expected = model.embed([IMAGE], [FIXATIONS])
    for one in (pickle.loads(pickled), copy.deepcopy(there)):
        np.testing.assert_array_equal(one.embed([IMAGE], [FIXATIONS]), expected)
    # All that embeddings and maps depend on: the filters, and the mean training map.
    stored, prior = (run / "config.json").read_text(), dict(np.load(run / "center_prior.npz"))
    changed = json.loads(stored)
    changed["config"]["data"]["subsample_every"] = 3
    (run / "config.json").write_text(json.dumps(changed))
    with pytest.raises(ValueError, match="has changed since the model was pickled"):
        pickle.loads(pickled)
    (run / "config.json").write_text(stored)
    np.savez(run / "center_prior.npz", **{name: 2 * values for name, values in prior.items()})
    with pytest.raises(ValueError, match="has changed since the model was pickled"):
        pickle.loads(pickled)
    np.savez(run / "center_prior.npz", **prior)
    shutil.rmtree(run / "universal")
    with pytest.raises(FileNotFoundError, match="run trains stage universal; copy the workdir who"):
        pickle.loads(pickled)
    shutil.rmtree(run)
    with pytest.raises(FileNotFoundError, match=r"run does not exist"):
        pickle.loads(pickled)


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
def test_a_forked_process_is_refused(model):
    """It would wait for ever; only the check runs in the child here, before anything of JAX."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            model.predict(IMAGE)
            os.write(sender, b"predicted")
        except ValueError as error:
            os.write(sender, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    message = os.read(receiver, 1000).decode()
    assert f"was forked from process {os.getpid()}, in which JAX had started" in message
    assert "get_context('spawn')" in message


@pytest.mark.slow
def test_a_spawned_worker_has_the_model(model):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(model.embed, ([IMAGE], [FIXATIONS]))
    np.testing.assert_allclose(found, model.embed([IMAGE], [FIXATIONS]), atol=1e-5)
