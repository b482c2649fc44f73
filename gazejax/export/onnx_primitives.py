"""The primitives of JAX as ONNX nodes: (graph, tensors, equation of a jaxpr) -> tensors.

Known are the primitives that the networks of this package use, in the forms in which they use them.
"""

import string
from typing import Any

import numpy as np

from gazejax.export.onnx_graph import Graph, Tensor, is_same

# ONNX operators of the inputs, element by element; a second one works on the result of the first.
_ELEMENTWISE = {
    "abs": ("Abs",),
    "add": ("Add",),
    "add_any": ("Add",),
    "and": ("And",),
    "div": ("Div",),
    "eq": ("Equal",),
    "exp": ("Exp",),
    "floor": ("Floor",),
    "ge": ("GreaterOrEqual",),
    "gt": ("Greater",),
    "le": ("LessOrEqual",),
    "log": ("Log",),
    "logistic": ("Sigmoid",),
    "lt": ("Less",),
    "max": ("Max",),
    "min": ("Min",),
    "mul": ("Mul",),
    "neg": ("Neg",),
    "not": ("Not",),
    "or": ("Or",),
    "sqrt": ("Sqrt",),
    "sub": ("Sub",),
    "tanh": ("Tanh",),
    "ne": ("Equal", "Not"),
    "rsqrt": ("Sqrt", "Reciprocal"),
}
_REDUCTIONS = {"reduce_max": "ReduceMax", "reduce_min": "ReduceMin", "reduce_sum": "ReduceSum"}
_UNCHANGED = {"copy", "copy_p", "optimization_barrier", "stop_gradient"}


def add_equation(graph: Graph, inputs: list[Tensor], equation: Any) -> list[Tensor]:
    """Adds an equation of a jaxpr, other than a call of another jaxpr.

    Raises:
        ValueError: if the primitive, or its form, is not known here.
    """
    name = equation.primitive.name
    if name in _UNCHANGED:
        return inputs
    if name in _ELEMENTWISE:
        first, *others = _ELEMENTWISE[name]
        found = graph.elementwise(first, *inputs)
        for operator in others:
            found = graph.elementwise(operator, found)
        return [found]
    if name in _ON_UNREPEATED:
        return [_ON_UNREPEATED[name](graph, inputs, equation)]
    whole = [
        graph.whole(tensor, atom.aval.shape)
        for tensor, atom in zip(inputs, equation.invars, strict=True)
    ]
    if name in _REDUCTIONS:
        axes, shape = graph.integers(equation.params["axes"]), equation.outvars[0].aval.shape
        return [graph.add(_REDUCTIONS[name], [whole[0], axes], shape, keepdims=0)]
    if name == "split":
        return _split(graph, whole, equation)
    if name not in _ON_WHOLE:
        raise ValueError(
            f"--to onnx: the primitive {name!r} of JAX is not known; allowed: --to stablehlo"
        )
    return [_ON_WHOLE[name](graph, whole, equation)]


def _split(graph: Graph, inputs: list[Tensor], equation: Any) -> list[Tensor]:
    shapes = [one.aval.shape for one in equation.outvars]
    names = [f"v{len(graph.nodes)}_{number}" for number in range(len(shapes))]
    axis, sizes = int(equation.params["axis"]), graph.integers(equation.params["sizes"])
    node = graph.onnx.helper.make_node("Split", [inputs[0].name, sizes.name], names, axis=axis)
    graph.nodes.append(node)
    return [Tensor(name, shape) for name, shape in zip(names, shapes, strict=True)]


def _broadcast_in_dim(graph: Graph, inputs: list[Tensor], equation: Any) -> Tensor:
    kept = [int(axis) for axis in equation.params["broadcast_dimensions"]]
    new = [axis for axis in range(len(equation.params["shape"])) if axis not in kept]
    shape = [1] * len(equation.params["shape"])
    for axis, length in zip(kept, inputs[0].shape, strict=True):
        shape[axis] = length
    return graph.add("Unsqueeze", [inputs[0], graph.integers(new)], shape) if new else inputs[0]


def _convert_element_type(graph: Graph, inputs: list[Tensor], equation: Any) -> Tensor:
    to = graph.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(equation.params["new_dtype"]))
    return graph.elementwise("Cast", inputs[0], to=to)


def _integer_pow(graph: Graph, inputs: list[Tensor], equation: Any) -> Tensor:
    if equation.params.get("y", 2) == 2:  # `square` has no power.
        return graph.elementwise("Mul", inputs[0], inputs[0])
    dtype = equation.invars[0].aval.dtype
    exponent = graph.constant(np.full((1,) * len(inputs[0].shape), equation.params["y"], dtype))
    return graph.elementwise("Pow", inputs[0], exponent)


