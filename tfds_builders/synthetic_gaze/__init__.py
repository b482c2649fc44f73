"""Synthetic scenes looked at by observers whose traits are known."""
