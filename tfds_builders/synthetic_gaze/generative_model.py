"""The generative model of the synthetic data: scenes of objects, observers with traits, and gaze.

All data are a pure function of the seed, so `gaze_density` can compute the density of the gaze of
each observer on each scene. No model of these data can predict a better map than this density.

The model of gaze, for observer u on a scene with objects k (class, centre, radius, conspicuity):

    p(xy) = w_u N(xy; image centre, CENTRAL_SD_FRAC of the image's width and height)
          + (1 - w_u) sum_k pi_uk N(xy; centre_k, (spread_u radius_k)^2),  inside the image
    pi_uk = softmax_k(conspicuity_k + class_log_salience_u[class_k] - center_bias_u distance_k^2)
    w_u   = CENTRAL_WEIGHT_PER_BIAS center_bias_u

with distance_k the distance of the object from the centre of the image over half the diagonal.
Fixations are independent samples; their number is Poisson and their durations are log-normal.

Where a data set has sessions, each session of an observer changes what was sampled: a shift that
drifts, a gain around the image centre, a tempo, and the expected number of fixations. Each is drawn
around a value of the observer. Gaze that leaves the image is lost, as of an eye tracker.

Source: ours. The spreads of a session and of an observer are those of real data with sessions: the
mean gaze of a person moves by 0.9 x 1.1 % of the image between sessions, and by 1.8 x 2.5 % over
people and sessions; the spread of gaze by 0.7 x 0.8 % and 1.6 x 1.9 %; the number of fixations of a
viewing by 0.33 and 0.91.
"""

import colorsys
from typing import NamedTuple

import numpy as np
import scipy

WIDTH_PX = 160
HEIGHT_PX = 120
CLASS_NAMES = ("disc", "square", "triangle", "star", "ring", "cross")
NUM_CLASSES = len(CLASS_NAMES)

NUM_OBJECTS_RANGE = (5, 9)
RADIUS_RANGE_PX = (8.0, 14.0)
CLEARANCE_PX = 2.0
NUM_PLACEMENT_TRIES = 200

CONSPICUITY_SD = 0.5
CLASS_LOG_SALIENCE_SD = 1.2
CENTER_BIAS_RANGE = (0.0, 2.0)
SPREAD_RANGE = (0.3, 0.9)
MEAN_FIXATIONS_RANGE = (6.0, 14.0)

CENTRAL_WEIGHT_PER_BIAS = 0.1
CENTRAL_SD_FRAC = 0.25
MEDIAN_DURATION_MS = 250.0
LOG_DURATION_SD = 0.35

# Standard deviations over observers, and over the sessions of one.
OBSERVER_SHIFT_SD_FRAC, SESSION_SHIFT_SD_FRAC = (0.0156, 0.0224), (0.009, 0.011)
OBSERVER_LOG_GAIN_SD, SESSION_LOG_GAIN_SD = 0.0, 0.035  # Observers differ in `spread` already.
OBSERVER_LOG_TEMPO_SD, SESSION_LOG_TEMPO_SD = 0.2, 0.1
SESSION_FIXATIONS_SD = 0.33
# From the first to the last image of a session.
SESSION_DRIFT_SD_FRAC = (0.009, 0.011)

# Independent random streams of one seed.
OBSERVER_STREAM, SCENE_STREAM, RENDERING_STREAM, GAZE_STREAM, SESSION_STREAM = range(5)


class Observer(NamedTuple):
    """The latent traits of one observer.

    Attributes:
        class_log_salience: [NUM_CLASSES], mean 0, log-salience of each class for this observer.
        center_bias: at least 0, preference for the centre of the image.
        spread: standard deviation of fixations around an object, as a multiple of its radius.
        mean_fixations: expected number of fixations on a scene.
    """

    class_log_salience: np.ndarray
    center_bias: float
    spread: float
    mean_fixations: float


