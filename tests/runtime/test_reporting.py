"""What ClearML's pages show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.ingest import page
from components.ingest.audit import build_raw_dataset
from components.runtime import reporting
from tests.ingest.builders import fill, ingest_settings, photos


class Recorder:
    """A logger that keeps the tables it gets."""

    def __init__(self) -> None:
        self.tables: dict[str, list[list[Any]]] = {}

    def report_table(self, title: str, series: str, table_plot: list[Any], **_: Any) -> None:
        self.tables[f"{title}/{series}"] = table_plot

    def __getattr__(self, _: str) -> Any:
        return lambda *args, **kwargs: None


def test_a_long_table_is_cut_and_says_so(tmp_path: Path) -> None:
    bad = {f"cat/bad {number}.jpg": b"text" for number in range(250)}
    strange = {"dog/\udcff.jpg": b"text"}  # a name that is no UTF-8
    folder = fill(tmp_path / "photos", photos(5) | bad | strange)
    (tmp_path / "raw").mkdir()
    settings = ingest_settings(path=folder, max_rejected_fraction=1)
    build_raw_dataset(settings, tmp_path / "raw")
    recorder = Recorder()
    page.report(recorder, tmp_path / "raw")
    columns, *rows, last = recorder.tables["audit/files"]
    assert columns == ["file", "label", "verdict", "reason"]
    assert len(rows) == reporting.MOST_ROWS
    assert last[0] == "and 51 more; all are in the files"
    assert ["verdict", "left out", 251] in recorder.tables["audit/verdicts and reasons"]
    assert str(recorder.tables).encode()  # as it would be sent
