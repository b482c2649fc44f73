"""The error of a config."""

from typing import Any


class ConfigError(ValueError):
    """A config with a missing, unknown or impossible value; its text is one line.

    Attributes:
        key: dotted key, such as `encoder.loss.margin`.
        value: the value of the key; None if the key is missing.
        allowed: the allowed values, as a text.
    """

    def __init__(self, key: str, value: Any, allowed: str, text: str | None = None) -> None:
        self.key, self.value, self.allowed = key, value, allowed
        super().__init__(text or f"config.{key} is {value!r}; allowed: {allowed}")
