"""Speed of a convolution and of its two gradients with XLA on one core, beside a matrix product.

    taskset -c 0 python benchmarks/kernel_gradient.py

The program of a report to XLA's developers (docs/results/performance.md): it needs jax and numpy
alone. Each layer is that of a batch of images; all operations take turns, and rates are medians.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

BATCH, ROUNDS = 60, 9
# Height and width, channels of the input, channels of the output: the trunk of stage 1.
LAYERS = ((96, 128, 5, 32), (48, 64, 32, 64), (24, 32, 64, 128), (12, 16, 128, 256))
PARTS = 6  # Of the batch, whose kernel gradients are added.


def convolve(images: jax.Array, kernel: jax.Array) -> jax.Array:
    """A 3 x 3 convolution, with images as [image, height, width, channel]."""
    return jax.lax.conv_general_dilated(
        images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


@jax.jit
def gradient_of_input(images: jax.Array, kernel: jax.Array, gradient: jax.Array) -> jax.Array:
    """Gradient by the images."""
    return jax.vjp(lambda images: convolve(images, kernel), images)[1](gradient)[0]


@jax.jit
def gradient_of_kernel(images: jax.Array, kernel: jax.Array, gradient: jax.Array) -> jax.Array:
    """Gradient by the kernel."""
    return jax.vjp(lambda kernel: convolve(images, kernel), kernel)[1](gradient)[0]


@jax.jit
def gradient_in_parts(images: jax.Array, kernel: jax.Array, gradient: jax.Array) -> jax.Array:
    """The same, summed over parts of the batch, one after the other."""
    parts = zip(jnp.split(images, PARTS), jnp.split(gradient, PARTS), strict=True)
    return sum(gradient_of_kernel(part, kernel, of_part) for part, of_part in parts)


def main() -> None:
    """Measures, and prints a row for each layer in GFLOP/s."""
    random = np.random.default_rng(0)
    square = jax.device_put(random.standard_normal((2048, 2048), np.float32))
    product = jax.jit(jnp.matmul)
    print(f"jax {jax.__version__}, {BATCH} images, GFLOP/s")
    for height, width, channels, filters in LAYERS:
        shapes = [(BATCH, height, width, channels), (3, 3, channels, filters)]
        shapes.append((BATCH, height, width, filters))
        arrays = [jax.device_put(random.standard_normal(shape, np.float32)) for shape in shapes]
        flops = 2 * 9 * BATCH * height * width * channels * filters
        calls = {
            "matrix product": (product, [square, square], 2 * 2048**3),
            "forward": (jax.jit(convolve), arrays[:2], flops),
            "input": (gradient_of_input, arrays, flops),
            "kernel": (gradient_of_kernel, arrays, flops),
            "kernel, in parts": (gradient_in_parts, arrays, flops),
        }
        whole, in_parts = gradient_of_kernel(*arrays), gradient_in_parts(*arrays)
        np.testing.assert_allclose(in_parts, whole, rtol=1e-3, atol=0.1)
        seconds: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(ROUNDS + 1):
            for name, (call, arguments, _) in calls.items():
                start = time.process_time()
                call(*arguments).block_until_ready()
                seconds[name].append(time.process_time() - start)
        print(f"{height} x {width}, {channels} -> {filters}: ", end="")
        rates = [
            f"{name} {flops / np.median(seconds[name][1:]) / 1e9:.0f}"  # The first one compiles.
            for name, (*_, flops) in calls.items()
        ]
        print(", ".join(rates))


if __name__ == "__main__":
    main()
