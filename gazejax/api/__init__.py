"""Use of a trained model by other programs: load, embed, predict."""

from gazejax.api.embedding import Embedding
from gazejax.api.gaze import PersonalGaze
from gazejax.api.model import Model, load
from gazejax.api.shipped import shipped_models

__all__ = ["Embedding", "Model", "PersonalGaze", "load", "shipped_models"]
