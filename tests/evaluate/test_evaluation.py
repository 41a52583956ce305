"""A real model on real files, from the folders to the verdict."""

import csv
import dataclasses
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from components.evaluate import figures
from components.evaluate.evaluation import evaluate_model
from components.evaluate.gradcam import heat_maps
from components.evaluate.parameters import Evaluate
from components.imaging.dataset import ShardReader, load_images, load_info, save_images, save_info
from components.imaging.framework import keras
from components.runtime.schema import BadInput, parameters_of
from components.runtime.spreadsheet import original
from tests.evaluate.builders import make_dataset, make_model, settings

PARTS = {"temperature", "thresholds", "slices", "label_errors", "robustness"}
FIGURES = {"confusion_matrix", "roc", "precision_recall", "reliability", "learning_loss"}


def read_metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_accuracy_is_that_of_keras(evaluation, model, dataset):
    """Counted again from the shards, one image at a time."""
    network = keras.saving.load_model(model / "model.keras")
    with ShardReader(dataset) as reader:
        rows = load_images(dataset, "test")
        pixels = np.stack([np.asarray(Image.open(io.BytesIO(reader.read(row)))) for row in rows])
    named = network.predict(pixels.astype("float32"), verbose=0)
    expected = np.stack([named["cat"], named["dog"]], axis=1)
    labels = np.array([["cat", "dog"].index(row.label) for row in rows])
    metrics = read_metrics(evaluation)
    assert metrics["accuracy"] == pytest.approx((expected.argmax(1) == labels).mean())
    assert 0.6 < metrics["accuracy"] < 1  # the tiny model is right often, not always
    with (evaluation / "predictions.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [row["path"] for row in written] == [row.path for row in rows]
    assert [row["label"] for row in written] == [row.label for row in rows]
    for row, probabilities in zip(written, expected, strict=True):
        assert float(row["cat"]) == pytest.approx(probabilities[0], abs=1e-5)
        assert row["predicted"] == ("cat", "dog")[probabilities.argmax()]


def test_everything_is_there(evaluation):
    metrics = read_metrics(evaluation)
    assert set(metrics) >= PARTS | {"intervals", "gate"}
    assert metrics["gate"]["verdict"] == "tie"  # the champion is the same model
    assert json.loads((evaluation / "decision.json").read_text()) == metrics["gate"]
    old, new = "champion_predictions.csv", "predictions.csv"
    assert (evaluation / old).read_text() == (evaluation / new).read_text()
    assert metrics["intervals"]["accuracy"][0] < metrics["accuracy"]
    figures = {path.stem for path in (evaluation / "figures").glob("*.png")}
    assert figures >= FIGURES
    for path in (evaluation / "figures").glob("*.png"):
        assert np.ptp(np.asarray(Image.open(path).convert("L"))) > 100, path


def test_the_same_again_is_the_same(evaluation, model, dataset, tmp_path):
    evaluate_model(model, dataset, tmp_path, settings(), champion=model)
    for name in ("metrics.json", "predictions.csv", "report.html"):
        assert (tmp_path / name).read_bytes() == (evaluation / name).read_bytes(), name


def test_each_part_can_be_switched_off(model, dataset, tmp_path):
    plain = settings(
        gate="off",
        bootstrap_resamples=0,
        temperature_scaling=False,
        curves=False,
        wanted_precision=None,
        slices=False,
        gallery_size=0,
        samples_per_class=0,
        grad_cam_images=0,
        label_errors=False,
        robustness_images=0,
    )
    metrics = evaluate_model(model, dataset, tmp_path, plain)
    assert not set(metrics) & (PARTS | {"gate"})
    assert metrics["intervals"] == {}
    assert not (tmp_path / "decision.json").exists()
    assert (tmp_path / "report.html").read_text().count("<img") == 1  # of augmentation


def test_many_classes_without_validation_or_history(tmp_path):
    classes = tuple(f"breed {number:02d}" for number in range(23))
    dataset = make_dataset(tmp_path / "d", classes, {"train": 1, "test": 2})
    model = make_model(tmp_path / "m", classes)
    (model / "history.csv").unlink()
    (model / "augmentation.png").unlink()
    (tmp_path / "out").mkdir()
    metrics = evaluate_model(model, dataset, tmp_path / "out", settings())
    assert np.array(metrics["confusion_matrix"]).shape == (23, 23)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "The ten classes with the lowest F1" in page
    assert "breed 22" in page


ODD = (
    "a$b$c", "$", "_x", "=cmd", "caf\udce9", "<b>&\"'`|*", "font: 'x", "x" * 120, "\u732b",
    "\U0001f431", "path", "a.b", "\x1b[2J",
)  # fmt: skip


@pytest.mark.filterwarnings("error::UserWarning")  # matplotlib's, of letters that it can't draw
@pytest.mark.parametrize("classes", [ODD, ODD[:6], ODD[:2], ODD[8:10]], ids=str)
def test_any_name_of_classes_and_files(tmp_path, classes):
    dataset = make_dataset(tmp_path / "d", classes, {"train": 1, "validation": 2, "test": 2})
    rows = load_images(dataset)
    odd = [row._replace(path=row.path.replace("/1.jpg", "/\udcff\u202e1.jpg")) for row in rows]
    save_images(dataset, odd, "processed")
    (tmp_path / "out").mkdir()
    metrics = evaluate_model(
        make_model(tmp_path / "m", classes), dataset, tmp_path / "out", settings()
    )
    assert metrics["classes"] == list(classes)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert '<b>&"' not in page
    with (tmp_path / "out" / "predictions.csv").open(errors="surrogateescape") as file:
        rows = list(csv.reader(file))
    assert [original(cell) for cell in rows[0][3:]] == list(classes)
    assert f"test/{classes[0]}/\udcff\u202e1.jpg" in {row[0] for row in rows}


def test_figures_name_classes_where_a_font_has_the_letters():
    assert figures.class_names(["Gr\xf6\xdfe", "a$b", "x" * 40]) == [
        "Gr\xf6\xdfe",
        "a$b",
        "x" * 29 + "\u2026",
    ]
    nobodys = "\U000e0041"  # a letter that no font draws
    assert figures.class_names(["cat", nobodys]) == ["1", "2"]


def test_letters_of_another_font_are_drawn_with_it(monkeypatch):
    """The families of a name in two alphabets; which fonts there are is up to the machine."""
    entries = {font.name: font for font in figures.fontManager.ttflist}
    chosen = [entries["DejaVu Sans"], entries["STIXSizeOneSym"]]
    only = next(
        chr(code) for code in figures.FT2Font(chosen[1].fname).get_charmap()
        if code not in figures.FT2Font(chosen[0].fname).get_charmap()
    )  # fmt: skip
    monkeypatch.setattr(figures.fontManager, "ttflist", chosen[::-1])
    figures._fonts.cache_clear()
    assert figures._fonts(frozenset(f"cat{only}")) == ["DejaVu Sans", "STIXSizeOneSym"]
    figures._fonts.cache_clear()


def test_uneven_classes_are_seen_through(model, dataset, tmp_path):
    """A model that nearly always says the larger class must not look good."""
    test_dogs = [row.path for row in load_images(dataset, "test") if row.label == "dog"]
    uneven = changed(dataset, tmp_path / "uneven", lambda image: image.path not in test_dogs[3:])
    (tmp_path / "out").mkdir()
    metrics = evaluate_model(model, uneven, tmp_path / "out", settings(gate="off"))
    assert metrics["headline"] == "balanced_accuracy"
    assert (metrics["majority_class"], metrics["majority_accuracy"]) == ("cat", 0.769231)
    page = (tmp_path / "out" / "report.html").read_text().replace("\u202f", " ")
    assert (
        f"<h1>Right on {100 * metrics['balanced_accuracy']:.1f} % of a class, on average</h1>"
        in page
    )
    assert f"<title>{100 * metrics['balanced_accuracy']:.1f} %" in page
    assert "Always answering cat would get 76.9 % right." in page


def test_what_ingest_noted_is_in_the_report(model, dataset, tmp_path):
    copy = shutil.copytree(dataset, tmp_path / "d")
    save_info(copy, load_info(copy) | {"notes": ["class folders without files: <bird>"]})
    (tmp_path / "out").mkdir()
    evaluate_model(model, copy, tmp_path / "out", settings(gate="off"))
    assert (
        "<p>class folders without files: &lt;bird&gt;</p>"
        in (tmp_path / "out/report.html").read_text()
    )


def test_a_frozen_backbone_of_another_size_has_heat_maps(dataset):
    backbone = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(None, None, 3), alpha=0.35
    )
    backbone.trainable = False
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Resizing(64, 64)(inputs)
    x = backbone(keras.layers.Rescaling(1 / 127.5, offset=-1)(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    network = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
    images = np.random.default_rng(0).integers(0, 256, (2, 24, 24, 3)).astype("float32")
    maps = heat_maps(network, images, np.array([0, 2]))
    assert maps.shape == (2, 2, 2)
    assert maps.min() >= 0
    assert maps.max() == pytest.approx(1)


def test_heat_map_is_where_the_class_is():
    """A network that looks for bright pixels must look at the bright corner."""
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(1, 3, padding="same", activation="relu")(inputs)
    x = keras.layers.GlobalMaxPooling2D()(x)
    network = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))
    network.set_weights(
        [np.full((3, 3, 3, 1), 1 / 27 / 255), np.zeros(1), np.array([[-1.0, 1.0]]), np.zeros(2)]
    )
    image = np.zeros((1, 16, 16, 3), "float32")
    image[0, :4, 12:] = 255
    heat = heat_maps(network, image, np.array([1]))[0]
    assert heat[:5, 11:].max() == pytest.approx(1)
    assert heat[8:].max() == 0


