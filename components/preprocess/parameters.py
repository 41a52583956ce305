"""The parameters of the preprocess stage; their values are in conf/preprocess/."""

from __future__ import annotations

from dataclasses import dataclass

from components.runtime.schema import parameter


@dataclass(frozen=True)
class Preprocess:
    """How images are split, resized, encoded and packed."""

    image_size: int = parameter(at_least=8, at_most=4096, form=True)
    "Height and width of the images in pixels."
    resize: str = parameter(choices=("stretch", "crop", "pad"), form=True)
    "How other shapes become square: stretch to it, crop the middle, or pad with grey."
    format: str = parameter(choices=("jpeg", "png"))
    "Encoding of the resized images; png is lossless and several times larger."
    quality: int = parameter(at_least=1, at_most=100)
    "JPEG quality, 1-100; without effect on png."
    validation_fraction: float = parameter(at_least=0, at_most=0.9)
    "Share of the images for validation, 0-0.9; unused when the source has a validation folder."
    test_fraction: float = parameter(at_least=0, at_most=0.9)
    "Share of the images for the final test, 0-0.9; unused when the source has a test folder."
    split_seed: int = parameter(at_least=0)
    "Another number draws other validation and test sets."
    images_per_file: int = parameter(at_least=1)
    "How many images are packed in one tar file."
    parts: int = parameter(at_least=1, at_most=1000, affects_result=False, formerly="shards")
    "Parallel steps on ClearML whose work is merged, for large sets; offline only workers count."
    workers: int = parameter(at_least=0, affects_result=False)
    "Processes that decode and encode; 0: as many as CPUs."