class Session(NamedTuple):
    """What one session makes of the gaze of one observer.

    Attributes:
        shift_frac: [2], x then y, shift in the middle of the session, as a fraction of the image.
        drift_frac: [2], change of the shift from the first to the last image of the session.
        gain: factor of every distance from the image centre.
        tempo: factor of every duration.
        added_fixations: added to the observer's expected number of fixations.
    """

    shift_frac: np.ndarray
    drift_frac: np.ndarray
    gain: float
    tempo: float
    added_fixations: float


class Scene(NamedTuple):
    """The objects of one scene.

    Attributes:
        seed: seed of the data set.
        image_index: index of the scene in the data set.
        class_index: int [k], index into CLASS_NAMES.
        center_px: float [k, 2], x then y in pixels; top left corner (0, 0).
        radius_px: float [k], pixels.
        conspicuity: float [k], log-salience that is equal for all observers.
    """

    seed: int
    image_index: int
    class_index: np.ndarray
    center_px: np.ndarray
    radius_px: np.ndarray
    conspicuity: np.ndarray


def make_generator(seed: int, stream: int, *indices: int) -> np.random.Generator:
    """Returns a random generator that depends on its arguments only.

    Args:
        seed: seed of the data set.
        stream: one of OBSERVER_STREAM, SCENE_STREAM, RENDERING_STREAM, GAZE_STREAM and
            SESSION_STREAM.
        indices: indices of the observer, the session or the scene.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, stream, *indices))))


def make_image_id(image_index: int) -> str:
    """Returns the image id of a scene, such as "scene_00017.png" for 17."""
    return f"scene_{image_index:05d}.png"


def parse_image_id(image_id: str) -> int:
    """Returns the index of a scene from its image id.

    Raises:
        ValueError: `make_image_id` makes no such id.
    """
    digits = image_id.removeprefix("scene_").removesuffix(".png")
    if not digits.isdecimal() or make_image_id(int(digits)) != image_id:
        raise ValueError(f"image_id is {image_id!r}, expected the form 'scene_00017.png'")
    return int(digits)


def sample_observers(seed: int, num_users: int) -> list[Observer]:
    """Samples observers; the first n do not depend on `num_users`."""
    observers = []
    for user in range(num_users):
        generator = make_generator(seed, OBSERVER_STREAM, user)
        log_salience = CLASS_LOG_SALIENCE_SD * generator.standard_normal(NUM_CLASSES)
        observers.append(
            Observer(
                # The softmax does not depend on the mean.
                class_log_salience=log_salience - log_salience.mean(),
                center_bias=generator.uniform(*CENTER_BIAS_RANGE),
                spread=generator.uniform(*SPREAD_RANGE),
                mean_fixations=generator.uniform(*MEAN_FIXATIONS_RANGE),
            )
        )
    return observers


def sample_sessions(seed: int, user: int, num_sessions: int) -> list[Session]:
    """Samples the sessions of an observer; the first n do not depend on `num_sessions`."""
    own = make_generator(seed, SESSION_STREAM, user)
    own_shift_frac = np.array(OBSERVER_SHIFT_SD_FRAC) * own.standard_normal(2)
    own_log_gain = OBSERVER_LOG_GAIN_SD * own.standard_normal()
    own_log_tempo = OBSERVER_LOG_TEMPO_SD * own.standard_normal()
    sessions = []
    for number in range(num_sessions):
        generator = make_generator(seed, SESSION_STREAM, user, number)
        log_gain = own_log_gain + SESSION_LOG_GAIN_SD * generator.standard_normal()
        log_tempo = own_log_tempo + SESSION_LOG_TEMPO_SD * generator.standard_normal()
        sessions.append(
            Session(
                shift_frac=own_shift_frac
                + np.array(SESSION_SHIFT_SD_FRAC) * generator.standard_normal(2),
                drift_frac=np.array(SESSION_DRIFT_SD_FRAC) * generator.standard_normal(2),
                gain=float(np.exp(log_gain)),
                tempo=float(np.exp(log_tempo)),
                added_fixations=SESSION_FIXATIONS_SD * generator.standard_normal(),
            )
        )
    return sessions


def sample_scene(seed: int, image_index: int) -> Scene:
    """Samples classes and places of the objects of one scene; few objects overlap."""
    generator = make_generator(seed, SCENE_STREAM, image_index)
    num_objects = int(generator.integers(NUM_OBJECTS_RANGE[0], NUM_OBJECTS_RANGE[1] + 1))
    # A class occurs twice only if all six classes occur, so each scene shows preferences.
    shuffled_classes = [generator.permutation(NUM_CLASSES) for _ in range(2)]
    class_index = np.concatenate(shuffled_classes)[:num_objects]
    radius_px = generator.uniform(*RADIUS_RANGE_PX, size=num_objects)
    conspicuity = CONSPICUITY_SD * generator.standard_normal(num_objects)

    center_px = np.zeros((num_objects, 2))
    for k in range(num_objects):
        margin_px = radius_px[k] + CLEARANCE_PX
        tries_px = generator.uniform(
            margin_px,
            np.asarray([WIDTH_PX, HEIGHT_PX]) - margin_px,
            size=(NUM_PLACEMENT_TRIES, 2),
        )
        distance_px = np.linalg.norm(tries_px[:, None] - center_px[None, :k], axis=2)
        gap_px = np.min(distance_px - radius_px[:k] - radius_px[k], axis=1, initial=np.inf)
        # The first place with enough room or, in a crowded scene, the place with the most room.
        center_px[k] = tries_px[np.argmax(np.minimum(gap_px, CLEARANCE_PX))]
    return Scene(seed, image_index, class_index, center_px, radius_px, conspicuity)


def render_scene(scene: Scene) -> np.ndarray:
    """Renders a scene as an image.

    Formulas replace a drawing library, since anti-aliasing changes between versions of libraries.

    Returns:
        uint8 [HEIGHT_PX, WIDTH_PX, 3], RGB.
    """
    generator = make_generator(scene.seed, RENDERING_STREAM, scene.image_index)
    y_px, x_px = np.mgrid[0.5:HEIGHT_PX, 0.5:WIDTH_PX]
    image = _render_background(generator, x_px, y_px)
    for class_index, center_px, radius_px in zip(
        scene.class_index, scene.center_px, scene.radius_px, strict=True
    ):
        hue = (class_index / NUM_CLASSES + generator.uniform(-0.03, 0.03)) % 1.0
        color = np.asarray(
            colorsys.hsv_to_rgb(hue, generator.uniform(0.7, 0.95), generator.uniform(0.75, 0.95))
        )
        angle = generator.uniform(-0.25, 0.25)
        phase_px = generator.uniform(0.0, 5.0)
        # Only pixels near the object change.
        reach_px = radius_px * 1.2 + 2.0
        rows = slice(max(int(center_px[1] - reach_px), 0), int(center_px[1] + reach_px) + 1)
        columns = slice(max(int(center_px[0] - reach_px), 0), int(center_px[0] + reach_px) + 1)
        dx_px = x_px[rows, columns] - center_px[0]
        dy_px = y_px[rows, columns] - center_px[1]
        along_px = np.cos(angle) * dx_px + np.sin(angle) * dy_px
        down_px = -np.sin(angle) * dx_px + np.cos(angle) * dy_px
        coverage = np.clip(
            0.5 - _signed_distance_px(CLASS_NAMES[class_index], along_px, down_px, radius_px), 0, 1
        )
        shade = 1.0 - 0.45 * _texture(CLASS_NAMES[class_index], along_px, down_px, phase_px)
        inked = color * shade[..., None]
        patch = image[rows, columns]
        image[rows, columns] = patch + coverage[..., None] * (inked - patch)
    image += 0.03 * generator.standard_normal(image.shape)
    return np.round(255.0 * np.clip(image, 0.0, 1.0)).astype(np.uint8)


def _render_background(
    generator: np.random.Generator, x_px: np.ndarray, y_px: np.ndarray
) -> np.ndarray:
    """Returns float [h, w, 3] in 0..1: a pale color with a gradient and slow waves."""
    color = np.asarray(
        colorsys.hsv_to_rgb(
            generator.uniform(), generator.uniform(0.0, 0.25), generator.uniform(0.35, 0.6)
        )
    )
    gradient = generator.uniform(-0.15, 0.15) * (x_px / WIDTH_PX - 0.5)
    gradient += generator.uniform(-0.15, 0.15) * (y_px / HEIGHT_PX - 0.5)
    waves = np.zeros_like(x_px)
    for _ in range(6):
        wavelength_px = generator.uniform(12.0, 60.0)
        angle, phase = generator.uniform(0.0, 2 * np.pi, size=2)
        travel_px = np.cos(angle) * x_px + np.sin(angle) * y_px
        waves += 0.02 * np.sin(2 * np.pi * travel_px / wavelength_px + phase)
    return color + (gradient + waves)[..., None]


def _signed_distance_px(
    class_name: str, x_px: np.ndarray, y_px: np.ndarray, radius_px: float
) -> np.ndarray:
    """Returns the approximate distance of each pixel from the edge of the shape, inside below 0."""
    distance_px = np.hypot(x_px, y_px)
    match class_name:
        case "disc":
            return distance_px - 0.95 * radius_px
        case "square":
            return np.maximum(np.abs(x_px), np.abs(y_px)) - 0.85 * radius_px
        case "triangle":
            slanted_px = np.abs(x_px) * np.sqrt(0.75) - y_px * 0.5
            return np.maximum(slanted_px, y_px) - 0.58 * radius_px
        case "star":
            turn = (5 * np.arctan2(x_px, -y_px) / (2 * np.pi)) % 1.0
            edge_px = radius_px * (0.45 + 1.3 * np.abs(turn - 0.5))
            return 0.7 * (distance_px - edge_px)
        case "ring":
            return np.abs(distance_px - 0.75 * radius_px) - 0.25 * radius_px
        case "cross":
            wide_px = np.maximum(np.abs(x_px) - radius_px, np.abs(y_px) - 0.33 * radius_px)
            tall_px = np.maximum(np.abs(x_px) - 0.33 * radius_px, np.abs(y_px) - radius_px)
            return np.minimum(wide_px, tall_px)
        case _:
            raise ValueError(f"class_name is {class_name!r}, expected one of {CLASS_NAMES}")


def _texture(class_name: str, x_px: np.ndarray, y_px: np.ndarray, phase_px: float) -> np.ndarray:
    """Returns the darkness of the pattern at each pixel, 0 to 1."""

    def stripes(travel_px: np.ndarray) -> np.ndarray:
        return 0.5 + 0.5 * np.clip(3 * np.sin(2 * np.pi * (travel_px + phase_px) / 5.0), -1, 1)

    match class_name:
        case "disc":
            return np.zeros_like(x_px)
        case "square":
            return stripes(y_px)
        case "triangle":
            return stripes(x_px)
        case "star":
            return stripes(x_px) * stripes(y_px)
        case "ring":
            return stripes((x_px + y_px) / np.sqrt(2))
        case "cross":
            return np.abs(stripes(x_px) - stripes(y_px))
        case _:
            raise ValueError(f"class_name is {class_name!r}, expected one of {CLASS_NAMES}")


def gaze_mixture(scene: Scene, observer: Observer) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the Gaussian components of p(xy); the first is at the centre of the image.

    Returns:
        Weights [1 + k], which sum to 1; means [1 + k, 2] and standard deviations [1 + k, 2], x then
        y, in pixels.
    """
    size_px = np.asarray([WIDTH_PX, HEIGHT_PX], np.float64)
    distance = np.linalg.norm(scene.center_px - size_px / 2, axis=1) / np.linalg.norm(size_px / 2)
    logits = (
        scene.conspicuity
        + observer.class_log_salience[scene.class_index]
        - observer.center_bias * distance**2
    )
    share = np.exp(logits - logits.max())
    central_weight = CENTRAL_WEIGHT_PER_BIAS * observer.center_bias
    weights = np.concatenate([[central_weight], (1 - central_weight) * share / share.sum()])
    means_px = np.concatenate([size_px[None] / 2, scene.center_px])
    object_sds_px = np.repeat(observer.spread * scene.radius_px[:, None], 2, axis=1)
    return weights, means_px, np.concatenate([CENTRAL_SD_FRAC * size_px[None], object_sds_px])