def test_a_model_without_a_map_of_features_has_no_heat_maps(tmp_path):
    inputs = keras.Input((4, 4, 3))
    outputs = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(inputs))
    assert heat_maps(keras.Model(inputs, outputs), np.zeros((1, 4, 4, 3)), np.array([0])) is None


def changed(dataset, folder, keep):
    """A copy of the dataset with only the test images that `keep` accepts."""
    shutil.copytree(dataset, folder)
    images = [image for image in load_images(folder) if image.split != "test" or keep(image)]
    info = load_info(folder)
    counts = dict.fromkeys(info["classes"], 0)
    for image in images:
        counts[image.label] += image.split == "test"
    save_images(folder, images, "processed")
    save_info(folder, info | {"counts": info["counts"] | {"test": counts}})
    return folder


def refusal(*arguments, **options):
    with pytest.raises(BadInput) as caught:
        evaluate_model(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_test_split_that_can_not_be_scored_is_refused(model, dataset, tmp_path):
    no_dog = changed(dataset, tmp_path / "no_dog", lambda image: image.label == "cat")
    assert "has no image of dog" in refusal(model, no_dog, tmp_path, settings())
    single = changed(dataset, tmp_path / "single", lambda image: image.path == "test/cat/0.jpg")
    assert "has no image of dog" in refusal(model, single, tmp_path, settings())
    empty = changed(dataset, tmp_path / "empty", lambda image: False)
    assert "has no image of cat" in refusal(model, empty, tmp_path, settings())
    assert "no processed dataset" in refusal(model, tmp_path, tmp_path, settings())


def test_an_unreadable_model_is_refused(model, dataset, tmp_path):
    assert "no such file" in refusal(tmp_path / "none", dataset, tmp_path, settings())
    broken = shutil.copytree(model, tmp_path / "broken")
    (broken / "model.keras").write_bytes(b"PK not really")
    assert "not a readable model" in refusal(broken, dataset, tmp_path, settings())
    (broken / "model.json").write_text('{"classes": ["cat", "dog", "owl"]}')
    shutil.copy(model / "model.keras", broken)
    assert "its outputs are not the 3 classes" in refusal(broken, dataset, tmp_path, settings())


def test_another_set_of_classes_is_refused(dataset, tmp_path):
    model = make_model(tmp_path / "m", ("cat", "owl"))
    assert "knows the classes cat, owl" in refusal(model, dataset, tmp_path, settings())


def test_another_order_of_classes_is_no_matter(evaluation, dataset, tmp_path):
    model = make_model(tmp_path / "m", ("cat", "dog"))
    info = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps(info | {"classes": ["dog", "cat"]}))
    (tmp_path / "out").mkdir()
    metrics = evaluate_model(model, dataset, tmp_path / "out", settings())
    assert metrics["confusion_matrix"] == read_metrics(evaluation)["confusion_matrix"]


