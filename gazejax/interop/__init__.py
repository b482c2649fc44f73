"""Conversion of data sets to and from other libraries; each needs its own extra."""
