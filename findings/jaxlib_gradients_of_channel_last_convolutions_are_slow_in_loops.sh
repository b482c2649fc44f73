#!/usr/bin/env bash
# jaxlib 0.10.2, CPU: in a loop (`lax.scan`), the gradients of a convolution take up to 100 times as
# long as outside, also where channels are last.
# Guess before the run: as fast as outside. The jax issue 12868 is about channels that come first, and
# says that channels that come last are not affected, which is true of the convolution itself.
# Behaviour: outside of a loop, XLA rewrites the gradient by the kernel to a convolution with the batch
# first, dim_labels=b01f_01io->b01f, which a library computes. In the body of a loop it stays
# f01b_i01o->01bf, and simple loops compute it: 1.8 instead of 0.02 s of CPU time for 20 images of
# 24 x 32 with 64 and 128 channels. The gradient by the images takes 10 times as long, the convolution
# itself hardly longer. Who adds gradients of parts of a batch by `lax.scan` meets this; a loop of
# Python, which is unrolled, does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check "jax==0.10.2" "jaxlib==0.10.2"
cd "$folder"
JAX_PLATFORMS=cpu "$folder/env/bin/python" - <<'PYTHON'
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

random = np.random.default_rng(0)
shapes = (2, 10, 24, 32, 64), (2, 10, 24, 32, 128), (3, 3, 64, 128)
images, gradients, kernel = (jnp.asarray(random.standard_normal(s, np.float32)) for s in shapes)


def convolve(images, kernel):
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=layout)


def by_kernel(images, gradient):
    return jax.vjp(lambda kernel: convolve(images, kernel), kernel)[1](gradient)[0]


def by_images(images, gradient):
    return jax.vjp(lambda images: convolve(images, kernel), images)[1](gradient)[0]


def forward(images, gradient):
    return convolve(images, kernel)


def in_python(function):
    return lambda images, gradients: sum(map(function, images, gradients))


def in_loop(function):
    def add(total, part):
        return total + function(*part), None

    def run(images, gradients):
        start = jnp.zeros_like(function(images[0], gradients[0]))
        return jax.lax.scan(add, start, (images, gradients))[0]

    return run


ratios = {}
for function in (forward, by_images, by_kernel):
    seconds = {}
    for where in (in_python, in_loop):
        program = jax.jit(where(function)).lower(images, gradients).compile()
        if function is by_kernel:
            labels = {word for word in program.as_text().split() if "dim_labels" in word}
            print(where.__name__, labels)
            assert ("b01f_01io" in str(labels)) == (where is in_python), labels
        result = program(images, gradients)
        times = []
        for _ in range(3):
            start = time.process_time()
            program(images, gradients).block_until_ready()
            times.append(time.process_time() - start)
        seconds[where.__name__] = statistics.median(times), result
    (plain, expected), (looped, found) = seconds["in_python"], seconds["in_loop"]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-2)
    ratios[function.__name__] = looped / plain
    print(f"{function.__name__}: {plain:.3f} s, in a loop {looped:.3f} s of CPU time")
assert ratios["forward"] < 4, ratios
assert ratios["by_images"] > 4, ratios
assert ratios["by_kernel"] > 20, ratios
PYTHON
