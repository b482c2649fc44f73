"""Embeddings as a loaded model makes them: on pictures on which no other gaze is known."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from gazejax.config.derived import embedding_layout
from gazejax.evaluation.folds import Fold, Run, load_similarity
from gazejax.inference.embed import embed_viewings
from gazejax.inference.networks import encoder_network
from gazejax.inference.stage_inputs import make_stage_inputs
from gazejax.inference.universal import predict_universal_maps
from gazejax.inputs.stage_arrays import center_prior
from gazejax.inputs.viewing_vectors import ViewingVectors, select_users
from gazejax.types import rows_of
from gazejax.workdir.layout import latest_step
from gazejax.workdir.parameters import load_params


def as_loaded(run: Run) -> Run:
    """The run with the encoder alone, in each fold as `gazejax.load` embeds and compares.

    Universal maps are predicted from the image, or the mean training map without stage `universal`.
    Embeddings are compared around the mean of the seen users of the training: that of the users at
    hand is not known. Where `config.eval.gaze` limits the gaze of unseen users, all of it is used.
    """
    return run._replace(folds=[_as_loaded(fold) for fold in run.folds])


def _as_loaded(fold: Fold) -> Fold:
    kind = fold.config.encoder.comparison.kind
    similarity = load_similarity(fold.workdir, "encoder", kind)(None)
    maps = _universal_maps(fold)

    def changed(groups: dict[str, dict[str, Any]], *, by_recording: bool) -> dict[str, Any]:
        if not groups:
            return {}
        encoders = {
            group: methods["encoder"]._replace(similarity=similarity)
            for group, methods in groups.items()
        }
        if maps is not None:
            every = _embed(fold, maps, by_recording=by_recording)
            recordings = fold.recordings if by_recording else None
            encoders = {
                group: one._replace(
                    representations=select_users(every, rows_of(one.users, recordings))
                )
                for group, one in encoders.items()
            }
        return {group: {"encoder": one} for group, one in encoders.items()}

    return fold._replace(
        compared=changed(fold.compared, by_recording=False),
        recorded=changed(fold.recorded, by_recording=True),
    )


def _universal_maps(fold: Fold) -> Float[np.ndarray, "all_images height width"] | None:
    """Of the test images, those that a loaded model is given; None: as in `fold.compared`."""
    if fold.replacement is not None:
        return None
    arrays, images = fold.inputs["saliency"].arrays, fold.splits.test_images
    prior = center_prior(arrays)
    # Maps of the other images are not read.
    maps = np.repeat(prior[None], len(np.asarray(arrays.gaze.aspect_ratio)), axis=0)
    if latest_step(fold.workdir, "universal") is not None:
        # An image of none of the data sets of the training.
        new = arrays._replace(dataset_of_image=None)
        params = load_params(fold.workdir, "universal")
        maps[images] = predict_universal_maps(fold.config, params, new, images, jax.local_devices())
    return maps


def _embed(
    fold: Fold, maps: Float[np.ndarray, "all_images height width"], *, by_recording: bool
) -> ViewingVectors:
    """Embeds all users, or all recordings, on the test images with given universal maps."""
    inputs = make_stage_inputs(
        "encoder", fold.config, fold.dataset, fold.splits, maps, by_recording=by_recording
    )
    return embed_viewings(
        encoder_network(fold.config, num_users=len(fold.splits.seen_users)),
        load_params(fold.workdir, "encoder"),
        inputs,
        users=np.arange(len(inputs.arrays.gaze.viewing_length)),
        images=fold.splits.test_images,
        embedding_size=sum(embedding_layout(fold.config)),
        devices=jax.local_devices(),
        batch_size=fold.config.eval.batch_size,
    )
