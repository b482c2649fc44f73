import os

import pytest

from gazejax.runtime.blas import use_one_thread


@pytest.mark.parametrize("name", [None, "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"])
def test_openblas_uses_one_thread_unless_the_user_has_set_a_number(name, monkeypatch):
    monkeypatch.setattr(os, "environ", {} if name is None else {name: "4"})
    assert use_one_thread() is (name is None)
    assert os.environ == ({"OPENBLAS_NUM_THREADS": "1"} if name is None else {name: "4"})
