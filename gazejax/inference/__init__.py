"""From parameters and inputs to embeddings and maps."""

from gazejax.inference.embed import embed_viewings
from gazejax.inference.networks import encoder_network, saliency_network

__all__ = [
    "embed_viewings",
    "encoder_network",
    "saliency_network",
]
