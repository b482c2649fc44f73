"""A program of JAX as an ONNX model: one or a few ONNX nodes for each equation of its jaxpr.

Axes of any length stay free. What is not known is an error with its name, never a wrong number.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from gazejax.export.onnx_graph import Graph, Tensor
from gazejax.export.onnx_primitives import add_equation
from gazejax.export.programs import Program, Value, symbolic_inputs

_OPSET, _IR_VERSION = 18, 9  # onnxruntime from 1.15 on reads them.

_CALLS = {
    "closed_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "jit": "jaxpr",
    "pjit": "jaxpr",
}


def import_onnx() -> Any:
    """Imports the package `onnx`.

    Raises:
        FileNotFoundError: if it is not installed.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise FileNotFoundError(
            '--to onnx needs the package onnx; run: pip install "gazejax[onnx]"'
        ) from error
    return onnx


def to_onnx(program: Program, about: Mapping[str, str]) -> bytes:
    """Converts a program.

    Args:
        program: what to convert.
        about: names and texts that are stored in the model.

    Returns:
        The content of the file.

    Raises:
        FileNotFoundError: if the package `onnx` is not installed.
        ValueError: if a primitive, or its form, is not known here.
    """
    onnx = import_onnx()
    closed = jax.make_jaxpr(program.call)(*symbolic_inputs(program))
    graph = Graph(onnx)
    tensors = []
    for value, abstract in zip(program.inputs, closed.in_avals, strict=True):
        for axis, length in enumerate(value.shape):
            if isinstance(length, str):
                graph.lengths.setdefault(length, (value.name, axis))
        tensors.append(Tensor(value.name, abstract.shape))
    (result,) = _add_jaxpr(graph, closed.jaxpr, closed.consts, tensors)
    shape = closed.out_avals[0].shape
    graph.nodes.append(
        onnx.helper.make_node("Identity", [graph.whole(result, shape).name], [program.output.name])
    )

    def described(value: Value) -> Any:
        dtype = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype))
        made = onnx.helper.make_tensor_value_info(value.name, dtype, value.shape)
        made.doc_string = value.unit
        return made

    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            program.name,
            [described(value) for value in program.inputs],
            [described(program.output)],
            list(graph.constants.values()),
        ),
        producer_name="gazejax",
        ir_version=_IR_VERSION,
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
    )
    onnx.helper.set_model_props(model, dict(about))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _add_jaxpr(
    graph: Graph, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Tensor]
) -> list[Tensor]:
    known: dict[Any, Tensor] = dict(zip(jaxpr.invars, inputs, strict=True))
    for variable, value in zip(jaxpr.constvars, consts, strict=True):
        known[variable] = graph.constant(np.asarray(value))

    def read(atom: Any) -> Tensor:
        if not hasattr(atom, "val"):
            return known[atom]
        return graph.constant(np.asarray(atom.val, atom.aval.dtype))

    for equation in jaxpr.eqns:
        tensors = [read(atom) for atom in equation.invars]
        if equation.primitive.name in _CALLS:
            inner = equation.params[_CALLS[equation.primitive.name]]
            found = _add_jaxpr(graph, inner.jaxpr, inner.consts, tensors)
        else:
            found = add_equation(graph, tensors, equation)
        known.update(zip(equation.outvars, found, strict=True))
    return [read(atom) for atom in jaxpr.outvars]
