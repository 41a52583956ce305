"""Published things on a ClearML server: versioned datasets, registered models, evaluations.

References are ids: of a dataset, of a model, and of the task that evaluated.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clearml import Dataset, InputModel, Logger, OutputModel, StorageManager, Task
from clearml.config import get_cache_dir
from clearml.storage.helper import StorageHelper

from components.runtime import reporting
from components.runtime.files import read_json
from components.runtime.schema import BadInput
from components.runtime.stores import STEPS, datasets, steps_project
from components.runtime.stores.server_attempts import ServerAttempt
from components.runtime.stores.server_champions import ServerChampions, tagged

log = logging.getLogger(__name__)

PUBLISH_ATTEMPTS = 3
DETAILS = "details"  # artifact with the files of a model, beside its weights, or of an evaluation


class ServerStore:
    """Publishes from within a step; fetches anywhere."""

    def __init__(self, project: str | None = None) -> None:
        """For the task of this process; `project` names another's, to look only."""
        self.task = Task.current_task()
        # Without the part where ClearML keeps the steps, which the user does not know.
        self.project = project or self.task.get_project_name().partition(STEPS)[0]
        self.champions = ServerChampions(self.project)
        self._reported: int | None = None  # the last epoch on the task's curves at the start

    def publish_dataset(self, folder: Path, parent: str | None) -> str:
        """Upload a dataset unless the same content is there already; returns its id."""
        info = read_json(folder / "dataset.json")
        name = f"{info['kind']} images"
        self._report(reporting.report_dataset, self.task, folder)
        existing = self._dataset_of(name, info["content"])
        if existing:
            return existing
        for attempt in range(1, PUBLISH_ATTEMPTS):
            try:
                return self._create_dataset(name, info, folder, parent)
            except (OSError, ValueError) as error:
                log.warning("%s, attempt %d; trying again", error, attempt)
        return self._create_dataset(name, info, folder, parent)

    def _create_dataset(
        self, name: str, info: dict[str, Any], folder: Path, parent: str | None
    ) -> str:
        dataset = Dataset.create(
            dataset_name=name,
            dataset_project=self.project,
            dataset_tags=[_content_tag(info["content"]), *reporting.dataset_tags(info)],
            parent_datasets=[parent] if parent else None,
            description=reporting.dataset_description(info),
        )
        with datasets.removed_on_failure(dataset):
            if parent:
                dataset.remove_files("*")  # a child inherits its parent's files, and needs none
            datasets.upload(dataset, folder)
            dataset.set_metadata(info, metadata_name="dataset.json", ui_visible=False)
            reporting.report_dataset(dataset.get_logger(), folder)
            dataset.finalize()  # waits for the pictures
        return dataset.id

    def publish_model(self, folder: Path, dataset: str) -> str:
        """Register and upload a model; returns its id."""
        info = read_json(folder / "model.json")
        self._report(reporting.report_model, self.task, folder)
        self.task.output_uri = self.task.output_uri or True  # a file:// address helps nobody else
        model = OutputModel(
            task=self.task,
            name=f"{info['architecture']} classifier",
            framework="Keras",
            label_enumeration={label: index for index, label in enumerate(info["classes"])},
            tags=[info["architecture"], _content_tag(info["content"])],
            comment=f"trained on dataset {dataset}",
        )
        self._upload_details(folder, leave_out="model.keras")
        model.update_weights(
            str(folder / "model.keras"), auto_delete_file=False, async_enable=False
        )
        values = {"dataset": dataset, "content": info["content"], "epochs": info["epochs"]}
        values |= {f"validation {name}": value for name, value in info["validation"].items()}
        for key, value in values.items():
            model.set_metadata(key, str(value), v_type="str" if isinstance(value, str) else "float")
        return model.id

    def publish_evaluation(self, folder: Path) -> str:
        """Attach an evaluation to its task; returns the task's id."""
        self._report(reporting.report_evaluation, self.task, folder)
        for name in ("metrics.json", "predictions.csv", "report.html"):
            self._attach(name, folder / name)
        self._upload_details(folder)
        return self.task.id

    def publish_part(self, folder: Path) -> str:
        """Attach a part of a dataset to its task; returns the task's id."""
        self._upload_details(folder)
        return self.task.id

    def fetch_parts(self, references: list[str], folder: Path) -> list[Path]:
        """Copies of parts below `folder`."""
        for reference in references:
            _unpack(Task.get_task(task_id=reference), folder / reference)
        return [folder / reference for reference in references]

    def remove_parts(self, references: list[str]) -> None:
        """Free the space of parts that were merged; a finished task keeps the artifact's name."""
        for reference in references:
            address = Task.get_task(task_id=reference).artifacts[DETAILS].url
            with contextlib.suppress(Exception):  # a storage that deletes nothing is no failure
                StorageHelper.get(address).delete(address, silent=True)

    def fetch(self, reference: str) -> Path:
        """A local, read-only copy of a dataset or model, or of an evaluation."""
        task = Task.get_task(task_id=reference) if datasets.is_task(reference) else None
        if task is None:
            return self._fetch_model(reference)
        if str(task.task_type) == "data_processing" and "dataset" in (task.get_system_tags() or []):
            return datasets.local_copy(datasets.find(reference))
        return self._details(task, reference)

    def fetch_weights(self, reference: str) -> Path:
        """The file with the weights of any registered model, of this pipeline or not."""
        try:
            return Path(InputModel(model_id=reference).get_weights(raise_on_error=True))
        except (ValueError, AttributeError):  # 2.1.12 raises the latter where there is no such id
            raise BadInput(f"{reference}: no such model on the server") from None

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
            weights = model.get_weights(raise_on_error=True)
            if not _is_whole(weights):  # the copy here is damaged, perhaps not the server's
                weights = model.get_weights(raise_on_error=True, force_download=True)
        except ValueError as error:
            raise BadInput(
                f"{reference}: no such dataset or model on the server ({error})"
            ) from None
        folder = self._details(Task.get_task(task_id=model.task), reference)
        link = folder / "model.keras"
        if link.resolve() != Path(weights).resolve():  # new, or fetched to another place
            link.unlink(missing_ok=True)
            with contextlib.suppress(FileExistsError):  # another process was faster
                link.symlink_to(weights)
        return folder

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
    def _details(task: Task, reference: str) -> Path:
        """The folder with the files of `_upload_details`, kept in ClearML's cache."""
        folder = Path(get_cache_dir()) / "published" / reference
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(dir=folder.parent))
            _unpack(task, temporary)
            with contextlib.suppress(OSError):  # another process was faster
                temporary.rename(folder)
        return folder

    def is_intact(self, reference: str) -> bool:
        """Whether the server has the thing, and the files that it points to are still there."""
        task = Task.get_task(task_id=reference) if datasets.is_task(reference) else None
        if task:
            artifacts = task.artifacts.values()
            return bool(artifacts) and all(map(datasets.is_stored, artifacts))
        try:
            return StorageManager.exists_file(InputModel(model_id=reference).url)
        except ValueError:
            return False

    def dataset_info(self, content: str) -> dict[str, Any] | None:
        """What `dataset.json` says of the processed dataset of that content; None without it."""
        found = self._dataset_of("processed images", content) if content else None
        if found is None:
            return None
        dataset = Dataset.get(dataset_id=found, silence_alias_warnings=True)
        return dataset.get_metadata("dataset.json")

    def evaluation_of(self, content: str) -> str | None:
        """The newest evaluation of a model of that content, or None."""
        models = tagged(self.project, _content_tag(content)) if content else []
        if not models:
            return None
        project = Task.get_project_id(steps_project(self.project), search_hidden=True)
        wanted = {
            "project": [project],
            "status": ["completed", "published"],
            "system_tags": ["-archived"],
            "order_by": ["-last_update"],
            "search_hidden": True,
            "_any_": {
                "fields": ["hyperparams.kwargs.model.value"],
                "pattern": "|".join(model.id for model in models),
            },
        }
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

    @staticmethod
    def _report(function: Callable[[Logger, Path], None], task: Task, folder: Path) -> None:
        """Report, and wait for the pictures: the folder is gone soon after."""
        function(reporting.logger_of(task), folder)
        task.flush(wait_for_uploads=True)

    def _dataset_of(self, name: str, content: str) -> str | None:
        found = Dataset.list_datasets(
            dataset_project=self.project,
            partial_name=f"^{name}$",
            tags=[_content_tag(content)],
            only_completed=True,
            include_archived=False,
        )
        return max(found, key=lambda one: one["created"])["id"] if found else None


def _content_tag(content: str) -> str:
    return f"content:{content[:12]}"


def _unpack(task: Task, folder: Path) -> None:
    """Extract what `_upload_details` attached to a task; a damaged copy here is fetched again."""
    attached = task.artifacts[DETAILS]
    try:
        _extract(attached.get_local_copy(), folder)
    except (zipfile.BadZipFile, zlib.error, EOFError):
        _extract(attached.get_local_copy(force_download=True), folder)


def _is_whole(path: str) -> bool:
    """Whether a zip file, as a `.keras` file is, has all that it was written with."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, EOFError):
        return False


def _extract(path: str, folder: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
