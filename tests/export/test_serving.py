"""The folder for ClearML Serving, loaded and called the way its engine `custom` does."""

from __future__ import annotations

import base64
import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.export import serving
from components.predict.network import Classifier
from components.predict.prediction import predict_images


def loaded(folder: Path) -> Any:
    """As `BasePreprocessRequest._instantiate_custom_preprocess_cls` of clearml-serving 1.3.5."""
    spec = importlib.util.spec_from_file_location("Preprocess", folder / "preprocess.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    preprocess = type("PreprocessDelWrapper", (module.Preprocess,), {})()
    preprocess.model_endpoint = object()
    assert preprocess.load(str(folder / "model.tflite")) is not None
    return preprocess


def answer(preprocess: Any, body: bytes | dict, told: list[dict]) -> dict:
    """As `ModelRequestProcessor` does for a request."""
    state: dict = {}
    data = preprocess.preprocess(body, state, None)
    data = preprocess.process(data, state, None)
    return preprocess.postprocess(data, state, told.append)


@pytest.mark.usefixtures("runtime")
def test_a_request_gets_the_prediction(exported: Path, photos: list[str]) -> None:
    preprocess = loaded(exported / "serving")
    predictions = list(predict_images(Classifier(exported), photos, 4, 1))
    assert np.ptp([prediction.probabilities[0] for prediction in predictions]) > 0.05
    for path, wanted in zip(photos, predictions, strict=True):
        data = Path(path).read_bytes()
        told: list[dict] = []
        got = answer(preprocess, data, told)
        assert got == answer(preprocess, {"image": base64.b64encode(data).decode()}, [])
        values = [got["probabilities"][name] for name in ("cat", "dog")]
        np.testing.assert_allclose(values, wanted.probabilities, atol=1e-5)
        assert got["predicted"] == ("cat", "dog")[int(wanted.probabilities.argmax())]
        assert told == [{"predicted": got["predicted"], "probability": max(values)}]


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"hello", "not a readable image"),
        ({"image": "%%%"}, "base64|alphabet"),
        ({"url": "file:///etc/hostname"}, "file:///etc/hostname: not allowed"),
        ({"url": "http://127.0.0.1:9/x.jpg"}, "not allowed; set SERVING_IMAGE_URLS"),
        ({"photo": 1}, "send an image file"),
    ],
)
def test_a_request_that_makes_no_sense_is_told(exported: Path, body: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        loaded(exported / "serving").preprocess(body, {}, None)


@pytest.mark.usefixtures("runtime")
def test_an_allowed_address_is_fetched(
    exported: Path, photos: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import functools
    import http.server
    import threading

    folder = Path(photos[0]).parent
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    handler = functools.partial(quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setenv("SERVING_IMAGE_URLS", f"https://example.org/,{address}")
        preprocess = loaded(exported / "serving")
        got = answer(preprocess, {"url": address + Path(photos[0]).name}, [])
        server.shutdown()
    assert got == answer(preprocess, Path(photos[0]).read_bytes(), [])


def test_the_code_needs_nothing_of_this_project(exported: Path) -> None:
    code = (exported / "serving" / "preprocess.py").read_text()
    assert not re.search(r"^\s*(from|import) (components|tensorflow|keras)", code, re.M)
    assert "RECIPE = Recipe(size=32, resize='crop', " in code


def test_the_commands_name_the_files_that_are_there(exported: Path) -> None:
    text = (exported / "serving" / "README.md").read_text()
    assert '--endpoint "pets_2"' in text
    assert '--project "pets 2"' in text
    assert serving.ALLOWED in text
    for name in ("model.tflite", "preprocess.py"):
        assert name in text
        assert (exported / "serving" / name).is_file()
