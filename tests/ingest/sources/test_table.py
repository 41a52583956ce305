"""Labels from a table: columns, what is missing, doubled or contradictory, splits."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from components.imaging.dataset import LEFT_OUT, load_images
from components.ingest import download
from components.ingest.audit import build_raw_dataset
from components.ingest.sources import fingerprint, folder_of, open_source
from components.runtime.schema import BadInput
from tests.ingest.builders import encoded, fill, ingest_settings, photo

PHOTOS = {f"img/{n}.jpg": encoded(photo(n)) for n in range(8)}
ROWS = [f"img/{n}.jpg,{'cat' if n % 2 else 'dog'}" for n in range(8)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "data", PHOTOS)


def table(folder: Path, *rows: str, name: str = "labels.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes("".join(f"{row}\n" for row in rows).encode(encoding, "surrogateescape"))
    return path


def found(path: Path, **changes: Any) -> dict[str, tuple[str, str, str]]:
    files = open_source(ingest_settings("table", path=path, **changes)).files
    return {file.path: (file.label, file.split, file.problem) for file in files}


def refusal(path: Any, **changes: Any) -> str:
    with pytest.raises(BadInput) as told:
        open_source(ingest_settings("table", path=path, **changes))
    assert "\n" not in str(told.value)
    return str(told.value)


def test_a_table_becomes_a_raw_dataset(folder: Path, tmp_path: Path) -> None:
    rows = [*ROWS, "img/9.jpg,cat", ROWS[0], ""]
    fill(folder, {"img/cut.jpg": b"no image"})
    path = table(folder, "path,label", *rows, "img/cut.jpg,cat")
    raw = tmp_path / "raw"
    raw.mkdir()
    info = build_raw_dataset(ingest_settings("table", path=path), raw)
    assert info["counts"] == {"cat": 4, "dog": 4}
    assert info["reasons"] == {"doubled row": 1, "missing": 1, "not an image": 1}
    reasons = [image.reason for image in load_images(raw) if image.verdict == LEFT_OUT]
    assert "doubled row: row 11 of the table is as row 2" in reasons
    assert info["root"] == str(folder)


@pytest.mark.parametrize(
    ("name", "separator", "encoding"),
    [
        ("t.tsv", "\t", "utf-8"),
        ("t.csv", ";", "utf-8-sig"),
        ("t.txt", "|", "utf-8"),
        ("t.csv", "\t", "utf-16"),
    ],
)
def test_separators_and_encodings_of_spreadsheets(
    folder: Path, name: str, separator: str, encoding: str
) -> None:
    rows = [row.replace(",", separator) for row in ["path,label,n\xf6te", *ROWS, 'x.jpg,"a,b"']]
    path = table(folder, *rows, name=name, encoding=encoding)
    assert found(path)["img/1.jpg"] == ("cat", "", "")


def test_columns_are_parameters_and_endings_optional(folder: Path) -> None:
    rows = [row.replace("img/", "").replace(".jpg", "") for row in ROWS]
    path = table(folder, "id,breed,age", *(f"{row},3" for row in rows))
    told = refusal(path)
    assert "it has no column path; its columns are id, breed, age" in told
    assert "ingest.path_column=" in told
    assert "it has no column label" in refusal(path, path_column="id")
    source = open_source(
        ingest_settings("table", path=path, path_column="id", label_column="breed")
    )
    assert {file.path for file in source.files} == set(PHOTOS)
    assert source.notes == ["columns of the table that are not used: age"]


def test_splits_are_respected_and_unknown_ones_refused(folder: Path) -> None:
    splits = ["train"] * 4 + ["Test"] * 4
    rows = [f"{row},{split}" for row, split in zip(ROWS, splits, strict=True)]
    path = table(folder, "path,label,split", *rows)
    assert found(path)["img/7.jpg"] == ("cat", "test", "")
    assert found(path, split_column=None)["img/7.jpg"] == ("cat", "", "")
    table(folder, "path,label,split", *rows, "img/0.jpg,dog,fold3")
    assert "row 10 has the split fold3; it must be one of " in refusal(path)
    table(folder, "path,label,split", *rows, "img/0.jpg,dog,")
    assert "row 10 has no split, but others have" in refusal(path)
    assert "it has no column part" in refusal(path, split_column="part")


def test_contradictions_are_left_out(folder: Path) -> None:
    problems = found(table(folder, "path,label", *ROWS, "img/0.jpg,cat"))
    assert problems["img/0.jpg"][2] == "two labels: row 2 and row 10 of the table differ"
    fill(folder, {"more/1.jpg": b""})
    names = [row.replace("img/", "") for row in ROWS]
    problems = found(table(folder, "path,label", *names, "5.jpg,", "img/6.jpg,"))
    assert problems["1.jpg"][2] == "several files: img/1.jpg, more/1.jpg"


def test_what_has_no_label_is_set_aside(folder: Path) -> None:
    fill(folder, {"test/1.jpg": b"", "test/2.jpg": b""})
    source = open_source(ingest_settings("table", path=table(folder, "path,label", *ROWS)))
    assert len(source.files) == 8
    (note,) = source.notes
    assert (
        f"2 files in test; to predict them: python pipelines/predict.py images={folder}/test"
        in note
    )
    rows = [*(f"{row},train" for row in ROWS), "test/1.jpg,,test", "test/2.jpg,,test"]
    again = open_source(ingest_settings("table", path=table(folder, "path,label,split", *rows)))
    assert (len(again.files), again.notes) == (8, [note])


def test_images_may_lie_elsewhere(folder: Path, tmp_path: Path) -> None:
    path = table(tmp_path, "path,label", *ROWS)
    assert found(path, images=folder)["img/1.jpg"] == ("cat", "", "")
    absolute = table(folder, "path,label", *(f"{folder}/{row}" for row in ROWS))
    assert found(absolute)["img/1.jpg"] == ("cat", "", "")
    told = refusal(path, images=folder / "img")
    assert f"none of its 8 files is in ingest.images={folder}/img, such as img/0.jpg" in told
    assert "there is no such folder" in refusal(path, images=folder / "none")


def test_mistakes_are_told_in_one_line(folder: Path, tmp_path: Path) -> None:
    assert "ingest.path=null: give a CSV or TSV file" in refusal(None)
    assert "there is no such file" in refusal(tmp_path / "none.csv")
    table(folder, "path,label")
    assert "it is a folder; name the table, of which it has labels.csv" in refusal(folder)
    assert "it has no rows" in refusal(folder / "labels.csv")
    assert "it is no text; save the table as CSV" in refusal(folder / "img/1.jpg")
    fill(folder, {"a.xlsx": b"PK\3\4", "empty.csv": b""})
    assert "it is no text" in refusal(folder / "a.xlsx")
    assert "it has no column path; its columns are none" in refusal(folder / "empty.csv")
    assert "found one label with files, cat; it needs two classes" in refusal(
        table(folder, "path,label", ROWS[1])
    )


def test_classes_that_are_alike_are_asked_about_with_all_that_was_said(folder: Path) -> None:
    path = table(folder, "id,label", *ROWS[:7], "img/7.jpg,Cat")
    told = refusal(path, path_column="id")
    assert "ingest.path_column=id ingest.label_column=label" in told
    assert "ingest.alike=merge; if not: " in told
    assert found(path, path_column="id", alike="merge")["img/7.jpg"][0] == "cat"


def test_the_fingerprint_has_the_table_and_the_photos(folder: Path) -> None:
    def now() -> str | None:
        return fingerprint(ingest_settings("table", path=folder / "labels.csv"))

    table(folder, "path,label", *ROWS)
    before = now()
    assert before == now() is not None
    table(folder, "path,label", *ROWS[::-1])
    assert now() != before
    table(folder, "path,label", *ROWS)
    (folder / "img/1.jpg").write_bytes(b"other")
    assert now() != before


class Web(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and notes what is asked for; `busy` is too busy."""

    asked: ClassVar[list[str]] = []
    log_message = lambda *_: None  # noqa: E731

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if "busy" in self.path:
            return self.send_error(503)
        super().do_GET()


