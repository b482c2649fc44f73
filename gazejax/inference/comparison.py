"""How user embeddings of an encoder are compared: fitted on what the encoder was trained on."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from gazejax.inference.embed import embed_viewings
from gazejax.inference.networks import Network
from gazejax.inference.two_covariance import TwoCovariance, fit_two_covariance
from gazejax.inputs.augmentation import sample_transforms
from gazejax.inputs.stage_arrays import StageInputs


def fit_comparison(
    network: Network,
    params: Any,
    inputs: StageInputs,
    *,
    virtual_sessions: Mapping[str, float],
    num_virtual_sessions: int,
    between_shrinkage: float,
    within_shrinkage: float,
    seed: int,
    embedding_size: int,
    devices: list[jax.Device],
    batch_size: int,
) -> TwoCovariance:
    """Fits the two-covariance model on the training viewings of the seen users.

    Sessions are those of the data. Where no user has two, the viewings of each user are divided at
    random into virtual sessions, each with one small transform of all its gaze.

    Args:
        network: the encoder.
        params: its trained parameters.
        inputs: what the encoder was trained on.
        virtual_sessions: spreads of the transforms, see `sample_transforms`.
        num_virtual_sessions: largest number of virtual sessions of a user; each has two viewings
            or more.
        between_shrinkage: see `fit_two_covariance`.
        within_shrinkage: likewise.
        seed: of the virtual sessions.
        embedding_size: entries of an embedding.
        devices: the devices to use.
        batch_size: viewings in a batch of all devices.

    Raises:
        ValueError: if fewer than two users have two training viewings.
    """
    pool = inputs.arrays.pool
    if pool.recordings is None:
        rows, user = np.asarray(pool.users), np.arange(len(pool.users))
    else:
        recording = np.asarray(pool.recordings.recording)
        user, _ = np.nonzero(recording >= 0)
        rows = recording[recording >= 0]
    images = np.asarray(pool.images)
    viewed = np.asarray(inputs.arrays.gaze.viewing_length)[np.ix_(rows, images)] > 0
    transforms, session = None, np.broadcast_to(np.arange(len(rows))[:, None], viewed.shape)
    if len(np.unique(user)) == len(user):
        session = _virtual_sessions(viewed, num_virtual_sessions, seed)
        drawn = sample_transforms(
            jax.random.key(seed),
            number=len(rows) * num_virtual_sessions,
            mirror=False,
            **virtual_sessions,
        )
        transforms = jax.tree.map(lambda entries: np.asarray(entries)[session], drawn)
    embeddings = embed_viewings(
        network,
        params,
        inputs,
        users=rows,
        images=images,
        embedding_size=embedding_size,
        devices=devices,
        batch_size=batch_size,
        transforms=transforms,
    )
    return fit_two_covariance(
        embeddings[viewed],
        np.broadcast_to(user[:, None], viewed.shape)[viewed],
        session[viewed],
        between_shrinkage=between_shrinkage,
        within_shrinkage=within_shrinkage,
    )


def _virtual_sessions(viewed: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Number of the virtual session of each viewing; those of a user are of about one size."""
    generator = np.random.default_rng(seed)
    session = np.zeros(viewed.shape, np.int64)
    for row, seen in enumerate(viewed):
        images = generator.permutation(np.flatnonzero(seen))
        number = max(min(most, len(images) // 2), 1)
        session[row] = row * most
        session[row, images] += np.arange(len(images)) % number
    return session
