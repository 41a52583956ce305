"""On the same files evaluation, prediction, exports and serving say the same, to 1e-5."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.evaluate import inference
from components.evaluate.calibration import with_temperature
from components.export.card import Known
from components.export.export import export_model
from components.export.formats import FORMATS
from components.imaging.dataloader import load_split, open_split
from components.imaging.dataset import load_images
from components.imaging.decoding import Recipe
from components.ingest.audit import build_raw_dataset
from components.predict.network import Classifier
from components.predict.photos import read_photo
from components.predict.prediction import predict_images
from components.preprocess.build import build_dataset
from tests.export.conftest import METRICS, runtime  # noqa: F401  a fixture
from tests.ingest.builders import ingest_settings, preprocess_settings
from tests.ingest.formats import tagged
from tests.predict.builders import CLASSES, draw_photos, untrained

QUALITIES = (1, 25, 50, 75, 90, 95, 100)
STORED_AS = (("png", 90), *(("jpeg", quality) for quality in QUALITIES))


def draw_odd_photos(folder: Path) -> None:
    """One of each kind of file that is put right on its way."""
    folder.mkdir()
    random = np.random.default_rng(5)
    small = Image.fromarray(random.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    photo = small.resize((97, 71), Image.Resampling.BICUBIC)
    turned = Image.Exif()
    turned[0x0112] = 6
    glass = photo.convert("RGBA")
    glass.putalpha(Image.linear_gradient("L").resize(photo.size))
    deep = Image.fromarray(random.integers(0, 65536, (50, 60), dtype=np.uint16))
    photo.save(folder / "turned.jpg", exif=turned, quality=95)
    photo.convert("CMYK").save(folder / "cmyk.jpg")
    photo.convert("L").save(folder / "grey.jpg", progressive=True)
    small.resize((1900, 1300), Image.Resampling.BICUBIC).save(folder / "large.jpg", subsampling=0)
    glass.save(folder / "glass.png")
    deep.save(folder / "deep.png")
    photo.convert("P").save(folder / "palette.gif")
    photo.save(folder / "photo.bmp")
    photo.save(folder / "photo.tif")
    photo.save(folder / "photo.webp", lossless=True)
    photo.convert("1").save(folder / "ink.png")
    photo.save(folder / "photo.avif")
    (folder / "photo.heic").write_bytes(tagged(photo, "HEIC", 6))


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw dataset of photos, those of the class dog are odd ones."""
    folder = tmp_path_factory.mktemp("agreement")
    draw_photos(folder / "photos" / "cat", 11)
    draw_odd_photos(folder / "photos" / "dog")
    (folder / "raw").mkdir()
    source = ingest_settings(path=str(folder / "photos"), near_duplicate_distance=-1)
    build_raw_dataset(source, folder / "raw")
    return folder / "raw"


def processed(raw: Path, folder: Path, recipe: Recipe) -> Path:
    folder.mkdir()
    size, resize, format, quality = recipe
    chosen = preprocess_settings(
        image_size=size, resize=resize, format=format, quality=quality, test_fraction=0.5
    )
    build_dataset(raw, folder, chosen)
    return folder