@pytest.fixture
def web(folder: Path) -> Iterator[str]:
    handler = functools.partial(Web, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        Web.asked.clear()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_list_of_addresses_is_fetched_once_and_what_is_not_there_is_left_out(
    web: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "PAUSE", 0)
    rows = [f"{web}/img/{n}.jpg?key=secret,{'cat' if n % 2 else 'dog'}" for n in range(8)]
    path = table(tmp_path, "path,label", *rows, f"{web}/img/none.jpg,cat", "img/1.jpg,dog")
    settings = ingest_settings("table", path=path, download_folder=str(tmp_path / "downloads"))
    first = fingerprint(settings)
    assert Web.asked == []
    source = open_source(settings)
    assert len(Web.asked) == 9
    assert folder_of(settings) is None
    fine = {file.path: file.label for file in source.files if not file.problem}
    assert sorted(name.split("--")[1] for name in fine) == [f"{n}.jpg" for n in range(8)]
    assert {data for file, data in source.contents() if not file.problem} == set(PHOTOS.values())
    assert {file.problem for file in source.files if file.problem} == {
        "the server answers 404 File not found", "missing: there is no such file",
    }  # fmt: skip
    assert not any("secret" in f"{file}" for file in source.files)
    Web.asked.clear()
    assert fingerprint(settings) == first
    assert len(open_source(settings).files) == 10
    assert Web.asked == ["/img/none.jpg"]
    table(tmp_path, "path,label", *rows, f"{web}/busy.jpg?key=secret,cat")
    assert fingerprint(settings) != first
    with pytest.raises(BadInput) as told:
        open_source(settings)
    assert f"{web}/busy.jpg?... cannot be fetched; run again to go on" in str(told.value)