def gaze_density(scene: Scene, observer: Observer, height: int, width: int) -> np.ndarray:
    """Returns the density of the fixations of an observer on a scene.

    Args:
        scene: the scene.
        observer: the observer.
        height: number of rows of a grid over the image.
        width: number of columns of the grid.

    Returns:
        float64 [height, width], the probability of a fixation in each cell; sums to 1. Cell [i, j]
        covers y in [i, i + 1) and x in [j, j + 1), in units of the grid.

    Source: ours. Exact on a grid of any size: differences of the normal distribution function.
    """
    weights, means_px, sds_px = gaze_mixture(scene, observer)
    x_edges_px = np.linspace(0.0, WIDTH_PX, width + 1)
    y_edges_px = np.linspace(0.0, HEIGHT_PX, height + 1)
    x_mass = np.diff(scipy.special.ndtr((x_edges_px - means_px[:, :1]) / sds_px[:, :1]), axis=1)
    y_mass = np.diff(scipy.special.ndtr((y_edges_px - means_px[:, 1:]) / sds_px[:, 1:]), axis=1)
    density = np.einsum("k,ky,kx->yx", weights, y_mass, x_mass)
    return density / density.sum()


def sample_gaze(
    generator: np.random.Generator,
    scene: Scene,
    observer: Observer,
    num_fixations: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Samples one viewing of a scene.

    Args:
        generator: random numbers; the data set uses
            `make_generator(seed, GAZE_STREAM, image_index, user)`.
        scene: the scene.
        observer: the observer.
        num_fixations: number of fixations; None: Poisson(observer.mean_fixations), at least 1.

    Returns:
        float32 [n, 2], x then y in pixels, all inside the image, and float32 [n], durations in ms.
    """
    if num_fixations is None:
        num_fixations = max(1, int(generator.poisson(observer.mean_fixations)))
    weights, means_px, sds_px = gaze_mixture(scene, observer)
    weight_edges = np.cumsum(weights)[:-1]
    xy_px = np.zeros((0, 2), np.float32)
    # A rejected sample also gets a new component, so that `gaze_density` is exact at the borders.
    while len(xy_px) < num_fixations:
        component = np.searchsorted(weight_edges, generator.random(num_fixations), side="right")
        noise = generator.standard_normal((num_fixations, 2))
        samples_px = (means_px[component] + sds_px[component] * noise).astype(np.float32)
        inside_mask = np.all((samples_px >= 0) & (samples_px < (WIDTH_PX, HEIGHT_PX)), axis=1)
        xy_px = np.concatenate([xy_px, samples_px[inside_mask]])
    log_duration = LOG_DURATION_SD * generator.standard_normal(num_fixations)
    duration_ms = (MEDIAN_DURATION_MS * np.exp(log_duration)).astype(np.float32)
    return xy_px[:num_fixations], duration_ms


def record_in_session(
    session: Session, xy_px: np.ndarray, duration_ms: np.ndarray, *, progress: float
) -> tuple[np.ndarray, np.ndarray]:
    """Changes the gaze of a viewing as a session does; it may leave the image.

    Args:
        session: the session.
        xy_px: float32 [n, 2], x then y in pixels.
        duration_ms: float32 [n], milliseconds.
        progress: place of the viewing in the session, from 0 to 1.

    Returns:
        xy_px and duration_ms, both float32.
    """
    size_px = np.array([WIDTH_PX, HEIGHT_PX])
    shift_px = (session.shift_frac + (progress - 0.5) * session.drift_frac) * size_px
    changed_px = size_px / 2 + session.gain * (xy_px - size_px / 2) + shift_px
    return changed_px.astype(np.float32), (session.tempo * duration_ms).astype(np.float32)