def paths_of(raw: Path, dataset: Path, split: str) -> list[str]:
    return [str(raw.parent / "photos" / image.path) for image in load_images(dataset, split)]


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("stored_as", STORED_AS, ids=lambda it: f"{it[0]}{it[1]}")
def test_the_pixels_of_a_photo_are_those_of_the_dataset_to_the_bit(
    raw: Path, tmp_path: Path, resize: str, stored_as: tuple[str, int]
) -> None:
    recipe = Recipe(33, resize, *stored_as)
    classifier = Classifier(untrained(tmp_path / "model", "small_resnet", 33, resize, stored_as))
    dataset = processed(raw, tmp_path / "dataset", recipe)
    seen = 0
    for split in ("train", "validation", "test"):
        trained = np.concatenate([pixels for pixels, _ in load_split(dataset, split, 4)])
        paths = paths_of(raw, dataset, split)
        for path, wanted in zip(paths, trained, strict=True):
            photo = read_photo(recipe, path)
            assert photo.problem == "", path
            got = np.frombuffer(photo.pixels, np.uint8).reshape(33, 33, 3)
            np.testing.assert_array_equal(got, wanted, err_msg=path)
            seen += 1
        unstored = [read_photo(recipe._replace(format="png"), path).pixels for path in paths]
        images = np.frombuffer(b"".join(unstored), np.uint8).reshape(-1, 33, 33, 3)
        np.testing.assert_array_equal(classifier.stored(images), trained)
    assert seen == 24


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize(
    ("recipe", "temperature"),
    [
        (Recipe(32, "crop", "jpeg", 40), 1.7),
        (Recipe(48, "pad", "png", 90), None),
    ],
)
def test_all_who_predict_say_the_same(
    raw: Path, tmp_path: Path, recipe: Recipe, temperature: float | None
) -> None:
    dataset = processed(raw, tmp_path / "dataset", recipe)
    model = untrained(tmp_path / "model", "small_resnet", *recipe[:2], recipe[2:])
    evaluator = inference.Classifier(model)
    test = inference.predict(evaluator, open_split(dataset, "test"), CLASSES)
    wanted = with_temperature(test.probabilities, temperature or 1)
    assert np.ptp(wanted[:, 0]) > 0.1  # the photos differ, so an exchange would show

    paths = paths_of(raw, dataset, "test")
    classifier = Classifier(model, temperature)
    assert classifier.recipe == recipe
    got = np.stack([p.probabilities for p in predict_images(classifier, paths, 4, 2)])
    np.testing.assert_allclose(got, wanted, atol=1e-5)

    calibration = {"temperature": {"temperature": temperature, "applied": bool(temperature)}}
    known = Known(None, METRICS | calibration, "evaluations/0123", None)
    (tmp_path / "export").mkdir()
    assert export_model(model, tmp_path / "export", paths, known, "pets") == []
    exported = Classifier(tmp_path / "export", temperature)  # which is not applied once more
    got = np.stack([p.probabilities for p in predict_images(exported, paths, 4, 2)])
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    pixels = np.concatenate([pixels for pixels, _ in load_split(dataset, "test", 5)])
    for format in FORMATS:
        named = format.load(tmp_path / "export" / format.path)(pixels)
        got = np.stack([named[name].reshape(-1) for name in CLASSES], axis=1)
        np.testing.assert_allclose(got, wanted, atol=1e-5, err_msg=format.name)
    np.testing.assert_allclose(served(tmp_path / "export", paths), wanted, atol=1e-5)


def served(export: Path, paths: list[str]) -> np.ndarray:
    """[N, C] of the code for ClearML Serving, from the files' bytes."""
    spec = importlib.util.spec_from_file_location("served", export / "serving" / "preprocess.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    serving = module.Preprocess()
    serving.load(str(export / "serving" / "model.tflite"))
    answers = [serving.process(serving.preprocess(Path(p).read_bytes(), {}), {}) for p in paths]
    return np.array([[answer[name] for name in CLASSES] for answer in answers])


def test_a_trained_model_tells_how_its_images_were_stored(raw: Path, tmp_path: Path) -> None:
    """From the dataset through training to the model's file alone."""
    from components.train.fit import train_classifier
    from tests.train.helpers import settings

    recipe = Recipe(32, "pad", "jpeg", 77)
    dataset = processed(raw, tmp_path / "dataset", recipe)
    (tmp_path / "model").mkdir()
    train_classifier(dataset, tmp_path / "model", settings(epochs=1))
    (tmp_path / "alone").mkdir()
    (tmp_path / "model" / "model.keras").rename(tmp_path / "alone" / "model.keras")
    assert Classifier(tmp_path / "alone").recipe == recipe
    told = json.loads((tmp_path / "model" / "model.json").read_text())
    assert told["classes"] == CLASSES
