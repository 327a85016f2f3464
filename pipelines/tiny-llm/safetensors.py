"""Arrays in a file, in the format that most tools for language models read.

Eight bytes with the length of a JSON head, the head, and the bytes of the arrays: https://github.com/huggingface/safetensors.
Nothing in it can be executed, unlike a pickle; and the same arrays are the same bytes.
"""

import json
import math
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]


def write(path: Path, arrays: Arrays) -> None:
    """Writes arrays of 32-bit floats."""
    head: dict[str, object] = {}
    end = 0
    for name, array in sorted(arrays.items()):
        start, end = end, end + 4 * array.size
        head[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [start, end]}
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)  # so that the arrays begin at a multiple of eight, as the format asks
    bodies = [np.ascontiguousarray(array, dtype="<f4").tobytes() for _, array in sorted(arrays.items())]
    path.write_bytes(b"".join([len(text).to_bytes(8, "little"), text, *bodies]))


def read(path: Path) -> Arrays:
    whole = path.read_bytes()
    body = 8 + int.from_bytes(whole[:8], "little")
    arrays = {}
    for name, entry in json.loads(whole[8:body]).items():
        if name != "__metadata__":
            count, offset = math.prod(entry["shape"]), body + entry["data_offsets"][0]
            arrays[name] = np.frombuffer(whole, "<f4", count, offset).reshape(entry["shape"]).copy()
    return arrays
