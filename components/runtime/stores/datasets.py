"""ClearML datasets: found by name, and uploaded and fetched whole or not at all.

The SDK alone finalizes a dataset whose last chunk never arrived, returns a folder without the files
of a damaged one, and lets two processes that fetch the same one remove each other's files.
"""

from __future__ import annotations

import contextlib
import logging
import mimetypes
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

from clearml import Dataset, StorageManager, Task
from clearml.binding.artifacts import Artifact
from clearml.config import get_cache_dir

from components.runtime.files import SEAL, altered
from components.runtime.locks import locked

log = logging.getLogger(__name__)

CHUNK_MB = 512


def find(name: str) -> Dataset:
    """A finished dataset by its id, project/name (the newest version) or project/name/version.

    ValueError when there is none.
    """
    project, _, last = name.rpartition("/")
    if not project:
        if not is_task(name):
            raise ValueError("no such id")
        dataset = Dataset.get(dataset_id=name, silence_alias_warnings=True)
        if not dataset.is_final():
            raise ValueError("it is not finalized")
        return dataset
    known = {"only_completed": True, "silence_alias_warnings": True}
    try:
        return Dataset.get(dataset_project=project, dataset_name=last, **known)
    except ValueError:
        project, _, middle = project.rpartition("/")
        if not project:
            raise
        return Dataset.get(
            dataset_project=project, dataset_name=middle, dataset_version=last, **known
        )


def local_copy(dataset: Dataset) -> Path:
    """A folder with the dataset's files, each with the sha256 that it was published with.

    OSError when they arrive damaged twice.
    """
    with locked(Path(get_cache_dir()) / "published" / f"{dataset.id}.lock"):
        for _ in range(2):
            folder = Path(dataset.get_local_copy())
            damaged = _damaged(dataset, folder)
            if not damaged:
                return folder
            log.warning("dataset %s: %s is damaged, fetching it again", dataset.id, damaged)
            shutil.rmtree(folder, ignore_errors=True)
            folder.unlink(missing_ok=True)  # the SDK makes a file of a folder that it emptied
    raise OSError(f"dataset {dataset.id}: {damaged} comes damaged from the server")


def upload(dataset: Dataset, folder: Path) -> None:
    """Add and upload the files of a folder; OSError unless all of them are on the server then."""
    dataset.add_files(str(folder), verbose=False)
    names = {entry.relative_path for entry in dataset.file_entries}
    dataset.upload(
        show_progress=False, compression=zipfile.ZIP_STORED, chunk_size=CHUNK_MB, preview=False
    )
    if names != {entry.relative_path for entry in dataset.file_entries}:
        raise OSError(f"dataset {dataset.id}: not all files could be packed")
    stored = Task.get_task(task_id=dataset.id).artifacts
    for chunk in sorted({entry.artifact_name for entry in dataset.file_entries}):
        if chunk not in stored or not is_stored(stored[chunk]):
            raise OSError(f"dataset {dataset.id}: the upload did not arrive whole")


@contextlib.contextmanager
def removed_on_failure(dataset: Dataset) -> Iterator[None]:
    """Leave no dataset behind that was not finished."""
    try:
        yield
    except Exception:
        with contextlib.suppress(Exception):
            Dataset.delete(dataset_id=dataset.id, force=True)
        raise


def is_task(reference: str) -> bool:
    """Whether there is a task of that id, which every dataset is; the SDK would log an error."""
    return bool(Task.query_tasks(task_filter={"id": [reference], "search_hidden": True}))


def is_stored(artifact: Artifact) -> bool:
    """Whether the artifact's file is where it should be, at its full size if that can be told."""
    if not StorageManager.exists_file(artifact.url):
        return False
    if _is_text(artifact.url):
        return True
    size = StorageManager.get_file_size_bytes(artifact.url, silence_errors=True)
    return size is None or not artifact.size or size == artifact.size


def _is_text(address: str) -> bool:
    """Whether ClearML's file server sends it compressed, and so tells another size."""
    kind = mimetypes.guess_type(address)[0] or ""
    return kind.startswith("text/") or kind in ("application/json", "application/xml")


def _damaged(dataset: Dataset, folder: Path) -> str | None:
    """A file that is missing or not as it was published, if there is one."""
    if (folder / SEAL).is_file():
        return altered(folder)
    try:
        return next(iter(dataset.verify_dataset_hash(str(folder))), None)
    except OSError as error:
        return str(error.filename)
