"""From arrays to what a network is called with; runs inside the jitted step."""

from gazejax.inputs.maps import (
    density_map,
    leave_one_out_maps,
    sum_maps,
    to_density,
    to_relative_density,
)
from gazejax.inputs.sampling import (
    sample_enrolment,
    sample_images_then_users,
    sample_users_then_images,
)

__all__ = [
    "density_map",
    "leave_one_out_maps",
    "sample_enrolment",
    "sample_images_then_users",
    "sample_users_then_images",
    "sum_maps",
    "to_density",
    "to_relative_density",
]
