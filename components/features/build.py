"""From a processed dataset to the features of its images, those of earlier ones taken over."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from components.features.parameters import Features
from components.imaging.dataloader import open_split
from components.imaging.dataset import SPLITS, load_info
from components.networks.features import Extractor, backbone_hash, save_features, views_of
from components.networks.models import backbone_and_head, build_classifier
from components.networks.weights import find_weights
from components.runtime.stores import FEATURE, Artifact, Store, pieces_key

log = logging.getLogger(__name__)

ASKED = 3  # earlier publications
KEPT = 5  # publications of a backbone


def build_features(
    store: Store,
    dataset: Path,
    folder: Path,
    settings: Features,
    code: str,
    report: Callable[[Any, Path], None],
) -> Artifact:
    """Fill `folder` as `save_features` does; what it is as a publication. Raises `BadInput`.

    `code` is the hash of all that computes; empty: nothing earlier is taken.
    """
    info = load_info(dataset)
    size = tuple(info["image_size"])
    find = partial(find_weights, fetch=store.fetch_weights)
    backbone, _ = backbone_and_head(build_classifier(settings, 1, size, find=find))
    known = backbone_hash(backbone)
    pieces = pieces_key(code, known)
    earlier = itertools.islice(store.with_pieces(pieces), ASKED)
    extract = Extractor(known, lambda: backbone, earlier)
    splits = [open_split(dataset, split) for split in SPLITS if any(info["counts"][split].values())]
    views = views_of(settings)
    save_features(extract, splits, views, folder)
    images = sum(len(split.images) for split in splits)
    log.info("features of %d images in %d views; computed %d", images, len(views), extract.computed)
    return Artifact(
        kind=FEATURE,
        name=f"{settings.architecture}-{known[:8]}",
        title=f"features of {settings.architecture}",
        pieces=pieces,
        keep=KEPT,
        report=report,
    )
