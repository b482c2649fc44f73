"""Section "Use" of the model card of exported programs: runnable code without gazejax."""

from collections.abc import Sequence

from gazejax.config.derived import duration_use, input_sizes
from gazejax.evaluation.formats import markdown_table
from gazejax.export.programs import Program
from gazejax.workdir.trained import Trained

_STABLEHLO = """\
    return jax.jit(jax.export.deserialize(bytearray(content)).call)"""
_ONNX = """\
    session = onnxruntime.InferenceSession(content)
    names = [one.name for one in session.get_inputs()]
    return lambda *inputs: session.run(None, dict(zip(names, inputs)))[0]"""
_IMPORTS = {"stablehlo": "import jax\nimport jax.export", "onnx": "import onnxruntime"}
_NEEDS = {"stablehlo": "jax, flatbuffers", "onnx": "onnxruntime"}
_TEXT = """\
The files need {needs}, numpy, pillow and scipy, and no gazejax. `programs.json` has the SHA-256 of
each file, and its inputs:

{inputs}

An axis with a name has any length. What is after the last fixation of a viewing is padding.

```python
import hashlib
import json
from pathlib import Path

{imports}
import numpy as np
import scipy.ndimage
from PIL import Image

FOLDER = Path(".")  # The folder of this file.
ABOUT = json.loads((FOLDER / "programs.json").read_text())


def load(name):
    \"\"\"Reads a program; refuses a damaged or foreign file.\"\"\"
    path = FOLDER / ABOUT["programs"][name]["file"]
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != ABOUT["programs"][name]["sha256"]:
        raise ValueError(f"{{path}} is damaged, or not the one of programs.json: copy it again")
{load}


def resize(image, height, width):
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


embed_viewings = load("embed")


def embed(images, fixations{durations_argument}):
    \"\"\"Embedding of one user: the mean over the images.

    Each image is uint8 [height, width, 3], RGB. Its fixations are [n, 2], x then y in pixels of the
    image from its top left corner, in the order of looking{durations_text}.
    \"\"\"
{filters}    longest = max(map(len, fixations))
    xy_frac = np.zeros((len(images), longest, 2), np.float32)
{durations_start}    for number, image in enumerate(images):
        used = slice(len(fixations[number]))
        xy_frac[number, used] = np.asarray(fixations[number]) / (image.shape[1], image.shape[0])
{durations_copy}    pixels = np.stack([resize(image, {height}, {width}) for image in images])
{encoder_pixels}    ratios = [image.shape[1] / image.shape[0] for image in images]
    aspect_ratio = np.array(ratios, np.float32)
    num_fixations = np.array([len(one) for one in fixations], np.int32)
    inputs = [{arguments}]
    return np.asarray(embed_viewings(*inputs)).mean(axis=0)
{predict}```

Embeddings of this encoder only can be compared, and given to its `predict`. Two embeddings are
compared by gazejax (`Model.compare`).
"""
_PREDICT = """

predict_maps = load("predict")


def predict(image, embedding):
    \"\"\"Where the user looks: float32 [height, width] of the image, sums to 1.\"\"\"
    pixels = resize(image, {height}, {width})[None]
    return enlarge(np.asarray(predict_maps(pixels, embedding[None]))[0, 0], image.shape[:2])


def enlarge(saliency, size):
    \"\"\"Cubic splines of the logarithm; for an image smaller than the map, means.\"\"\"
    relative = saliency / saliency.max()
    if size[0] < saliency.shape[0] or size[1] < saliency.shape[1]:
        enlarged = resize(relative, *size)
    else:
        logs = np.log(np.maximum(relative, np.finfo(np.float32).tiny))
        zoom = size[0] / saliency.shape[0], size[1] / saliency.shape[1]
        enlarged = np.exp(
            scipy.ndimage.zoom(logs, zoom, order=3, mode="reflect", grid_mode=True)
        )
    return (enlarged / enlarged.sum(dtype=np.float64)).astype(np.float32)
"""


def describe_use(trained: Trained, programs: Sequence[Program], to: str) -> str:
    """Makes the section of the card.

    Args:
        trained: the model.
        programs: of the model.
        to: `stablehlo` or `onnx`.

    Returns:
        Markdown.
    """
    config = trained.config
    sizes, data = input_sizes(config), config.data
    height, width = sizes["saliency"]
    use = duration_use(
        config.encoder.model.inputs,
        without_durations=config.encoder.batch.virtual_sessions.without_durations,
    )
    filters = ""
    if data.drop_first_fixation or data.subsample_every > 1:
        kept = f"[{int(data.drop_first_fixation)}::{data.subsample_every}]"
        names = ["fixations", "durations_ms"][: 1 + use.is_read]
        filters = "    # As in the training.\n" + "".join(
            f"    {name} = [one{kept} for one in {name}]\n" for name in names
        )
    arguments = ["pixels", "aspect_ratio", "xy_frac", "num_fixations"]
    encoder_pixels = ""
    if "encoder" in sizes:
        arguments.insert(1, "encoder_pixels")
        resized = "resize(image, {}, {})".format(*sizes["encoder"])
        encoder_pixels = f"    encoder_pixels = np.stack([{resized} for image in images])\n"
    if use.is_read:
        arguments.append("duration_ms")
    durations_text = ""
    if use.is_read:
        durations_text = "; its durations are [n], in\n    milliseconds"
        durations_text += "" if use.is_needed else ", or zeros where they are not known"
    rows = [
        [program.name, f"`{value.name}`", f"{value.dtype} {_shape(value.shape)}", value.unit]
        for program in programs
        for value in program.inputs
    ]
    return _TEXT.format(
        needs=_NEEDS[to],
        inputs=markdown_table(["program", "input", "array", "what it is"], rows),
        imports=_IMPORTS[to],
        load=_STABLEHLO if to == "stablehlo" else _ONNX,
        durations_argument=", durations_ms" * use.is_read,
        durations_text=durations_text,
        filters=filters,
        durations_start="    duration_ms = np.zeros(xy_frac.shape[:2], np.float32)\n" * use.is_read,
        durations_copy="        duration_ms[number, used] = durations_ms[number]\n" * use.is_read,
        height=height,
        width=width,
        encoder_pixels=encoder_pixels,
        arguments=", ".join(arguments),
        predict=_PREDICT.format(height=height, width=width) if len(programs) == 2 else "",
    )


def _shape(shape: tuple[int | str, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
