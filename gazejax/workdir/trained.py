"""All of a trained run that embeds and predicts, from its workdir."""

from pathlib import Path
from typing import Any, NamedTuple

from jaxtyping import Float
from ml_collections import ConfigDict
from numpy import ndarray

from gazejax.config.derived import (
    INPUTS,
    embedding_layout,
    has_preference_vector,
    map_size,
)
from gazejax.inference.same_person import ScoreCalibration
from gazejax.inference.two_covariance import TwoCovariance
from gazejax.models.feature_projection import FeatureProjection
from gazejax.workdir import checkpoints
from gazejax.workdir.finished import load_finished
from gazejax.workdir.guards import check_same_encoder
from gazejax.workdir.layout import (
    COMPARISON_FILE,
    load_calibration,
    load_center_prior,
    load_comparison,
    load_config,
    load_gaze_source,
    load_projection,
)
from gazejax.workdir.parameters import digest_of_run
from gazejax.workdir.probes import TraitProbe, load_probes


class Trained(NamedTuple):
    """What a trained model is made of.

    Attributes:
        config: the config of the training.
        encoder: parameters of the encoder, without those of its classifier.
        saliency: parameters of the saliency network; None: stage 1 alone was trained.
        universal: parameters of stage `universal`; None: it was not trained.
        center_prior: mean training map of each of `derived.INPUTS`.
        projection: of the frozen features; None: the run has none.
        comparison: how embeddings are compared; None: it is not known.
        gaze_source: how the gaze of the training was read; see `layout.load_gaze_source`.
        calibration: how likely embeddings are of one person, `within` a session and `across`;
            empty: not known.
        probes: what an embedding says of a person, by the names of traits; empty: not known.
        num_seen_users: number of users of the training, of whom the saliency network may know more
            than of others.
    """

    config: ConfigDict
    encoder: Any
    saliency: Any | None
    universal: Any | None
    center_prior: dict[str, Float[ndarray, "_height _width"]]
    projection: FeatureProjection | None
    comparison: TwoCovariance | None
    gaze_source: dict[str, Any]
    calibration: dict[str, ScoreCalibration]
    probes: dict[str, TraitProbe]
    num_seen_users: int

    @property
    def encoder_digest(self) -> str:
        """SHA-256 of the parameters of the encoder."""
        return checkpoints.digest(self.encoder)

    @property
    def predicts_universal_maps(self) -> bool:
        """Whether a picture has a universal map of its own, or all have the mean training map."""
        return self.universal is not None and self.config.data.universal_map != "center_prior"

    @property
    def digest(self) -> str:
        """SHA-256 of all that embeddings and maps depend on."""
        return digest_of_run(
            (self.encoder, self.saliency, self.universal),
            self.config.to_dict(),
            self.center_prior,
            self.projection,
        )


def read_workdir(workdir: Path) -> Trained:
    """Reads the trained model of a workdir.

    Raises:
        FileNotFoundError: if the folder is no workdir, or a stage that it trains has no checkpoint.
        ValueError: if a stage is not finished or its last checkpoint damaged, the encoder is not
            that of stage 2, or the folder holds several folds or a control.
    """
    config = load_config(workdir)
    if config.split.cross_validate:
        raise ValueError(
            f"{workdir} holds {config.split.folds} folds; load one of them, such as "
            f"{workdir / 'fold_0'}"
        )
    if config.controls.embeddings != "own":
        raise ValueError(
            f"{workdir} is a control, not to be used: its saliency network was given "
            f"{config.controls.embeddings!r} for embeddings (config.controls.embeddings)"
        )
    projection = load_projection(workdir, is_needed=has_preference_vector(config))
    sizes = {name: map_size(config, name) for name in INPUTS}
    center_prior = load_center_prior(workdir, sizes)
    params = load_finished(workdir)
    if "saliency" in params:
        check_same_encoder(workdir, params["encoder"])
    comparison = None
    if (workdir / "encoder" / COMPARISON_FILE).is_file():
        comparison = load_comparison(workdir, "encoder")
    return Trained(
        config,
        params["encoder"]["encoder"],
        params.get("saliency"),
        params.get("universal"),
        center_prior,
        projection,
        comparison,
        load_gaze_source(workdir),
        load_calibration(workdir),
        load_probes(workdir, sum(embedding_layout(config))),
        params["encoder"]["classifier"]["bias"].shape[0],
    )
