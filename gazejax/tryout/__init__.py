"""A local page on which a person without an eye tracker tries a model (`gazejax try`)."""
