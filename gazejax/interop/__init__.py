"""Data sets of this project in the terms of other libraries; each needs an extra of its own."""
