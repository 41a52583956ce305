"""What ClearML Serving runs for each request, with its engine `custom`.

A request is the bytes of an image file (`Content-Type: image/jpeg`), or JSON: `{"image": "<base64
of the file>"}` or `{"url": "https://..."}`. The answer: `{"predicted": "cat", "probabilities":
{...}}`.

Needs `ai-edge-litert`, Pillow and, for HEIC photos, pillow-heif in the container, and nothing else
of the project.
"""

from __future__ import annotations

import base64
import os
import threading
import urllib.request

import numpy as np

from components.imaging.decoding import Recipe, as_trained

RECIPE = Recipe(size=64, resize="stretch", format="png", quality=0)
BYTES_AT_MOST = 30_000_000  # of a file
SECONDS = 10  # for an address to answer
# Addresses to fetch from must begin with one of these, comma-separated; none if it is not set, as
# the container may reach what the outside may not.
ALLOWED = "SERVING_IMAGE_URLS"


class Preprocess:
    """Named as ClearML Serving wants it; one object serves all threads."""

    def __init__(self) -> None:
        self.model_endpoint = None  # set by ClearML Serving
        self._one_at_a_time = threading.Lock()  # the interpreter is not made for several threads

    def load(self, local_file_name: str):
        """Read `model.tflite`, once."""
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(local_file_name))
        self._run = interpreter.get_signature_runner()
        return self._run

    def preprocess(self, body, state, collect_custom_statistics_fn=None) -> np.ndarray:
        """[1, size, size, 3] float32: the image as the model was trained to see it."""
        data = _file_of(body)
        try:
            image = as_trained(data, RECIPE)
        except Exception as error:  # damaged files raise almost anything; the client is told
            raise ValueError(f"not a readable image ({type(error).__name__})") from None
        return np.asarray(image, np.float32)[None]

    def process(self, data, state, collect_custom_statistics_fn=None) -> dict[str, float]:
        """The probability of each class."""
        with self._one_at_a_time:
            outputs = self._run(image=data)
            return {name: float(value.reshape(-1)[0]) for name, value in outputs.items()}

    def postprocess(self, data, state, collect_custom_statistics_fn=None) -> dict:
        """What the client gets; the class and its probability go to ClearML's statistics."""
        predicted = max(data, key=data.get)
        if collect_custom_statistics_fn:
            collect_custom_statistics_fn({"predicted": predicted, "probability": data[predicted]})
        return {"predicted": predicted, "probabilities": data}


def _file_of(body) -> bytes:
    """The bytes of the image file that a request holds or names; ValueError says what is wrong."""
    if isinstance(body, (bytes, bytearray)):
        return bytes(body)
    if isinstance(body, dict) and isinstance(body.get("image"), str):
        return base64.b64decode(body["image"], validate=True)
    if isinstance(body, dict) and isinstance(body.get("url"), str):
        return _fetch(body["url"])
    raise ValueError('send an image file, {"image": "<base64>"} or {"url": "https://..."}')


def _fetch(url: str) -> bytes:
    allowed = [start for start in os.environ.get(ALLOWED, "").split(",") if start]
    if not url.startswith(("http://", "https://")) or not url.startswith(tuple(allowed)):
        raise ValueError(f"{url}: not allowed; set {ALLOWED} to the beginnings that are")
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        data = answer.read(BYTES_AT_MOST + 1)
    if len(data) > BYTES_AT_MOST:
        raise ValueError(f"{url}: has more than {BYTES_AT_MOST} bytes")
    return data
