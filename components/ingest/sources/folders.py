"""The sources that are folders or archives; with the labels in their folders, or in names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from components.ingest.layout import labels_in_names
from components.ingest.sources.kind import (
    Identify,
    Kind,
    Labelled,
    Resolve,
    Source,
    hash_of,
    with_labels,
)

SAMPLE = Path(__file__).resolve().parents[3] / "data"


class Folder(Kind):
    """`ingest=folder`: a folder with one sub-folder a class."""

    wanted = "a folder with one sub-folder of images for each class"
    takes = ("folder",)


class Sample(Folder):
    """`ingest=sample`: the drawings that come with the project."""

    own = ()

    def told(self) -> str:
        """How it is asked for."""
        return "ingest=sample"

    def path(self) -> str:
        """Where the drawings are."""
        return str(SAMPLE)

    def open(self, resolve: Resolve | None) -> Source:
        """All drawings."""
        source = self.in_folder(SAMPLE, "sample")
        drawn = [file for file in source.files if "/" in file.path]  # beside them lies the script
        return replace(source, files=drawn)


class Archive(Kind):
    """`ingest=archive`: a zip or tar archive, here or at an address, with one folder a class."""

    wanted = "the path or the http(s) address of a zip or tar archive"
    takes = ("file",)


class ClearmlDataset(Folder):
    """`ingest=clearml_dataset`: a dataset of the ClearML server, laid out as a folder is."""

    parameter = "dataset"
    wanted = "the dataset's id, project/name or project/name/version"

    def open(self, resolve: Resolve | None) -> Source:
        """All files of the dataset."""
        dataset = self.path()
        if resolve is None:
            raise self.asked.refusal("needs a ClearML server; choose run=local or run=queue")
        return self.in_folder(resolve(dataset), dataset)

    def folder(self) -> None:
        """It is copied."""

    def identity(self, identify: Identify | None) -> str | None:
        """Of its id; None where nobody tells that."""
        dataset = self.path()
        return hash_of(identify(dataset)) if identify else None


class Names(Kind):
    """`ingest=names`: the label is in the file's name, such as `cat.0.jpg`; folders are splits."""

    own = ("pattern", "alike")

    def label(self, source: Source) -> Labelled:
        """By the names, with the pattern if there is one."""
        paths = (file.path for file in source.files if not file.problem)
        found = labels_in_names(paths, self.asked, self.settings.pattern, self.settings.alike)
        return with_labels(source, found, "no label in its name")
