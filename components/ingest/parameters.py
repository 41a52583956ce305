"""The parameters of the ingest stage; their values are in conf/ingest/."""

from __future__ import annotations

from dataclasses import dataclass

from components.runtime.schema import parameter

BUCKETS = ("s3://", "gs://", "azure://")
FOLDERS = "source=folder|archive|clearml_dataset"  # are the classes
AT_A_PATH = "source=folder|archive|names|table"
PACKED = "source=archive|names|table"  # or may be


def is_bucket(path: str) -> bool:
    """Whether it is in an object storage."""
    return path.lower().startswith(BUCKETS)


@dataclass(frozen=True)
class Ingest:
    """Where images come from, and which of them are good enough."""

    source: str = parameter(
        choices=("sample", "folder", "archive", "clearml_dataset", "names", "table"), form=True
    )
    """Kind of source: the bundled sample, a folder, a zip or tar archive, a ClearML dataset, files
    with the label in their names, or a table with the labels."""
    path: str | None = parameter(form=True, only_with=AT_A_PATH)
    """Folder (one sub-folder a class), the archive's path or http(s) address, either of them for
    source=names, or the CSV or TSV file for source=table. Folders and archives may be in a bucket:
    s3://, gs://, azure://."""
    layout: str = parameter(choices=("auto", "classes", "subfolders"), form=True, only_with=FOLDERS)
    """Which folders are the classes: the first level with several folders, or those below them;
    auto: as their names say."""
    alike: str = parameter(choices=("ask", "merge", "keep"), only_with="source!=sample")
    "Classes whose names differ only in case, spaces or Unicode form: stop, make them one, or keep."
    pattern: str | None = parameter(only_with="source=names")
    """Where the label is in a file's name, for source=names: {label}, {number}, * for anything, as
    in {label}_{number}; with a / it is the path below the folder; null: up to the last number."""
    images: str | None = parameter(only_with="source=table")
    "Folder or archive of the images of a table; null: the table's folder."
    path_column: str = parameter(only_with="source=table")
    "Column of the table with the paths, or with names that only one file has; ending optional."
    label_column: str = parameter(only_with="source=table")
    "Column of the table with the labels."
    split_column: str | None = parameter(only_with="source=table")
    "Column with train, validation or test; split need not be there; null: none."
    sha256: str | None = parameter(only_with=PACKED)
    "Checksum that the archive must have; null: not checked."
    dataset: str | None = parameter(form=True, only_with="source=clearml_dataset")
    "ClearML dataset: its id, or project/name, or project/name/version."
    download_folder: str = parameter(affects_result=False, only_with=AT_A_PATH)
    "Where downloads are kept, once for all runs."
    download_timeout: float = parameter(above=0, affects_result=False, only_with=PACKED)
    "Seconds without progress after which a download is tried again."
    max_files: int = parameter(at_least=1)
    "Files that a source may have; more is an error."
    max_archive_gb: float = parameter(above=0, only_with=PACKED)
    "Gigabytes that an archive may have, packed and unpacked; more is an error."
    max_file_mb: float = parameter(above=0)
    "Megabytes of one file above which it is left out."
    max_megapixels: float = parameter(above=0, at_most=178)
    "Millions of pixels of one image above which it is left out, before any is decoded."
    max_missing_fraction: float = parameter(at_least=0, at_most=1)
    """Share of a picture, 0-1, that its file may lack, as it ends early or is partly zeros; more,
    and it is left out."""
    min_side: int = parameter(at_least=1)
    "Pixels of the shorter side below which an image is left out."
    min_contrast: int = parameter(at_least=0, at_most=255)
    "Difference, 0-255, of brightest and darkest part below which an image is blank and left out."
    near_duplicate_distance: int = parameter(at_least=-1, at_most=16)
    "Bits of 64, by which the perceptual hashes of near duplicates may differ; -1: no search."
    max_rejected_fraction: float = parameter(at_least=0, at_most=1)
    "Share of files left out, 0-1, above which the run fails."
    min_images_per_class: int = parameter(at_least=1)
    "Good images that each class must have, or the run fails."
    workers: int = parameter(at_least=0, affects_result=False)
    "Processes that examine the files; 0: as many as CPUs."
