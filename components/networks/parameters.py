"""The backbones that there are, and the parameters on which features of images depend."""

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


@dataclass(frozen=True)
class Features:
    """The network below the classifier, and the views of images that it gets to see."""

    architecture: str = parameter(choices=ARCHITECTURES, form=True)
    "The network; choose it together with what suits it by train/model=..."
    weights: str | None = parameter(form=True)
    """What it starts from: imagenet, a file (.h5 or .keras), the reference of a model, or null for
    random weights."""
    cached_views: int = parameter(at_least=0, only_with=CACHED)
    """Views of each image whose features are kept while the network below is frozen: the image
    itself and augmented ones; 0 computes them anew each epoch."""

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

    seed: int = parameter(at_least=0, form=True)
    "Another number draws other initial weights, orders and augmentations."

    @property
    def are_kept(self) -> bool:
        """Whether each image has the same features in every epoch."""
        mixes = self.mixup or self.cutmix
        return self.weights is not None and self.cached_views > 0 and not mixes
