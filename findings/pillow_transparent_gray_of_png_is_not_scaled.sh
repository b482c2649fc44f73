#!/usr/bin/env bash
# Pillow 13.0.0: the transparent gray of a PNG of 2 or 4 bits is not found. Guess before the run: a
# pixel of the level that the tRNS chunk names has alpha 0, as at 1 and 8 bits. Behaviour: the levels
# are stretched to 0 to 255 and the level of tRNS is not, so that a pixel that the file calls
# transparent is opaque, and another level may be transparent in its place.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet "pillow==13.0.0"
"$folder/env/bin/python" - <<'PY'
import io
import struct
import zlib

import PIL
from PIL import Image

assert PIL.__version__ == "13.0.0"


def png(bits, levels, transparent):
    """One row of gray levels, one of which is transparent."""
    packed = int("".join(f"{level:0{bits}b}" for level in levels), 2)
    row = b"\0" + packed.to_bytes(len(levels) * bits // 8, "big")
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", len(levels), 1, bits, 0, 0, 0, 0)),
        (b"tRNS", struct.pack(">H", transparent)),
        (b"IDAT", zlib.compress(row)),
        (b"IEND", b""),
    )
    parts = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def alpha(bits, levels, transparent):
    with Image.open(io.BytesIO(png(bits, levels, transparent))) as image:
        return list(image.convert("RGBA").getchannel("A").tobytes())


found = {
    (8, 9): alpha(8, [0, 9, 200, 255], 9),
    (4, 9): alpha(4, [0, 9, 12, 15], 9),
    (2, 1): alpha(2, [0, 1, 2, 3], 1),
}
print(found)
assert found[8, 9] == [255, 0, 255, 255]
assert found[4, 9] == [255, 255, 255, 255], found
assert found[2, 1] == [255, 255, 255, 255], found
print("as found: the transparent level is seen at 8 bits, and not at 4 or 2 bits")
PY
