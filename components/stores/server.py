"""Published things on a ClearML server: versioned datasets, registered models, evaluations.

References are ids: of a dataset, of a model, and of the task that evaluated.
"""

from __future__ import annotations

import contextlib
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from clearml import Dataset, InputModel, Logger, OutputModel, StorageManager, Task
from clearml.config import get_cache_dir
from clearml.storage.helper import StorageHelper

from components import reporting
from components.files import read_json
from components.schema import BadInput
from components.stores import STEPS
from components.stores.server_champions import ServerChampions

DETAILS = "details"  # artifact with the files of a model, beside its weights, or of an evaluation
CHUNK_MB = 512


class ServerStore:
    """Publishes from within a step; fetches anywhere."""

    def __init__(self, project: str | None = None) -> None:
        """For the task of this process; `project` names another's, to look only."""
        self.task = Task.current_task()
        # Without the part where ClearML keeps the steps, which the user does not know.
        self.project = project or self.task.get_project_name().partition(STEPS)[0]
        self.champions = ServerChampions(self.project)

    def publish_dataset(self, folder: Path, parent: str | None) -> str:
        """Upload a dataset unless the same content is there already; returns its id."""
        info = read_json(folder / "dataset.json")
        name = f"{info['kind']} images"
        self._report(reporting.report_dataset, self.task, folder)
        existing = self._dataset_of(name, info["content"])
        if existing:
            return existing
        dataset = Dataset.create(
            dataset_name=name,
            dataset_project=self.project,
            dataset_tags=[_content_tag(info["content"])],
            parent_datasets=[parent] if parent else None,
        )
        if parent:
            dataset.remove_files("*")  # a child inherits its parent's files, and needs none
        dataset.add_files(str(folder), verbose=False)
        dataset.set_metadata(info, metadata_name="dataset.json", ui_visible=False)
        dataset.upload(show_progress=False, compression=zipfile.ZIP_STORED, chunk_size=CHUNK_MB)
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
            self.task.upload_artifact(name, folder / name, wait_on_upload=True)
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
        task = Task.get_task(task_id=reference) if _is_task(reference) else None
        if task is None:
            return self._fetch_model(reference)
        if str(task.task_type) == "data_processing" and "dataset" in (task.get_system_tags() or []):
            return Path(
                Dataset.get(dataset_id=reference, silence_alias_warnings=True).get_local_copy()
            )
        return self._details(task, reference)

    def checkpoints(self, fingerprint: str) -> Path:
        """The folder of a training's checkpoints on this machine, the same for each attempt."""
        return Path(get_cache_dir()) / "checkpoints" / (fingerprint or self.task.id)

    def resolve_dataset(self, name: str) -> Path:
        """A local copy of any ClearML dataset: an id, project/name or project/name/version."""
        project, _, rest = name.rpartition("/")
        try:
            if not project:
                return Path(
                    Dataset.get(dataset_id=name, silence_alias_warnings=True).get_local_copy()
                )
            try:
                found = Dataset.get(dataset_project=project, dataset_name=rest)
            except ValueError:
                project, _, middle = project.rpartition("/")
                found = Dataset.get(
                    dataset_project=project, dataset_name=middle, dataset_version=rest
                )
        except ValueError as error:
            raise BadInput(f"ingest.dataset={name}: {error}") from None
        return Path(found.get_local_copy())

    def _fetch_model(self, reference: str) -> Path:
        try:
            model = InputModel(model_id=reference)
            weights = model.get_weights(raise_on_error=True)
        except ValueError as error:
            raise BadInput(
                f"{reference}: no such dataset or model on the server ({error})"
            ) from None
        folder = self._details(Task.get_task(task_id=model.task), reference)
        link = folder / "model.keras"
        if not link.exists():
            link.unlink(missing_ok=True)  # its target was cleared from ClearML's cache
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
            self.task.upload_artifact(DETAILS, archive, wait_on_upload=True)

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
        task = Task.get_task(task_id=reference) if _is_task(reference) else None
        if task:
            addresses = [artifact.url for artifact in task.artifacts.values()]
        else:
            try:
                addresses = [InputModel(model_id=reference).url]
            except ValueError:
                return False
        return bool(addresses) and all(
            StorageManager.exists_file(address) for address in addresses if address
        )

    def report_epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        """One point on each training curve."""
        for name, value in metrics.items():
            title, series = reporting.curve(name)
            self.task.get_logger().report_scalar(title, series, value, iteration=epoch)

    @staticmethod
    def _report(function: Callable[[Logger, Path], None], task: Task, folder: Path) -> None:
        """Report, and wait for the pictures: the folder is gone soon after."""
        function(task.get_logger(), folder)
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
    """Extract what `_upload_details` attached to a task."""
    with zipfile.ZipFile(task.artifacts[DETAILS].get_local_copy()) as archive:
        archive.extractall(folder)


def _is_task(reference: str) -> bool:
    return bool(Task.query_tasks(task_filter={"id": [reference], "search_hidden": True}))
