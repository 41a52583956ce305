"""Every architecture, and every way to give it weights."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from components.imaging.framework import keras
from components.networks import models
from components.networks.models import backbone_and_head, build_classifier, top_blocks
from components.networks.parameters import ARCHITECTURES
from components.runtime.schema import BadInput
from components.train.fit import train_classifier
from components.train.training_copy import training_copy
from tests.train.helpers import make_dataset, probabilities, settings

SIZE = (32, 32)


@pytest.fixture(scope="module")
def published() -> keras.Model:
    """MobileNetV2 without its top, as keras.applications publishes it."""
    keras.utils.set_random_seed(3)
    return keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(*SIZE, 3), pooling="avg"
    )


@pytest.mark.parametrize("form", ["imagenet.h5", "keras3.weights.h5"])
def test_weights_in_the_format_of_imagenet(
    form: str, published: keras.Model, tmp_path: Path
) -> None:
    path = tmp_path / form
    if form.endswith(".weights.h5"):
        published.save_weights(path)
    else:
        from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

        with h5py.File(path, "w") as file:
            save_weights_to_hdf5_group(file, published)
    model = build_classifier(settings(architecture="mobilenetv2", weights=str(path)), 3, SIZE)
    backbone, _ = backbone_and_head(model)
    images = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype(np.float32)
    np.testing.assert_allclose(
        backbone(images), published(images / 127.5 - 1), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (dict(weights="nowhere.h5"), r"train\.weights=nowhere\.h5: there is no such file"),
        (dict(weights="imagenet"), r"train\.weights=imagenet: there are none for small_resnet"),
        (dict(architecture="resnet50", size=16), r"at least 32 pixels.*preprocess\.image_size"),
    ],
)
def test_weights_and_sizes_that_cannot_be(changes: dict, words: str) -> None:
    size = changes.pop("size", 32)
    with pytest.raises(BadInput, match=words):
        build_classifier(settings(**changes), 2, (size, size))


def test_a_file_that_is_another_networks(trained: Path, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.h5"
    garbage.write_bytes(b"no weights")
    for path in (garbage, trained / "model.keras"):
        other = settings(architecture="mobilenetv2", weights=str(path))
        with pytest.raises(BadInput, match=r"does not fit train\.architecture=mobilenetv2"):
            build_classifier(other, 2, SIZE)


def test_no_network_says_what_to_do_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(**_: object) -> keras.Model:
        raise Exception("URL fetch failure on https://example.com/w.h5: None -- no route")

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    with pytest.raises(BadInput, match=r"https://example.com/w\.h5.*set train\.weights=PATH"):
        models._imagenet_weights("mobilenetv2", SIZE)


def test_resizing_is_the_one_of_preprocess() -> None:
    wide = np.zeros((1, 16, 64, 3), np.float32)
    wide[:, :, 24:40] = 255  # the middle square is white
    shapes = {}
    for resize in ("stretch", "crop", "pad"):
        model = build_classifier(settings(), 2, (16, 16), resize)
        resized = keras.Model(model.input, model.get_layer("resized").output)(wide).numpy()
        assert resized.shape == (1, 16, 16, 3)
        shapes[resize] = resized[0, :, :, 0]
    assert shapes["crop"].min() > 200
    assert shapes["pad"][0, 0] == pytest.approx(128)
    assert shapes["stretch"][8, 0] == 0


def test_channels_and_means_of_the_first_resnets() -> None:
    image = keras.Input((1, 1, 3))
    scaling = keras.Model(image, models.subtract_means(image))
    red = np.array([[[[255.0, 0.0, 0.0]]]], np.float32)
    expected = keras.applications.resnet.preprocess_input(red.copy())
    np.testing.assert_allclose(scaling(red), expected, atol=1e-3)


def test_the_training_copy_computes_what_the_classifier_does() -> None:
    model = build_classifier(settings(), 2, (16, 16))
    copy = training_copy(model, "float32", synchronized=False)
    images = np.random.default_rng(0).uniform(0, 255, (8, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(copy(images), model(images), atol=1e-5)
    trained = model(images, training=True)
    np.testing.assert_allclose(copy(images, training=True), trained, atol=1e-5)
    for mine, plain in zip(copy.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, plain, rtol=1e-4, atol=1e-5)


def test_top_blocks_are_counted_from_the_top() -> None:
    backbone, _ = backbone_and_head(build_classifier(settings(), 2, (16, 16)))
    names = [{layer.name[:7] for layer in top_blocks(backbone, n) if layer.weights} for n in (1, 2)]
    assert names == [{"block_3"}, {"block_2", "block_3"}]
    assert top_blocks(backbone, 99) == list(backbone.layers)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES[1:])
def test_every_model_trains_saves_loads_and_predicts(architecture: str, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", size=32, train=4, others=2)
    tiny = settings(architecture=architecture, epochs=1, learning_rate=1e-4)
    train_classifier(data, tmp_path, tiny)
    model = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert model.name == architecture
    images = np.random.default_rng(0).uniform(0, 255, (2, 40, 50, 3)).astype(np.float32)
    np.testing.assert_allclose(probabilities(model, images).sum(axis=1), np.ones(2), rtol=1e-5)
