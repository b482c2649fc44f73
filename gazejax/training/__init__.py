"""The stages, the step and the loop."""
