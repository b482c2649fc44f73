"""Use of a trained model by other programs: load, embed, predict."""

from gazejax.api.embedding import Embedding
from gazejax.api.gaze import PersonalGaze
from gazejax.api.loading import load
from gazejax.api.model import Model
from gazejax.api.probing import Trait
from gazejax.api.recognition import Comparison, Identification, Match
from gazejax.api.shipped import shipped_models

__all__ = [
    "Comparison",
    "Embedding",
    "Identification",
    "Match",
    "Model",
    "PersonalGaze",
    "Trait",
    "load",
    "shipped_models",
]
