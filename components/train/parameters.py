"""The parameters of the train stage; their values are in conf/train/."""

from __future__ import annotations

from dataclasses import dataclass

from components.runtime.schema import parameter


@dataclass(frozen=True)
class Backbone:
    """A network below the classifier: how it wants its pixels, and where it was published."""

    scaling: str  # of 0-255: to_one, or subtract_means
    application: str | None = None  # its name in keras.applications, with ImageNet weights


BACKBONES = {
    "small_resnet": Backbone("to_one"),
    "mobilenetv2": Backbone("to_one", "MobileNetV2"),
    "resnet50": Backbone("subtract_means", "ResNet50"),
    "resnet101": Backbone("subtract_means", "ResNet101"),
    "resnet152": Backbone("subtract_means", "ResNet152"),
    "resnet50v2": Backbone("to_one", "ResNet50V2"),
    "resnet101v2": Backbone("to_one", "ResNet101V2"),
    "resnet152v2": Backbone("to_one", "ResNet152V2"),
}
ARCHITECTURES = tuple(BACKBONES)
CACHED = "weights!=null and mixup=0.0 and cutmix=0.0"
FINE_TUNED = "weights!=null and fine_tune_epochs!=0"


@dataclass(frozen=True)
class Train:
    """The network, and how it learns."""

    architecture: str = parameter(choices=ARCHITECTURES, form=True)
    "The network; choose it together with what suits it by train/model=..."
    weights: str | None = parameter(form=True)
    """What it starts from: imagenet, a file (.h5 or .keras), the reference of a model, or null for
    random weights."""
    dropout: float = parameter(at_least=0, at_most=0.9)
    "Share of the features that is left out at random before the last layer, 0-0.9."

    epochs: int = parameter(at_least=1, form=True)
    "Passes over the training images; with given weights, of the last layer alone."
    batch_size: int = parameter(at_least=1, form=True)
    "Images a step, over all GPUs together."
    learning_rate: float = parameter(above=0, form=True)
    "The highest learning rate of these epochs."
    cached_views: int = parameter(at_least=0, only_with=CACHED)
    """Views of each image whose features are kept while the network below is frozen: the image
    itself and augmented ones; 0 computes them anew each epoch."""
    fine_tune_epochs: int = parameter(at_least=0, form=True, only_with="weights!=null")
    "Further passes that also train the top blocks of a network with given weights."
    fine_tune_blocks: int = parameter(at_least=1, only_with=FINE_TUNED)
    "How many blocks, from the top, these train."
    fine_tune_learning_rate: float = parameter(above=0, only_with=FINE_TUNED)
    "The highest learning rate of these passes."
    patience: int | None = parameter(at_least=1)
    """Epochs without a lower validation loss after which a phase ends and the weights of its best
    epoch are restored; null trains all epochs and keeps the last."""

    optimizer: str = parameter(choices=("adam", "adamw", "sgd"), form=True)
    "Choose it together with what suits it by train/optimizer=..."
    momentum: float = parameter(at_least=0, at_most=0.9999, only_with="optimizer=sgd")
    "Of sgd (Nesterov)."
    weight_decay: float = parameter(at_least=0)
    "Share of each weight, times the learning rate, that a step takes off it."
    gradient_clipping: float | None = parameter(above=0)
    "Largest norm of all gradients together; null does not clip."
    ema: float | None = parameter(above=0, at_most=0.9999)
    "Momentum of the moving average of the weights that is validated and saved; null for none."

    schedule: str = parameter(choices=("constant", "cosine"))
    "How the learning rate moves: not at all, or down to zero along a cosine."
    warmup_epochs: float = parameter(at_least=0, only_with="schedule=cosine")
    "Epochs, parts allowed, in which a cosine schedule first rises from zero."

    label_smoothing: float = parameter(at_least=0, at_most=0.9)
    "Share of each label that is spread over all classes, 0-0.9."
    class_weights: str | None = parameter(choices=("balanced",))
    "balanced: a rare class counts as much as a frequent one; null: as the images come."

    flip: bool = parameter()
    "Mirror every second image, left to right."
    rotation: float = parameter(at_least=0, at_most=180)
    "Largest rotation either way in degrees."
    zoom: float = parameter(at_least=0, at_most=0.9)
    "Largest change of scale either way, 0-0.9."
    shift: float = parameter(at_least=0, at_most=0.9)
    "Largest shift either way as a share of the side, 0-0.9."
    crop: float = parameter(at_least=0, at_most=0.9)
    "Largest share of the side that is cut off, 0-0.9; the rest is enlarged."
    brightness: float = parameter(at_least=0, at_most=1)
    "Largest change of brightness either way as a share of white, 0-1."
    contrast: float = parameter(at_least=0, at_most=1)
    "Largest change of contrast either way, 0-1."
    saturation: float = parameter(at_least=0, at_most=1)
    "Largest change of saturation either way, 0-1."
    mixup: float = parameter(at_least=0)
    "Blend pairs of images, share drawn from Beta(mixup, mixup); 0 does not."
    cutmix: float = parameter(at_least=0)
    "Paste a part of one image into another, share drawn from Beta(cutmix, cutmix); 0 does not."

    precision: str = parameter(choices=("auto", "float32", "bfloat16", "float16"))
    "Of the computation; auto: what the GPU is fast with, float32 on a CPU."
    xla: bool = parameter()
    "Compile the network with XLA: often faster on a GPU, slower on a CPU."
    seed: int = parameter(at_least=0, form=True)
    "Another number draws other initial weights, orders and augmentations."
