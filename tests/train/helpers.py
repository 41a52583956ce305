"""Tiny processed datasets of coloured shapes, and settings that train on them in a second."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image as Picture
from PIL import ImageDraw

from components.imaging.dataset import Image, save_images, save_info
from components.imaging.packing import ShardWriter
from components.runtime.schema import parse, to_text
from components.train.parameters import Train

CLASSES = ["disc", "square"]
SETTINGS = dict(
    architecture="small_resnet",
    weights=None,
    dropout=0.0,
    epochs=2,
    batch_size=8,
    learning_rate=1e-2,
    cached_views=1,
    fine_tune_epochs=0,
    fine_tune_blocks=1,
    fine_tune_learning_rate=1e-3,
    patience=None,
    optimizer="adam",
    momentum=0.9,
    weight_decay=0.0,
    gradient_clipping=None,
    ema=None,
    schedule="constant",
    warmup_epochs=0.0,
    label_smoothing=0.0,
    class_weights=None,
    flip=True,
    rotation=10.0,
    zoom=0.1,
    shift=0.1,
    crop=0.0,
    brightness=0.1,
    contrast=0.1,
    saturation=0.1,
    mixup=0.0,
    cutmix=0.0,
    precision="auto",
    xla=False,
    seed=1,
)
PLAIN = dict(
    flip=False, rotation=0.0, zoom=0.0, shift=0.0, brightness=0.0, contrast=0.0, saturation=0.0
)


def probabilities(model: Any, images: Any, **options: Any) -> np.ndarray:
    """[B, C] in the order of CLASSES of a saved model."""
    named = model(images, **options)
    assert set(named) == set(CLASSES)
    return np.stack([named[label].numpy() for label in CLASSES], axis=1)


def settings(**changes: Any) -> Train:
    """The tiny settings with some changed."""
    return Train(**(SETTINGS | changes))


def draw(label: str, size: int, random: np.random.Generator) -> bytes:
    """A PNG of one filled shape of any colour somewhere on a noisy ground."""
    ground = random.integers(0, 120, (size, size, 3), dtype=np.uint8)
    picture = Picture.fromarray(ground)
    radius = int(random.integers(size // 5, size // 3))
    x, y = random.integers(radius, size - radius, 2)
    box = (int(x - radius), int(y - radius), int(x + radius), int(y + radius))
    colour = tuple(int(c) for c in random.integers(130, 256, 3))
    pen = ImageDraw.Draw(picture)
    (pen.ellipse if label == "disc" else pen.rectangle)(box, fill=colour)
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


def make_dataset(folder: Path, size: int = 16, train: int = 24, others: int = 8) -> Path:
    """A processed dataset with `train` training images and `others` in each other split."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    rows, counts = [], {}
    for split, number in (("train", train), ("validation", others), ("test", others)):
        counts[split] = {label: number // 2 for label in CLASSES}
        own = []
        with ShardWriter(folder, images_per_file=10) as shards:
            for i in range(number):
                label = CLASSES[i % 2]
                data = draw(label, size, random)
                path = f"{label}/{split}{i}.png"
                digest = hashlib.sha256(data).hexdigest()
                shards.add(digest, data)
                own.append(
                    Image(
                        path=path,
                        label=label,
                        split=split,
                        sha256=digest,
                        width=size,
                        height=size,
                    )
                )
        rows += shards.placed(own)
    content = save_images(folder, rows, "processed")
    info = {
        "kind": "processed",
        "classes": CLASSES,
        "image_size": [size, size],
        "counts": counts,
        "content": content,
        "parameters": {"resize": "stretch", "image_size": size, "format": "png", "quality": 90},
    }
    save_info(folder, info)
    return folder


def option_of(group: Path, option: str) -> dict[str, Any]:
    """The values of an option, over those of the one that it extends."""
    values = yaml.safe_load((group / f"{option}.yaml").read_text())
    bases = [base for base in values.pop("defaults", []) if base != "_self_"]
    return {k: v for base in bases for k, v in option_of(group, base).items()} | values


def shipped(model: str = "small_resnet", augmentation: str = "light", **changes: Any) -> Train:
    """The settings of conf/train/ with options of its groups and changes."""
    root = Path(__file__).parents[2] / "conf" / "train"
    main = yaml.safe_load((root / "default.yaml").read_text())
    groups = {k: v for part in main.pop("defaults") if part != "_self_" for k, v in part.items()}
    groups |= {"model": model, "augmentation": augmentation}
    for group, option in groups.items():
        main |= option_of(root / group, option)
    texts = {name: to_text(value) for name, value in (main | changes).items()}
    return parse(Train, texts, "train")
