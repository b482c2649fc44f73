"""How user embeddings of an encoder are compared: fitted on what the encoder was trained on."""

from typing import Any

import jax
import numpy as np

from gazejax.inference.embed import embed_viewings
from gazejax.inference.networks import Network
from gazejax.inference.two_covariance import TwoCovariance, fit_two_covariance
from gazejax.inputs.stage_arrays import StageInputs


def fit_comparison(
    network: Network,
    params: Any,
    inputs: StageInputs,
    *,
    session_share: float,
    between_shrinkage: float,
    within_shrinkage: float,
    embedding_size: int,
    devices: list[jax.Device],
    batch_size: int,
) -> TwoCovariance:
    """Fits the two-covariance model on the training viewings of the seen users.

    Where sessions are not known, all viewings of a user are taken for those of one session.

    Args:
        network: the encoder.
        params: its trained parameters.
        inputs: what the encoder was trained on.
        session_share: see `fit_two_covariance`.
        between_shrinkage: see `fit_two_covariance`.
        within_shrinkage: likewise.
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
    embeddings = embed_viewings(
        network,
        params,
        inputs,
        users=rows,
        images=images,
        embedding_size=embedding_size,
        devices=devices,
        batch_size=batch_size,
    )
    dataset = np.zeros(len(pool.users), int) if pool.dataset is None else np.asarray(pool.dataset)
    return fit_two_covariance(
        np.asarray(embeddings.vectors),  # In the order of users, then images.
        np.broadcast_to(user[:, None], viewed.shape)[viewed],
        np.broadcast_to(np.arange(len(rows))[:, None], viewed.shape)[viewed],
        dataset=dataset,
        session_share=session_share,
        between_shrinkage=between_shrinkage,
        within_shrinkage=within_shrinkage,
    )
