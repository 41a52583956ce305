"""The parameters of `evaluate`; their values are in `conf/evaluate/`."""

from __future__ import annotations

from dataclasses import dataclass

from components.runtime.schema import parameter


@dataclass(frozen=True)
class Evaluate:
    """What is measured and shown; a part that is switched off costs nothing."""

    gate: str = parameter(choices=("off", "compare", "promote"), form=True)
    """What of the champion, the model in use: nothing, a comparison with it on the same images, or
    also its replacement if the new model is better."""
    batch_size: int = parameter(at_least=1, affects_result=False)
    "Images a forward pass of the robustness table."
    confidence_level: float = parameter(above=0, at_most=0.999)
    "Level of every interval and of the gate's test, such as 0.95."
    bootstrap_resamples: int = parameter(at_least=0, at_most=100_000)
    "Resamples of the test images behind the intervals; 0: no intervals."
    calibration_bins: int = parameter(at_least=2, at_most=100)
    "Bins of the reliability diagram and of the calibration error."
    temperature_scaling: bool = parameter()
    """Fit a temperature on the validation images; where it is clearly better, the probabilities of
    the evaluation, of predictions and of exports are those with it."""
    curves: bool = parameter()
    "ROC and precision-recall curves with their areas."
    wanted_precision: float | None = parameter(above=0, at_most=1)
    "Find each class's probability threshold that reaches this precision; null: none."
    slices: bool = parameter()
    "Accuracy by image size, brightness, sharpness and source."
    gallery_size: int = parameter(at_least=0, at_most=200)
    "Images in each gallery: worst mistakes, least certain, labels to check; 0: none."
    samples_per_class: int = parameter(at_least=0, at_most=50)
    "Training images shown of each class; 0: none."
    grad_cam_images: int = parameter(
        at_least=0, at_most=200, form=True, only_with="gallery_size!=0"
    )
    "Images of each gallery shown with the regions that the model looked at; 0: none."
    label_errors: bool = parameter()
    "List test and validation images whose label the model confidently contradicts."
    robustness_images: int = parameter(at_least=0)
    "Test images scored under blur, noise, JPEG compression, darkness and rotation; 0: none."
    seed: int = parameter(at_least=0)
    "Seed of resampling and of the noise of the robustness table."
