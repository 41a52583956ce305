"""The local store: complete or absent, and never altered without being noticed."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from components.runtime import storage
from components.runtime.schema import BadInput
from components.runtime.stores import Artifact
from components.runtime.stores.local_store import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return storage.use_outputs(tmp_path)


def publish(store: LocalStore, pixels: bytes = b"pixels", content: str = "0123456789abcdef") -> str:
    with storage.workspace() as folder:
        info = {"kind": "processed", "content": content}
        (folder / "dataset.json").write_text(json.dumps(info))
        (folder / "shard").write_bytes(pixels)
        return store.publish(folder, Artifact("dataset", "processed", content=content))


def test_a_published_folder_is_fetched_by_its_reference(store: LocalStore) -> None:
    reference = publish(store)
    assert re.fullmatch("datasets/processed-0123456789ab-[0-9a-f]{8}", reference)
    assert (store.fetch(reference) / "shard").read_bytes() == b"pixels"
    assert store.is_intact(reference)
    assert not any(store.temporary.iterdir())


def test_an_altered_file_is_noticed_and_replaced(store: LocalStore) -> None:
    reference = publish(store)
    (store.fetch(reference) / "shard").write_bytes(b"PIXELS")  # same size
    assert not store.is_intact(reference)
    assert publish(store) == reference
    assert store.is_intact(reference)


def test_a_missing_file_is_noticed(store: LocalStore) -> None:
    reference = publish(store)
    (store.fetch(reference) / "shard").unlink()
    assert not store.is_intact(reference)


def test_the_latest_is_the_one_published_last(store: LocalStore) -> None:
    first, second = publish(store, content="a" * 16), publish(store, content="b" * 16)
    assert store.latest("datasets/processed-") == second
    publish(store, content="a" * 16)  # the same content once more
    assert store.latest("datasets/processed-") == first
    assert store.latest("models/") is None


def test_an_unknown_reference_is_bad_input(store: LocalStore) -> None:
    with pytest.raises(BadInput, match=r"^datasets/none: nothing of that name is in "):
        store.fetch("datasets/none")


def test_what_fails_in_a_workspace_leaves_nothing(store: LocalStore) -> None:
    with pytest.raises(RuntimeError), storage.workspace() as folder:
        (folder / "half").write_text("half")
        raise RuntimeError
    assert not folder.exists()


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    (tmp_path / "tmp" / f"{dead.pid}-abc").mkdir(parents=True)
    store = storage.use_outputs(tmp_path)
    with storage.workspace() as alive:
        storage.use_outputs(tmp_path)  # another run starts
        assert [path.name for path in store.temporary.iterdir()] == [alive.name]


def test_what_is_published_has_ordinary_permissions_and_can_only_be_read(store: LocalStore) -> None:
    folder = store.fetch(publish(store))
    ordinary = folder.parent.stat().st_mode & 0o777
    assert folder.stat().st_mode & 0o777 == ordinary
    assert (folder / "shard").stat().st_mode & 0o777 == ordinary & 0o444