def test_a_champion_that_saw_the_test_images_is_refused(model, dataset, tmp_path):
    leaking = shutil.copytree(model, tmp_path / "leaking")
    seen = [image.sha256 for image in load_images(dataset, "test")][:13]
    (leaking / "trained_on.txt").write_text("\n".join(seen))
    message = refusal(model, dataset, tmp_path, settings(), champion=leaking)
    assert "was trained on 13 of the 20 test images" in message
    (leaking / "trained_on.txt").unlink()
    message = refusal(model, dataset, tmp_path, settings(), champion=leaking)
    assert "the champion leaking does not tell which images it was trained on" in message


def test_a_model_without_opponent_wins(model, dataset, tmp_path):
    metrics = evaluate_model(model, dataset, tmp_path, settings())
    assert metrics["gate"] == {
        "verdict": "promote",
        "reason": "promote: there is no champion to compare with",
    }
    assert "there is no champion to compare with" in (tmp_path / "report.html").read_text()


def test_the_shipped_values_are_whole():
    from omegaconf import OmegaConf

    from tests.conftest import ROOT

    known = set(parameters_of(Evaluate))
    shipped = OmegaConf.load(ROOT / "conf/evaluate/default.yaml")
    assert set(shipped) == known
    quick = OmegaConf.load(ROOT / "conf/evaluate/quick.yaml")
    assert set(quick) - {"defaults"} < known
    assert sum(p.form for p in parameters_of(Evaluate).values()) <= 2
    assert all(p.help for p in parameters_of(Evaluate).values())
    assert {field.name for field in dataclasses.fields(Evaluate)} == known
