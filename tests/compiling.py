"""How tests compile: quickly rather than well, and every program once.

What XLA compiles is kept between runs, for all processes of them, under `.pytest_cache/compiled`:
remove that folder for a run from nothing.
"""

import os
import shutil
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parent.parent
KEPT = ROOT / ".pytest_cache" / "compiled"
MOST_KEPT_BYTES = 2_000_000_000
# Half the time to compile without the emitters of fusions, two thirds of that without optimization,
# and a third more to run: for programs that run for seconds. Later versions of jaxlib end at the
# first flag, which they do not know.
_HAS_EMITTERS = version("jaxlib").startswith("0.10.")
_NO_EMITTERS = "--xla_cpu_use_fusion_emitters=false " if _HAS_EMITTERS else ""
_BARELY = "--xla_llvm_disable_expensive_passes=true"
# Parts of a program that compile beside each other cost more than they gain where tests do so, too.
_AT_ONCE = "--xla_cpu_parallel_codegen_split_count=1 " if _HAS_EMITTERS else ""
QUICKLY = f"{_NO_EMITTERS}{_AT_ONCE}--xla_backend_optimization_level=0 {_BARELY}"
# Half of the time to compile, and as fast where convolutions take the time: for programs that run
# for a minute.
LESS_QUICKLY = f"{_NO_EMITTERS}{_AT_ONCE}--xla_backend_optimization_level=1 {_BARELY}"
WELL = {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False} | (
    {"xla_cpu_use_fusion_emitters": True} if _HAS_EMITTERS else {}
)
# As many as tests have: a program that computes what a test has computed finds it compiled.
FOUR_DEVICES = "--xla_force_host_platform_device_count=4"
CACHE = {
    "JAX_COMPILATION_CACHE_DIR": str(KEPT),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def program_environment(folder: Path = KEPT, *flags: str, is_long: bool = False) -> dict[str, str]:
    """The whole environment of a program that a test starts: nothing of ours but how it compiles.

    Args:
        folder: where compiled programs are kept; one from `linked_copy` if it may be killed.
        flags: further flags of XLA.
        is_long: whether it runs for a minute, so that what it runs is worth compiling better.
    """
    compiling = CACHE | {"JAX_COMPILATION_CACHE_DIR": str(folder)}
    compiling["XLA_FLAGS"] = " ".join([*flags, LESS_QUICKLY if is_long else QUICKLY])
    return {"PATH": "/usr/bin:/bin", "HOME": "/tmp"} | compiling


def linked_copy(folder: Path) -> Path:
    """What is kept, and room for more: a program killed while it writes spoils nothing for others.

    An entry is never written twice, so those that are here already can be links.
    """
    KEPT.mkdir(parents=True, exist_ok=True)
    folder.mkdir()
    for entry in KEPT.glob("*-cache"):
        os.link(entry, folder / entry.name)
    return folder


def write_entries_whole() -> None:
    """As JAX does, but no other process reads, nor does an end leave, half an entry."""
    from jax._src.lru_cache import LRUCache

    def put(cache: LRUCache, key: str, value: bytes) -> None:
        path = Path(str(cache.path)) / f"{key}-cache"
        if not path.exists():
            unfinished = path.with_name(f"{key}-{os.getpid()}")
            unfinished.write_bytes(value)
            unfinished.replace(path)

    LRUCache.put = put


def forget_if_large() -> None:
    """Starts from nothing where more than `MOST_KEPT_BYTES` are kept: other versions pile up."""
    if sum(entry.stat().st_size for entry in KEPT.glob("*")) > MOST_KEPT_BYTES:
        shutil.rmtree(KEPT)
