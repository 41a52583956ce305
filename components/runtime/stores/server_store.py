"""Published things on a ClearML server: versioned datasets, registered models, evaluations.

References are ids: of a dataset, of a model, and of the task that evaluated.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from clearml import Dataset, InputModel, OutputModel, StorageManager, Task
from clearml.backend_api.session.client import APIClient
from clearml.config import get_cache_dir
from clearml.storage.helper import StorageHelper

from components.runtime import reporting
from components.runtime.files import altered, seal
from components.runtime.schema import BadInput
from components.runtime.stores import (
    DATASET,
    MODEL,
    STEPS,
    WEIGHTS,
    Artifact,
    Identity,
    datasets,
    steps_project,
)
from components.runtime.stores.server_attempts import ServerAttempt
from components.runtime.stores.server_champions import ServerChampions, models_of, tagged

log = logging.getLogger(__name__)

PUBLISH_ATTEMPTS = 3
FACTS = "dataset.json"  # metadata of a dataset
DETAILS = "details"  # artifact with the files of a model, beside its weights, or of an evaluation


class ServerStore:
    """Publishes from within a step; fetches anywhere."""

    def __init__(self, project: str | None = None) -> None:
        """For the task of this process; `project` names another's, to look only."""
        self.task = Task.current_task()
        # Without the part where ClearML keeps the steps, which the user does not know.
        self.project = project or self.task.get_project_name().partition(STEPS)[0]
        self.champions = ServerChampions(self.project)
        self.scratch = Path(get_cache_dir())
        self._reported: int | None = None  # the last epoch on the task's curves at the start

    def publish(self, folder: Path, artifact: Artifact) -> str:
        """Keep a dataset, a model or files on the server; the id of the dataset, model or task."""
        version = seal(folder, artifact.content, artifact.apart)
        identity = Identity(artifact.content or version, version)
        artifact.report(reporting.logger_of(self.task), folder)
        self.task.flush(wait_for_uploads=True)  # the pictures: the folder is gone soon after
        if artifact.kind == DATASET:
            return self._publish_dataset(folder, artifact, identity)
        if artifact.kind == MODEL:
            return self._publish_model(folder, artifact, identity)
        for name in artifact.shown:
            self._attach(name, folder / name)
        self._upload_details(folder)
        _set_identity(self.task, identity)
        self.task.add_tags(_pieces_tags(artifact))
        if artifact.keep:
            self._keep_newest(artifact.name, artifact.keep)
        return self.task.id

    def _publish_dataset(self, folder: Path, artifact: Artifact, identity: Identity) -> str:
        for existing in self._datasets_of(artifact.title, identity.content):
            if self.identity(existing).version == identity.version and self.is_intact(existing):
                return existing
        for attempt in range(1, PUBLISH_ATTEMPTS):
            try:
                return self._create_dataset(folder, artifact, identity)
            except (OSError, ValueError) as error:
                log.warning("%s, attempt %d; trying again", error, attempt)
        return self._create_dataset(folder, artifact, identity)

    def _create_dataset(self, folder: Path, artifact: Artifact, identity: Identity) -> str:
        """A version that inherits what an earlier one of the same title has of the folder.

        Its parents are that one and the dataset that it was made from, so that its page shows both.
        """
        inherited = datasets.most_shared(f"{self.project}/.datasets/{artifact.title}", folder)
        parents = [one for one in (artifact.parent, inherited.dataset) if one]
        dataset = Dataset.create(
            dataset_name=artifact.title,
            dataset_project=self.project,
            dataset_tags=[
                *(_content_tag(identity.content), *_pieces_tags(artifact), *artifact.tags),
            ],
            parent_datasets=list(filter(datasets.can_be_parent, parents)),
            description=artifact.description,
        )
        with datasets.removed_on_failure(dataset):
            datasets.upload(dataset, folder, inherited)
            dataset.set_metadata(dict(artifact.facts), metadata_name=FACTS, ui_visible=False)
            _set_identity(Task.get_task(task_id=dataset.id), identity)
            artifact.report(dataset.get_logger(), folder)
            dataset.finalize()  # waits for the pictures
        return dataset.id

    def _publish_model(self, folder: Path, artifact: Artifact, identity: Identity) -> str:
        self.task.output_uri = self.task.output_uri or True  # a file:// address helps nobody else
        model = OutputModel(
            task=self.task,
            name=artifact.title,
            framework="Keras",
            label_enumeration={label: index for index, label in enumerate(artifact.labels)},
            tags=[*artifact.tags, _content_tag(identity.content)],
            comment=artifact.description,
        )
        self._upload_details(folder, leave_out=WEIGHTS)
        model.update_weights(str(folder / WEIGHTS), auto_delete_file=False, async_enable=False)
        for key, value in {**artifact.facts, **identity._asdict()}.items():
            model.set_metadata(key, str(value), v_type="str" if isinstance(value, str) else "float")
        return model.id

    def remove(self, references: list[str]) -> None:
        """Free the space of parts that were merged; a finished task keeps the artifact's name."""
        for reference in references:
            address = Task.get_task(task_id=reference).artifacts[DETAILS].url
            with contextlib.suppress(Exception):  # a storage that deletes nothing is no failure
                StorageHelper.get(address).delete(address, silent=True)

    def _keep_newest(self, name: str, count: int) -> None:
        """Remove the files of earlier publications of this step under a name, but for some."""
        self.task.add_tags([name])
        wanted = {"tags": [name], "status": ["completed"], "order_by": ["-last_update"]}
        inside = {"project": [self.task.project], "search_hidden": True}
        self.remove(Task.query_tasks(task_filter=wanted | inside)[count - 1 :])  # this one runs yet

    def identity(self, reference: str) -> Identity:
        """As it was written beside the thing; what others made is known by its id alone."""
        if datasets.is_task(reference):
            found = Task.get_task(task_id=reference).get_user_properties(value_only=True)
        else:
            try:
                stored = InputModel(model_id=reference).get_all_metadata()
            except ValueError as error:
                raise _unknown(reference, error) from None
            found = {key: one.get("value") for key, one in stored.items()}
        return Identity(found.get("content") or reference, found.get("version") or reference)

    def fetch(self, reference: str, files: Collection[str] = ()) -> Path:
        """A local, read-only copy of a dataset or model, or of an evaluation.

        Of a dataset only `files`, if they are named; others may be missing then.
        """
        task = Task.get_task(task_id=reference) if datasets.is_task(reference) else None
        if task is None:
            return self._fetch_model(reference)
        if str(task.task_type) == "data_processing" and "dataset" in (task.get_system_tags() or []):
            return datasets.local_copy(datasets.find(reference), files)
        return _whole(lambda again: self._details(task, reference, again), reference)

    def fetch_weights(self, reference: str) -> Path:
        """The file with the weights of any registered model, of this pipeline or not."""
        try:
            return Path(InputModel(model_id=reference).get_weights(raise_on_error=True))
        except (ValueError, AttributeError):  # 2.1.12 raises the latter where there is no such id
            raise BadInput(f"{reference}: no such model on the server") from None

    def with_pieces(self, pieces: str, files: Collection[str] = ()) -> Iterator[Path]:
        """Folders of earlier publications with these pieces, each whole, the newest first.

        They are of this project: those of others may not be for everyone who runs this one.
        """
        # ClearML keeps datasets in projects of their own, and steps in another.
        name = rf"^{re.escape(self.project)}/\.(datasets|pipelines)/"
        inside = APIClient().projects.get_all(name=name, search_hidden=True) if pieces else ()
        wanted = {"project": [one.id for one in inside], "tags": [f"pieces:{pieces}"]}
        found = Task.query_tasks(task_filter=datasets.FINISHED | wanted) if inside else ()
        for reference in found:
            with contextlib.suppress(BadInput, OSError, ValueError):  # its files are gone
                yield self.fetch(reference, files)

    def latest(self, kind: str) -> str | None:
        """The newest model of the pipeline; its datasets are found by their steps."""
        found = models_of(self.project, order_by=["-created"])
        return found[0] if found and kind == "models/" else None

    def attempt(self, key: str, complete_epochs: Callable[[Path], int]) -> ServerAttempt:
        """An attempt at the training `key`; its checkpoints are found from other machines, too."""
        folder = Path(get_cache_dir()) / "checkpoints" / key
        return ServerAttempt(folder, self.task, key, complete_epochs)

    def identify_dataset(self, name: str) -> str:
        """The id of any ClearML dataset by id, project/name or project/name/version."""
        return self._find_dataset(name).id

    def resolve_dataset(self, name: str) -> Path:
        """A local copy of any ClearML dataset, named as for `identify_dataset`."""
        return datasets.local_copy(self._find_dataset(name))

    @staticmethod
    def _find_dataset(name: str) -> Dataset:
        try:
            return datasets.find(name)
        except ValueError as error:
            raise BadInput(
                f"ingest.dataset={name}: no such finished dataset is on the server ({error})"
            ) from None

    def _fetch_model(self, reference: str) -> Path:
        try:
            model = InputModel(model_id=reference)
        except ValueError as error:
            raise _unknown(reference, error) from None

        def fetch(again: bool) -> Path:
            try:
                weights = model.get_weights(raise_on_error=True, force_download=again)
            except ValueError as error:
                raise _unknown(reference, error) from None
            folder = self._details(Task.get_task(task_id=model.task), reference, again)
            link = folder / WEIGHTS
            if link.resolve() != Path(weights).resolve():  # new, or fetched to another place
                link.unlink(missing_ok=True)
                with contextlib.suppress(FileExistsError):  # another process was faster
                    link.symlink_to(weights)
            return folder

        return _whole(fetch, reference)

    def _upload_details(self, folder: Path, leave_out: str | None = None) -> None:
        """Keep the files of a folder as one artifact of the task."""
        with tempfile.TemporaryDirectory() as temporary:
            archive = Path(temporary) / f"{DETAILS}.zip"
            with zipfile.ZipFile(archive, "w") as details:
                for path in sorted(folder.rglob("*")):
                    if path.is_file() and path.name != leave_out:
                        details.write(path, path.relative_to(folder))
            self._attach(DETAILS, archive)

    def _attach(self, name: str, path: Path) -> None:
        """Upload a file as an artifact of the task; OSError unless it arrives."""
        done = self.task.upload_artifact(name, path, wait_on_upload=True)
        self.task.reload()
        if not (done and datasets.is_stored(self.task.artifacts[name])):
            raise OSError(f"{name}: the upload did not arrive whole")

    @staticmethod
    def _details(task: Task, reference: str, again: bool) -> Path:
        """The folder with the files of `_upload_details`, kept in ClearML's cache."""
        folder = Path(get_cache_dir()) / "published" / reference
        if again:
            shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            archive = task.artifacts[DETAILS].get_local_copy(force_download=again)
            with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
                shutil.unpack_archive(archive, temporary, "zip")
                with contextlib.suppress(OSError):  # another process was faster
                    Path(temporary).rename(folder)
        return folder

    def is_intact(self, reference: str) -> bool:
        """Whether the server has the thing, and the files that it points to are still there."""
        task = Task.get_task(task_id=reference) if datasets.is_task(reference) else None
        if task:
            artifacts = list(task.artifacts.values())
            stored = datasets.all_at_once(datasets.is_stored, artifacts)
            return bool(artifacts) and stored and datasets.inherits_all(reference)
        try:
            return StorageManager.exists_file(InputModel(model_id=reference).url)
        except ValueError:
            return False

    def dataset_info(self, content: str) -> dict[str, Any] | None:
        """What `dataset.json` says of the processed dataset of that content; None without it."""
        found = self._datasets_of("processed images", content) if content else []
        if not found:
            return None
        return Dataset.get(dataset_id=found[0], silence_alias_warnings=True).get_metadata(FACTS)

    def evaluation_of(self, content: str) -> str | None:
        """The newest evaluation of a model of that content, or None."""
        models = tagged(self.project, _content_tag(content)) if content else []
        if not models:
            return None
        project = Task.get_project_id(steps_project(self.project), search_hidden=True)
        of_model = {
            "fields": ["hyperparams.kwargs.model.value"],
            "pattern": "|".join(model.id for model in models),
        }
        wanted = datasets.FINISHED | {"project": [project], "_any_": of_model}
        found = Task.query_tasks(task_name="^evaluate$", task_filter=wanted)
        return found[0] if found else None

    def report_epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        """One point on each training curve; none twice when a task goes on after a stop."""
        if self._reported is None:
            curves = self.task.get_reported_scalars()
            self._reported = max(curves.get("loss", {}).get("training", {}).get("x", [0]))
        if epoch <= self._reported:
            return
        logger = reporting.logger_of(self.task)
        for name, value in metrics.items():
            title, series = reporting.curve(name)
            logger.report_scalar(title, series, value, iteration=epoch)

    def _datasets_of(self, title: str, content: str) -> list[str]:
        """The ids of the finished datasets of that title and content, the newest first."""
        found = Dataset.list_datasets(
            dataset_project=self.project,
            partial_name=f"^{title}$",
            tags=[_content_tag(content)],
            only_completed=True,
            include_archived=False,
        )
        return [one["id"] for one in sorted(found, key=lambda one: one["created"], reverse=True)]


def _pieces_tags(artifact: Artifact) -> list[str]:
    return [f"pieces:{artifact.pieces}"] if artifact.pieces else []


def _content_tag(content: str) -> str:
    return f"content:{content[:12]}"


def _whole(fetch: Callable[[bool], Path], reference: str) -> Path:
    """The folder that `fetch` brings, once more if a file is not as it was published.

    OSError when it arrives damaged twice.
    """
    for again in (False, True):
        try:
            folder = fetch(again)
            damaged = altered(folder)
        except (shutil.ReadError, zipfile.BadZipFile, zlib.error, EOFError):
            damaged = DETAILS
        if not damaged:
            return folder
    raise OSError(f"{reference}: {damaged} comes damaged from the server")


def _set_identity(task: Task, identity: Identity) -> None:
    task.set_user_properties(**identity._asdict())


def _unknown(reference: str, error: Exception) -> BadInput:
    return BadInput(f"{reference}: no such dataset or model on the server ({error})")