def _select_n(graph: Graph, inputs: list[Tensor], equation: Any) -> Tensor:
    which, *cases = inputs
    _allow("select_n", equation.invars[0].aval.dtype == np.bool_ and len(cases) == 2)
    return graph.elementwise("Where", which, cases[1], cases[0])


def _concatenate(graph: Graph, inputs: list[Tensor], equation: Any) -> Tensor:
    shape = equation.outvars[0].aval.shape
    return graph.add("Concat", inputs, shape, axis=int(equation.params["dimension"]))


def _stack(graph: Graph, inputs: list[Tensor], equation: Any) -> Tensor:
    shape = equation.outvars[0].aval.shape
    axis = int(equation.params["axis"])
    axes = graph.integers([axis])
    parts = [graph.add("Unsqueeze", [one, axes], ()) for one in inputs]
    return graph.add("Concat", parts, shape, axis=axis)


def _conv_general_dilated(graph: Graph, inputs: list[Tensor], equation: Any) -> Tensor:
    _allow(
        "conv_general_dilated",
        set(equation.params["lhs_dilation"]) == {1} and equation.params["batch_group_count"] == 1,
    )
    specs = equation.params["dimension_numbers"]
    image, kernel = (
        graph.add("Transpose", [one], [one.shape[axis] for axis in spec], perm=list(spec))
        for one, spec in zip(inputs, (specs.lhs_spec, specs.rhs_spec), strict=True)
    )
    pads = [int(side) for sides in zip(*equation.params["padding"], strict=True) for side in sides]
    shape = equation.outvars[0].aval.shape
    made = graph.add(
        "Conv",
        [image, kernel],
        [shape[axis] for axis in specs.out_spec],
        pads=pads,
        strides=[int(one) for one in equation.params["window_strides"]],
        dilations=[int(one) for one in equation.params["rhs_dilation"]],
        group=int(equation.params["feature_group_count"]),
    )
    return graph.add("Transpose", [made], shape, perm=np.argsort(specs.out_spec).tolist())


def _cumsum(graph: Graph, inputs: list[Tensor], equation: Any) -> Tensor:
    axis = graph.constant(np.array(equation.params["axis"], np.int64))
    reverse = int(equation.params["reverse"])
    return graph.add("CumSum", [inputs[0], axis], inputs[0].shape, reverse=reverse)


def _dot_general(graph: Graph, inputs: list[Tensor], equation: Any) -> Tensor:
    (contracted, others), batch = (
        equation.params["dimension_numbers"][0],
        equation.params["dimension_numbers"][1],
    )
    letters = iter(string.ascii_lowercase)
    left = [next(letters) for _ in inputs[0].shape]
    right = [next(letters) for _ in inputs[1].shape]
    for one, other in zip((*contracted, *batch[0]), (*others, *batch[1]), strict=True):
        right[other] = left[one]
    out = [left[axis] for axis in batch[0]]
    out += [letter for letter in left if letter not in right]
    out += [letter for letter in right if letter not in left]
    equation_text = f"{''.join(left)},{''.join(right)}->{''.join(out)}"
    shape = equation.outvars[0].aval.shape
    return graph.add("Einsum", inputs, shape, equation=equation_text)


def _gather(graph: Graph, inputs: list[Tensor], equation: Any) -> Tensor:
    # Indices are within bounds wherever this package indexes: no mode matters.
    numbers, sizes = equation.params["dimension_numbers"], equation.params["slice_sizes"]
    operand, indices = inputs
    shape = equation.outvars[0].aval.shape
    batch, axes = len(numbers.operand_batching_dims), list(numbers.start_index_map)
    if len(indices.shape) == 1 and len(axes) == 1 and not batch:  # One index of one axis.
        axis, size = int(axes[0]), sizes[int(axes[0])]
        others = [number for number in range(len(sizes)) if number != axis]
        _allow("gather", all(is_same(sizes[one], operand.shape[one]) for one in others))
        if numbers.collapsed_slice_dims:
            index = graph.add("Squeeze", [indices], ())
            return graph.add("Gather", [operand, index], shape, axis=axis)
        start = graph.add("Cast", [indices], (1,), to=graph.onnx.TensorProto.INT64)
        end = graph.add("Add", [start, graph.shape([size])], (1,))
        return graph.add("Slice", [operand, start, end, graph.integers([axis])], shape)
    _allow(
        "gather",
        not numbers.offset_dims
        and axes == list(range(batch, len(operand.shape)))
        and list(numbers.operand_batching_dims) == list(range(batch))
        and list(numbers.start_indices_batching_dims) == list(range(batch))
        and all(is_same(one, 1) for one in sizes),
    )
    whole = graph.add("Cast", [indices], indices.shape, to=graph.onnx.TensorProto.INT64)
    return graph.add("GatherND", [operand, whole], shape, batch_dims=batch)


