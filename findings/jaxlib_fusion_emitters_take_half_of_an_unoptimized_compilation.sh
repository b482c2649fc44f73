#!/usr/bin/env bash
# jaxlib 0.10.2, CPU: without optimization, the emitters of fusions take half the time to compile.
# Guess before the run: `--xla_backend_optimization_level=0` leaves little to save; how the code of a
# fusion is emitted changes at most a tenth of the time.
# Behaviour: `--xla_cpu_use_fusion_emitters=false` beside it halves the time to compile the gradient of
# a small network with normalization and softmax (4.0 and 2.0 s of CPU time). With optimization it
# saves a tenth (8.2 and 7.1 s): the time is then spent elsewhere.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet "jax==0.10.2" "jaxlib==0.10.2"
cat > "$folder/compile.py" <<'PY'
import time

import jax
import jax.numpy as jnp

assert jax.lib.__version__ == "0.10.2"


def network(params, x):
    for scale, shift in params:
        centered = x - x.mean(-1, keepdims=True)
        x = jax.nn.silu(centered * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-6) * scale + shift)
        x = x + jax.nn.softmax(x, axis=-1)
    return (x**2).mean()


params = [(jnp.ones(8), jnp.zeros(8)) for _ in range(12)]
lowered = jax.jit(jax.value_and_grad(network)).lower(params, jnp.ones((4, 16, 8)))
start = time.process_time()
lowered.compile()
print(time.process_time() - start)
PY
"$folder/env/bin/python" - "$folder" <<'PY'
import os
import statistics
import subprocess
import sys

unoptimized = "--xla_backend_optimization_level=0"
without = "--xla_cpu_use_fusion_emitters=false"


def seconds(flags):
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, os.path.join(sys.argv[1], "compile.py")]
    return float(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)


medians = {}
for with_optimization in ("", unoptimized):
    flags = {name: f"{with_optimization} {flag}".strip() for name, flag in (("with", ""), ("without", without))}
    found = {name: [] for name in flags}
    for _ in range(3):
        for name, value in flags.items():
            found[name].append(seconds(value))
    medians[with_optimization] = {name: statistics.median(of) for name, of in found.items()}
print(medians)
ratio = {key: of["with"] / of["without"] for key, of in medians.items()}
assert ratio[unoptimized] > 1.5, ratio
assert ratio[""] < 1.35, ratio
print(f"as found: {ratio[unoptimized]:.1f} times as long without optimization, {ratio['']:.1f} with")
PY
