"""`ingest=sample`: the drawings that come with the project."""

from __future__ import annotations

from pathlib import Path

from components.ingest.layout import Asked
from components.ingest.parameters import Ingest
from components.ingest.sources.folder import content_of, folder_at
from components.ingest.sources.kind import Identify, Kind, Place, Resolve, by_folders

SAMPLE = Path(__file__).resolve().parents[3] / "data"


def _place(settings: Ingest, asked: Asked, resolve: Resolve | None) -> Place:
    place = folder_at(SAMPLE, asked, "sample")
    drawn = [file for file in place.files if "/" in file.path]  # beside them lies the script
    return place._replace(files=drawn)


def _identity(settings: Ingest, asked: Asked, identify: Identify | None) -> str:
    return content_of(_place(settings, asked, None))


KIND = Kind(lambda settings: "ingest=sample", _place, by_folders, lambda *_: SAMPLE, _identity, ())