def _iota(graph: Graph, inputs: list[Tensor], equation: Any) -> Tensor:  # noqa: ARG001
    shape, axis = equation.params["shape"], equation.params["dimension"]
    dtype, length = np.dtype(equation.params["dtype"]), shape[axis]
    unrepeated = [length if number == axis else 1 for number in range(len(shape))]
    if isinstance(length, int | np.integer):
        return graph.constant(np.arange(length, dtype=dtype).reshape(unrepeated))
    end = graph.add("Squeeze", [graph.length(str(length))], ())
    ends = [graph.constant(np.array(0, np.int64)), end, graph.constant(np.array(1, np.int64))]
    numbers = graph.add("Range", ends, (length,))
    to = graph.onnx.helper.np_dtype_to_tensor_dtype(dtype)
    numbers = graph.add("Cast", [numbers], (length,), to=to)
    others = [number for number in range(len(shape)) if number != axis]
    if not others:
        return numbers
    return graph.add("Unsqueeze", [numbers, graph.integers(others)], unrepeated)


def _pad(graph: Graph, inputs: list[Tensor], equation: Any) -> Tensor:
    low, high, between = zip(*equation.params["padding_config"], strict=True)
    _allow("pad", not any(between))
    pads = [inputs[0], graph.integers([*low, *high]), inputs[1]]
    return graph.add("Pad", pads, equation.outvars[0].aval.shape)


def _reshape(graph: Graph, inputs: list[Tensor], equation: Any) -> Tensor:
    _allow("reshape", equation.params["dimensions"] is None)
    sizes = equation.params["new_sizes"]
    free = [number for number, one in enumerate(sizes) if not isinstance(one, int | np.integer)]
    if len(free) == 1:
        shape = graph.integers([-1 if number in free else one for number, one in enumerate(sizes)])
    else:
        shape = graph.shape(sizes)
    return graph.add("Reshape", [inputs[0], shape], sizes)


def _slice(graph: Graph, inputs: list[Tensor], equation: Any) -> Tensor:
    starts, limits = equation.params["start_indices"], equation.params["limit_indices"]
    rows = []
    steps = equation.params["strides"] or (1,) * len(starts)
    for axis, row in enumerate(zip(starts, limits, inputs[0].shape, steps, strict=True)):
        start, limit, length, step = row
        if is_same(start, 0) and is_same(limit, length) and step == 1:
            continue
        # From the end, where the length is free.
        at_end = np.iinfo(np.int64).max if is_same(limit, length) else None
        end = limit if isinstance(limit, int | np.integer) else at_end or limit - length
        _allow("slice", isinstance(start, int | np.integer))
        _allow("slice", isinstance(end, int | np.integer))
        rows.append((start, end, axis, step))
    if not rows:
        return inputs[0]
    parts = [graph.integers(values) for values in zip(*rows, strict=True)]
    return graph.add("Slice", [inputs[0], *parts], equation.outvars[0].aval.shape)


def _squeeze(graph: Graph, inputs: list[Tensor], equation: Any) -> Tensor:
    axes = graph.integers(equation.params["dimensions"])
    return graph.add("Squeeze", [inputs[0], axes], equation.outvars[0].aval.shape)


def _transpose(graph: Graph, inputs: list[Tensor], equation: Any) -> Tensor:
    perm = [int(axis) for axis in equation.params["permutation"]]
    return graph.add("Transpose", inputs, equation.outvars[0].aval.shape, perm=perm)


def _allow(primitive: str, is_known: Any) -> None:
    if not is_known:
        raise ValueError(
            f"--to onnx: this form of the primitive {primitive!r} of JAX is not known; allowed: "
            "--to stablehlo"
        )


# What is repeated may stay unrepeated where a primitive works element by element.
_ON_UNREPEATED = {
    "broadcast_in_dim": _broadcast_in_dim,
    "convert_element_type": _convert_element_type,
    "integer_pow": _integer_pow,
    "select_n": _select_n,
    "square": _integer_pow,
}
_ON_WHOLE = {
    "concatenate": _concatenate,
    "conv_general_dilated": _conv_general_dilated,
    "cumsum": _cumsum,
    "dot_general": _dot_general,
    "gather": _gather,
    "iota": _iota,
    "pad": _pad,
    "reshape": _reshape,
    "slice": _slice,
    "squeeze": _squeeze,
    "stack": _stack,
    "transpose": _transpose,
}
