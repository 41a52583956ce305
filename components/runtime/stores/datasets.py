"""ClearML datasets: found by name, and uploaded and fetched whole or not at all.

The SDK alone finalizes a dataset whose last chunk never arrived, returns a folder without the files
of a damaged one, and lets two processes that fetch the same one remove each other's files.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import mimetypes
import os
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import IO, Any

from clearml import Dataset, StorageManager, Task
from clearml.binding.artifacts import Artifact
from clearml.config import get_cache_dir

from components.runtime.files import SEAL, altered, read_seal, written
from components.runtime.locks import locked
from components.runtime.schema import BadInput

log = logging.getLogger(__name__)

FINISHED = {  # a filter for tasks, the newest first; the SDK forgets the project on a second page
    "status": ["completed", "published"],
    "system_tags": ["-archived"],
    "order_by": ["-created"],
    "search_hidden": True,
    "page": 0,
}
ARCHIVES = "archives"  # metadata of a dataset: where each of its files is
CANDIDATES = 5  # newest versions among which the one is looked for that has most of a new one
MOST_VERSIONS = 10  # in a chain, each of which ClearML reads to fetch the last one
LEAST_LIVE = 0.5  # of an archive's bytes: with less, its files are uploaded anew
MOST_ARCHIVES = 256  # of an upload; they have at least 1 MiB, or are the last one
UNUSED_DAYS = 30  # after which a machine forgets its copy of a dataset


@dataclass(frozen=True)
class Archive:
    """A zip file on the storage, and what a dataset has of it."""

    dataset: str  # id of the version that it was uploaded with
    told: str  # that version for people
    address: str
    bytes: int
    files: dict[str, str]  # sha256 by name


@dataclass(frozen=True)
class Inherited:
    """What a new version takes from the version `dataset`, the `depth`-th of a chain."""

    dataset: str = ""
    depth: int = 1
    archives: list[Archive] = field(default_factory=list)


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


def local_copy(dataset: Dataset, files: Collection[str] = ()) -> Path:
    """A folder with the dataset's files, each with the sha256 that it was published with.

    Of our own only `files`, if they are named, and those that came with them. OSError when they
    arrive damaged twice, `BadInput` when a version is gone that some of them were uploaded with.
    """
    archives = _read(dataset.id).archives
    if not archives:
        return _merged_by_clearml(dataset)
    folder = _copies() / dataset.id
    wanted = {SEAL, *files} if files else {name for one in archives for name in one.files}
    mended: set[str] = set()
    while True:
        for archive in archives:
            _bring(archive, folder, wanted)
        damaged = altered(folder, wanted)
        if damaged is None:
            return folder
        if damaged in mended:
            raise OSError(f"dataset {dataset.id}: {damaged} comes damaged from the server")
        log.warning("dataset %s: %s is damaged, fetching it again", dataset.id, damaged)
        mended.add(damaged)
        (folder / damaged).resolve().unlink(missing_ok=True)


def _merged_by_clearml(dataset: Dataset) -> Path:
    """What others made, or what was made before `ARCHIVES` was kept, fetched whole."""
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


def _copies() -> Path:
    """The folders of datasets on this machine, without those that nobody wants any more."""
    root = Path(get_cache_dir()) / "published" / "datasets"
    root.mkdir(parents=True, exist_ok=True)
    for folder in root.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            unused = time.time() - folder.stat().st_mtime
            if folder.is_dir() and unused > UNUSED_DAYS * 86400:
                shutil.rmtree(folder, ignore_errors=True)
    return root


def _bring(archive: Archive, folder: Path, wanted: Collection[str]) -> None:
    """Have those of the archive's files in the folder that are wanted.

    A machine fetches an archive once: its files are in the folder of the version that it was
    uploaded with, and others link to them.
    """
    names = wanted & set(archive.files)
    holder = folder.parent / archive.dataset
    for place in (holder, folder) if names else ():
        place.mkdir(exist_ok=True)
        os.utime(place)
    with locked(folder.parent / f"{archive.dataset}.lock") if names else contextlib.nullcontext():
        if not all((holder / name).is_file() for name in names):
            _unpack(archive, holder)
    for name in names if holder != folder else ():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (folder / name).symlink_to(holder / name)


def _unpack(archive: Archive, folder: Path) -> None:
    """Fetch an archive and put all that is in it into the folder, for whoever wants it later.

    OSError when it comes damaged twice, `BadInput` when its version was deleted.
    """
    told = f"{next(iter(archive.files))}, uploaded with {archive.told},"
    for again in (False, True):
        fetched = None
        with contextlib.suppress(ValueError):  # how the SDK tells some failures
            fetched = StorageManager.get_local_copy(
                archive.address, "datasets", extract_archive=False, force_download=again
            )
        if not fetched:
            if is_task(archive.dataset):
                raise OSError(f"{told} can't be fetched from {archive.address}")
            raise BadInput(f"{told} is gone, as that version was deleted; run the stage again")
        try:
            with zipfile.ZipFile(fetched) as zipped:
                for name in {*archive.files, *zipped.namelist()}:
                    if ".." in Path(name).parts or name.startswith("/"):
                        raise BadInput(f"{told} has a file outside of it: {name}")
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    with written(folder / name) as new, zipped.open(name) as source:
                        _write(source, new)
            return
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError):
            log.warning("%s is damaged, fetching it again", archive.address)
        finally:
            if Path(fetched).is_relative_to(get_cache_dir()):  # else it is no copy
                Path(fetched).unlink(missing_ok=True)
    raise OSError(f"{told} comes damaged from the server")


def _write(source: IO[bytes], path: Path) -> None:
    with path.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)


def most_shared(project: str, folder: Path) -> Inherited:
    """What the newest versions in a project have of a sealed folder: of the one that has most.

    Nothing where that is the last of a long chain: all is uploaded anew then.
    """
    inside = Task.get_project_id(project, search_hidden=True)
    wanted = FINISHED | {"project": [inside], "page_size": CANDIDATES}
    best, most = Inherited(), 0
    for one in Task.query_tasks(task_filter=wanted) if inside else ():
        with contextlib.suppress(ValueError):  # it is going
            shared, size = _shared(one, folder)
            if size > most:
                best, most = shared, size
    if best.depth > MOST_VERSIONS or not can_be_parent(best.dataset):
        return Inherited()
    return best


def _shared(dataset: str, folder: Path) -> tuple[Inherited, int]:
    """What a version has of the folder, and its bytes; not of archives that are mostly of no use.

    ClearML fetches whole archives.
    """
    sealed, before = read_seal(folder)["files"], _read(dataset)
    archives, size = [], 0
    for one in before.archives:
        same = {n: h for n, h in one.files.items() if sealed.get(n, {}).get("sha256") == h}
        live = sum(sealed[name]["bytes"] for name in same)
        if live > one.bytes * LEAST_LIVE and StorageManager.exists_file(one.address):
            archives.append(replace(one, files=same))
            size += live
    return Inherited(dataset, before.depth + 1, archives), size


def can_be_parent(dataset: str) -> bool:
    """Whether all versions before it are still there: ClearML makes no child without them."""
    task = Task.get_task(task_id=dataset) if is_task(dataset) else None
    nodes = task.get_configuration_object_as_dict("Dataset Struct") if task else None
    known = [node["job_id"] for node in (nodes or {}).values()]
    wanted = {"id": known, "search_hidden": True}
    return bool(known) and len(Task.query_tasks(task_filter=wanted)) == len(known)


def inherits_all(dataset: str) -> bool:
    """Whether the files that a dataset has from earlier versions are still there."""
    inherited = [one.address for one in _read(dataset).archives if one.dataset != dataset]
    return all_at_once(StorageManager.exists_file, inherited)


def all_at_once(function: Callable[[Any], bool], items: Iterable[Any]) -> bool:
    """Whether all of them are so, asked in threads: the storage takes its time."""
    with ThreadPool(8) as pool:
        return all(pool.map(function, items))


def _read(dataset: str) -> Inherited:
    """Where the files of a dataset are; no archives where that was not written down."""
    kept = Task.get_task(task_id=dataset).artifacts.get(ARCHIVES)
    if kept is None:
        return Inherited()
    told = kept.get()
    return Inherited(dataset, told["depth"], [Archive(**one) for one in told["archives"]])


def upload(dataset: Dataset, folder: Path, inherited: Inherited) -> None:
    """Upload those files of a sealed folder that are not inherited.

    The files of one folder share archives: pieces that stay are not among tables that change.
    OSError unless all of them are on the server then.
    """
    kept = {name for one in inherited.archives for name in one.files}
    for name in set(dataset.file_entries_dict) - kept:
        del dataset.file_entries_dict[name]  # `remove_files` uploads the state for each
    sealed = read_seal(folder)["files"]
    new = sorted({*sealed, SEAL} - kept, key=_place)
    for _, names in itertools.groupby(new, _place):
        _upload(dataset, folder, list(names))
    stored = Task.get_task(task_id=dataset.id).artifacts
    entries = dataset.file_entries_dict
    archives = list(inherited.archives)
    new.sort(key=lambda name: entries[name].artifact_name)
    chunks = {entries[name].artifact_name for name in new}
    arrived = chunks <= set(stored) and all_at_once(is_stored, [stored[one] for one in chunks])
    if not arrived:
        raise OSError(f"dataset {dataset.id}: the upload did not arrive whole")
    for chunk, names in itertools.groupby(new, lambda name: entries[name].artifact_name):
        told = f"{dataset.name} {dataset.version} ({dataset.id})"
        own = {name: entries[name].hash for name in names}
        archives.append(Archive(dataset.id, told, stored[chunk].url, stored[chunk].size, own))
    for one in archives:  # the SDK may have found the same file in an archive of another version
        for name in one.files:
            entries[name].parent_dataset_id = one.dataset
    where = {"depth": inherited.depth, "archives": [asdict(one) for one in archives]}
    dataset.set_metadata(where, metadata_name=ARCHIVES, ui_visible=False)


def _place(name: str) -> str:
    return name.rpartition("/")[0]


def _upload(dataset: Dataset, folder: Path, names: list[str]) -> None:
    """Upload files in archives of their own, a large one in one of its own."""
    size = sum((folder / name).stat().st_size for name in names)
    dataset.add_files(str(folder), wildcard=names, recursive=False, verbose=False)
    dataset.upload(
        show_progress=False,
        compression=zipfile.ZIP_STORED if names[0].endswith(".tar") else zipfile.ZIP_DEFLATED,
        chunk_size=max(1, size // MOST_ARCHIVES // 2**20),
        preview=False,
    )
    if set(names) - set(dataset.file_entries_dict):
        raise OSError(f"dataset {dataset.id}: not all files could be packed")
    for name in names:  # still there where an earlier version has the same file
        dataset.file_entries_dict[name].local_path = None


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
