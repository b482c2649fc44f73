"""The networks: parameters and arithmetic only; no losses, files, randomness or config objects."""

from gazejax.models.backbone import EfficientNetLite0
from gazejax.models.late_fusion_encoder import LateFusionEncoder
from gazejax.models.map_encoder import EarlyFusionEncoder
from gazejax.models.saliency_readout import SaliencyReadout
from gazejax.models.saliency_unet import SaliencyUNet
from gazejax.models.scanpath_encoder import ScanpathEncoder

__all__ = [
    "EarlyFusionEncoder",
    "EfficientNetLite0",
    "LateFusionEncoder",
    "SaliencyReadout",
    "SaliencyUNet",
    "ScanpathEncoder",
]
