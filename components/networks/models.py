"""The classifiers: raw images 0-255 of any size in, one probability a class out.

A classifier is one flat Keras model: resizing (up to layer `resized`), the scaling that suits the
backbone, the backbone, average pooling (layer `features`), dropout, `logits`, `probabilities`; when
it is saved, one output for each class by its name. It is made of Keras' own layers only:
`keras.saving.load_model` needs nothing from this project.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from components.imaging.classifier import STORED_AS
from components.imaging.framework import keras
from components.networks.parameters import BACKBONES, Features
from components.networks.resnet import small_resnet
from components.networks.variables import copy_weights
from components.networks.weights import IMAGENET, find_weights
from components.runtime.schema import BadInput

layers = keras.layers
FindWeights = Callable[[str], Path]  # the file behind `train.weights`
BLOCK = re.compile(r"conv\d+_block\d+|block_\d+|expanded_conv")  # layer names of all architectures
IMAGENET_BGR = (-103.939, -116.779, -123.68)  # minus the means of ImageNet, 0-255
SMALLEST = 32  # pixels a side, of the networks in keras.applications
RESIZE = {  # how preprocess made images square, and what does the same in the model
    "stretch": {},
    "crop": {"crop_to_aspect_ratio": True},
    "pad": {"pad_to_aspect_ratio": True, "fill_mode": "constant", "fill_value": 128.0},
}


def scale_to_one(image: keras.KerasTensor) -> keras.KerasTensor:
    """0-255 to -1..1."""
    return layers.Rescaling(1 / 127.5, offset=-1.0, name="scaling")(image)


def subtract_means(image: keras.KerasTensor) -> keras.KerasTensor:
    """RGB to BGR, each channel minus its mean over ImageNet (the "caffe" way)."""
    bgr = keras.ops.flip(image, axis=-1)
    return layers.Rescaling(1.0, offset=IMAGENET_BGR, name="scaling")(bgr)


SCALINGS = {"to_one": scale_to_one, "subtract_means": subtract_means}


def build_classifier(
    settings: Features,
    classes: int,
    image_size: tuple[int, int],
    resize: str = "stretch",
    find: FindWeights = find_weights,
    stored_as: tuple[str, int] = ("png", 0),
    dropout: float = 0.0,
) -> keras.Model:
    """A classifier with its starting weights; `BadInput` when these can't be had.

    `stored_as` is format and quality of the training images: the model tells them to who predicts.
    """
    named = BACKBONES[settings.architecture]
    if named.application and min(image_size) < SMALLEST:
        raise BadInput(
            f"train.architecture={settings.architecture}: needs images of at least {SMALLEST} "
            f"pixels, not {min(image_size)}; set preprocess.image_size=224"
        )
    inputs = keras.Input((None, None, 3), name="image")
    # Not layers.Resizing: it would make model(images) run batch norm in training mode (Keras 3.15).
    resized = keras.ops.image.resize(inputs, image_size, antialias=True, **RESIZE[resize])
    resized = layers.Identity(name=STORED_AS.format(*stored_as))(resized)
    resized = layers.Identity(name="resized")(resized)
    scaled = SCALINGS[named.scaling](resized)
    if named.application is None:
        maps = small_resnet(scaled)
    else:
        application = getattr(keras.applications, named.application)
        maps = application(include_top=False, weights=None, input_tensor=scaled).output
    x = features = layers.GlobalAveragePooling2D(name="features")(maps)
    if dropout:
        x = layers.Dropout(dropout, seed=settings.seed, name="dropout")(x)
    x = layers.Dense(classes, name="logits")(x)
    outputs = layers.Softmax(name="probabilities", dtype="float32")(x)
    model = keras.Model(inputs, outputs, name=settings.architecture)
    if settings.weights is not None:
        load_weights(keras.Model(inputs, features), settings, image_size, find)
    return model


def with_class_names(model: keras.Model, classes: list[str]) -> keras.Model:
    """The same model that returns `{class: probabilities [B]}`: it needs no list of names beside.

    Both share their layers.
    """
    named = {label: model.output[:, place] for place, label in enumerate(classes)}
    return keras.Model(model.inputs, named, name=model.name)


def load_weights(
    backbone: keras.Model, settings: Features, image_size: tuple[int, int], find: FindWeights
) -> None:
    """Fill the backbone from `settings.weights`; `BadInput` when that is missing or another's."""
    named = f"train.weights={settings.weights}"
    if settings.weights == IMAGENET:
        backbone.set_weights(_imagenet_weights(settings.architecture, image_size))
        return
    path = find(settings.weights)
    try:
        if path.suffix == ".keras":
            copy_weights(keras.saving.load_model(path, compile=False), backbone)
        else:
            backbone.load_weights(path)
    except Exception as error:  # h5py, zipfile and Keras raise all sorts on a wrong file
        raise BadInput(
            f"{named}: the file does not fit train.architecture={settings.architecture} "
            f"({_first_sentence(error)}); give weights of this architecture without its top, or "
            "set train.weights=null"
        ) from None


def _imagenet_weights(name: str, image_size: tuple[int, int]) -> list[Any]:
    named = BACKBONES[name].application
    if named is None:
        raise BadInput(
            f"train.weights=imagenet: there are none for {name}; set train.weights=null, or choose "
            "another network by train/model=mobilenetv2"
        )
    try:
        application, shape = getattr(keras.applications, named), (*image_size, 3)
        published = application(include_top=False, weights="imagenet", input_shape=shape)
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise BadInput(
            f"train.weights=imagenet: the weights can't be downloaded ({_first_sentence(error)}); "
            "download that file elsewhere and set train.weights=PATH, or set train.weights=null"
        ) from None
    return published.get_weights()


def _first_sentence(error: Exception) -> str:
    """Of what an exception says, at most 160 characters."""
    text = str(error).strip() or type(error).__name__
    return re.split(r"\n|\. |: None", text)[0][:160]


def backbone_and_head(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Images of the model's own size to features [B, F], and features to logits [B, C].

    Both share the model's layers.
    """
    named = {layer.name: layer for layer in model.layers}
    images = named["resized"].output if "resized" in named else model.inputs
    features = named["features"].output
    x = inputs = keras.Input(features.shape[1:], dtype=features.dtype, name="features")
    for name in ("dropout", "logits"):
        x = named[name](x) if name in named else x
    backbone = keras.Model(images, features, name="backbone")
    return backbone, keras.Model(inputs, x, name="head")


def top_blocks(model: keras.Model, number: int) -> list[keras.Layer]:
    """The layers of the backbone's last `number` blocks and of what follows them."""
    starts: dict[str, int] = {}
    for place, layer in enumerate(model.layers):
        if match := BLOCK.match(layer.name):
            starts.setdefault(match.group(), place)
    if number > len(starts):
        return list(model.layers)
    return model.layers[sorted(starts.values())[-number] :]
