"""Hashes of files that nobody has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from components.runtime import hashes
from components.runtime.files import file_hash, stamp_of
from components.runtime.hashes import Hashes, known_file_hash


@pytest.fixture(autouse=True)
def files_of_any_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "TICK", -10e9)  # ns


def test_a_hash_is_known_until_anything_of_the_file_changes(tmp_path: Path) -> None:
    stamp = (5, 7, 11, 13)
    kept = Hashes(tmp_path, "place")
    kept.add("caf\udce9", stamp, "a" * 64)
    kept.save()
    assert Hashes(tmp_path, "place").get("caf\udce9", stamp) == "a" * 64
    assert Hashes(tmp_path, "elsewhere").get("caf\udce9", stamp) == ""
    for number in range(4):
        other = tuple(value + (place == number) for place, value in enumerate(stamp))
        assert Hashes(tmp_path, "place").get("caf\udce9", other) == ""


def test_what_is_no_longer_asked_for_is_forgotten(tmp_path: Path) -> None:
    for names in ("ab", "b"):
        kept = Hashes(tmp_path, "place")
        for name in names:
            kept.get(name, (1, 2, 3, 4)) or kept.add(name, (1, 2, 3, 4), name * 64)
        kept.save()
    kept = Hashes(tmp_path, "place")
    assert kept.get("a", (1, 2, 3, 4)) == ""
    assert kept.get("b", (1, 2, 3, 4)) == "b" * 64


def test_only_so_many_places_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "MOST_PLACES", 3)
    for number in range(5):
        kept = Hashes(tmp_path, f"place {number}")
        kept.add("a", (1, 2, 3, 4), "a" * 64)
        kept.save()
        for file in (tmp_path / "hashes").iterdir():  # all a second older
            os.utime(file, (file.stat().st_mtime - 1,) * 2)
    assert len(list((tmp_path / "hashes").iterdir())) == 3
    assert [bool(Hashes(tmp_path, f"place {n}").get("a", (1, 2, 3, 4))) for n in range(5)] == [
        False, False, True, True, True,
    ]  # fmt: skip


def test_a_place_that_can_not_be_written_costs_time_only(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"data")
    for scratch in (None, file, tmp_path):
        assert known_file_hash(file, scratch) == known_file_hash(file, scratch) == file_hash(file)
    assert Hashes(tmp_path, str(file)).get("", stamp_of(file.stat())) == file_hash(file)
