"""Synthetic gaze: a data set without raw data, whose density of gaze is known."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from tfds_builders.common import gaze_schema, pictures
from tfds_builders.common.gaze_dataset_builder import GazeDatasetBuilder
from tfds_builders.synthetic_gaze import generative_model


@dataclasses.dataclass
class SyntheticGazeConfig(tfds.core.BuilderConfig):
    """Size and seed of the data set.

    Attributes:
        num_users: number of observers; each observer looks at each scene once.
        num_images: number of scenes.
        seed: seed of observers, scenes and gaze.
        num_sessions: number of sessions of each observer, among which the scenes are divided in
            equal parts; 0: none, and gaze is recorded as it is.
    """

    num_users: int = 0
    num_images: int = 0
    seed: int = 0
    num_sessions: int = 0


class Builder(GazeDatasetBuilder):
    """Builder of synthetic gaze, without raw data."""

    VERSION = tfds.core.Version("1.2.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "1.0.0": "First version.",
        "1.1.0": "Metadata say what was tracked and whether durations are known.",
        "1.2.0": "Digests of images and gaze.",
    }
    LICENSE = "Apache 2.0"
    BUILDER_CONFIGS: ClassVar[list[SyntheticGazeConfig]] = [
        SyntheticGazeConfig(
            name="default",
            description="64 observers, 500 scenes.",
            num_users=64,
            num_images=500,
            seed=0,
        ),
        SyntheticGazeConfig(
            name="tiny",
            description="8 observers, 40 scenes, for tests; shares nothing with `default`.",
            num_users=8,
            num_images=40,
            seed=1,
        ),
        SyntheticGazeConfig(
            name="sessions",
            description="64 observers, 600 scenes, 200 in each of three sessions.",
            num_users=64,
            num_images=600,
            seed=2,
            num_sessions=3,
        ),
    ]

    def read_release(self, raw_dir: Path) -> gaze_schema.Release:  # noqa: ARG002
        """Samples observers, scenes and gaze of each observer on each scene."""
        config = self.builder_config
        observers = generative_model.sample_observers(config.seed, config.num_users)
        sessions = [
            generative_model.sample_sessions(config.seed, user, config.num_sessions)
            for user in range(config.num_users)
            if config.num_sessions
        ]
        scenes = {
            generative_model.make_image_id(image_index): generative_model.sample_scene(
                config.seed, image_index
            )
            for image_index in range(config.num_images)
        }

        def render(image_id: str) -> tuple[bytes, int, int]:
            pixels = generative_model.render_scene(scenes[image_id])
            return pictures.encode_png(pixels), pixels.shape[1], pixels.shape[0]

        return gaze_schema.Release(
            user_ids=[f"observer_{user:03d}" for user in range(config.num_users)],
            gaze_by_image_id={
                image_id: sample_gaze_table(
                    scene, observers, sessions, scene.image_index / config.num_images
                )
                for image_id, scene in tqdm(
                    scenes.items(), desc="sampling gaze", unit="image", disable=None
                )
            },
            read_image=render,
            to_image_px=gaze_schema.keep_px,
            tracking="generated",
            has_durations=True,
            has_images=True,
            pixels_per_degree=None,  # There is no screen and no viewing distance.
            metadata={
                "seed": config.seed,
                "class_names": list(generative_model.CLASS_NAMES),
                # Each list has one entry for each user, in the order of user_ids.
                "traits": {
                    "class_log_salience": [o.class_log_salience.tolist() for o in observers],
                    "center_bias": [o.center_bias for o in observers],
                    "spread": [o.spread for o in observers],
                    "mean_fixations": [o.mean_fixations for o in observers],
                },
            },
            session_ids=[
                [f"session_{number}" for number in range(len(of_user))] for of_user in sessions
            ],
        )


def sample_gaze_table(
    scene: generative_model.Scene,
    observers: list[generative_model.Observer],
    sessions: Sequence[Sequence[generative_model.Session]] = (),
    progress: float = 0.0,
) -> gaze_schema.GazeTable:
    """Samples one viewing of a scene by each observer.

    Args:
        scene: the scene.
        observers: the observers; `GazeTable.user` is an index into this list.
        sessions: of each observer; (): gaze is recorded as it is.
        progress: place of the scene among all scenes, from 0 to 1; they are shown in order.
    """
    viewings, numbers = [], []
    for user, observer in enumerate(observers):
        session, number, within = None, 0.0, 0.0
        if sessions:
            number, within = divmod(progress * len(sessions[user]), 1)
            session = sessions[user][int(number)]
            expected = max(observer.mean_fixations + session.added_fixations, 1.0)
            observer = observer._replace(mean_fixations=expected)
        viewing = generative_model.sample_gaze(
            generative_model.make_generator(
                scene.seed, generative_model.GAZE_STREAM, scene.image_index, user
            ),
            scene,
            observer,
        )
        if session is not None:
            viewing = generative_model.record_in_session(session, *viewing, progress=within)
        viewings.append(viewing)
        numbers.append(int(number))
    num_fixations = [len(duration_ms) for _, duration_ms in viewings]
    return gaze_schema.GazeTable(
        user=np.repeat(np.arange(len(observers)), num_fixations),
        trial=np.zeros(sum(num_fixations), np.int32),
        xy_px=np.concatenate([xy_px for xy_px, _ in viewings]),
        duration_ms=np.concatenate([duration_ms for _, duration_ms in viewings]),
        session=np.repeat(np.array(numbers, np.int32), num_fixations) if sessions else None,
    )
