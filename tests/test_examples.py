"""Examples in docstrings say what the functions return; losses, metrics and maps all have one."""

import doctest
import importlib
import inspect

import pytest

from tests.test_architecture import MODULES

EACH_FUNCTION = {
    "losses",
    "metrics.saliency",
    "metrics.scoring",
    "metrics.similarity",
    "metrics.verification",
    "metrics.bootstrap",
    "inputs.maps",
}


def documented(module):
    """The public functions and classes that a module defines, without what checks shapes here."""
    found = {name: inspect.unwrap(one) for name, one in vars(module).items() if callable(one)}
    return {
        name: one
        for name, one in found.items()
        if getattr(one, "__module__", None) == module.__name__ and not name.startswith("_")
    }


WITH_EXAMPLES = {name for name, path in MODULES.items() if ">>> " in path.read_text()}


@pytest.mark.parametrize("name", sorted(WITH_EXAMPLES | EACH_FUNCTION))
def test_examples_are_true(name):
    module = importlib.import_module(f"gazejax.{name}")
    for function, one in documented(module).items():
        text = inspect.getdoc(one) or ""
        examples = doctest.DocTestParser().get_doctest(
            text, dict(vars(module)), f"{name}.{function}", module.__file__, None
        )
        assert examples.examples or name not in EACH_FUNCTION or inspect.isclass(one), function
        said = []
        failures, _ = doctest.DocTestRunner().run(examples, out=said.append)
        assert failures == 0, "".join(said)
