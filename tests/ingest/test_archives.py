"""Archives: both kinds, and hostile ones."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest

from components.imaging.dataset import LEFT_OUT, ShardReader, load_images
from components.ingest.audit import build_raw_dataset
from components.ingest.sources import open_source
from components.runtime.schema import BadInput
from tests.ingest.builders import contents, ingest_settings, photos

GOOD = photos(4)


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tar_of(path: Path, files: dict[str, bytes], links: Any = None) -> Path:
    """`links`: type and target by name."""
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, (kind, target) in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    return path


def ingest(
    archive: Path, files: dict[str, bytes] = GOOD, **changes: Any
) -> tuple[dict[str, Any], dict[str, str]]:
    """What `dataset.json` says, and the reasons of files left out by path."""
    folder = archive.parent / "raw"
    folder.mkdir()
    info = build_raw_dataset(ingest_settings("archive", path=archive, **changes), folder)
    images = load_images(folder)
    with ShardReader(folder) as reader:
        for image in images:
            assert image.verdict == LEFT_OUT or reader.read(image) == files[image.path]
    return info, {i.path: i.reason for i in images if i.verdict == LEFT_OUT}


@pytest.mark.parametrize("name", ["photos.zip", "photos.tar", "photos.tar.gz"])
def test_an_archive_becomes_a_packed_dataset(tmp_path: Path, name: str) -> None:
    make = zip_of if name.endswith("zip") else tar_of
    info, left_out = ingest(make(tmp_path / name, GOOD | {"readme.txt": b"text"}))
    assert info["counts"] == {"cat": 4, "dog": 4}
    assert (info["name"], info["root"]) == ("photos", None)
    assert left_out == {"readme.txt": "not in a class folder"}


OUTSIDE = ["../evil.jpg", "cat/../../evil.jpg", "/tmp/evil.jpg", "C:\\evil.jpg", "..\\evil.jpg"]


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_no_name_leads_outside(tmp_path: Path, make: Any) -> None:
    evil = {name: GOOD["cat/1.jpg"] for name in OUTSIDE}
    inner = tmp_path / "inner"
    inner.mkdir()
    _, left_out = ingest(make(inner / "evil.archive", GOOD | evil))
    assert left_out == dict.fromkeys(OUTSIDE, "its name points outside the archive")
    assert not [path for path in contents(tmp_path) if "evil.jpg" in path]


def test_links_and_devices_are_not_followed(tmp_path: Path) -> None:
    links = {
        "cat/soft.jpg": (tarfile.SYMTYPE, "/etc/passwd"),
        "cat/hard.jpg": (tarfile.LNKTYPE, "cat/1.jpg"),
        "cat/device.jpg": (tarfile.CHRTYPE, ""),
        "cat/pipe.jpg": (tarfile.FIFOTYPE, ""),
    }
    _, left_out = ingest(tar_of(tmp_path / "links.tar", GOOD, links))
    assert left_out == dict.fromkeys(links, "a link or device")


def test_links_in_a_zip_are_not_followed(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "links.zip", GOOD)
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("cat/soft.jpg")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    assert ingest(path)[1] == {"cat/soft.jpg": "a link or device"}


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_a_bomb_is_not_unpacked(tmp_path: Path, make: Any) -> None:
    path = make(tmp_path / "bomb", GOOD | {"cat/zeros.jpg": bytes(5_000_000)})
    with pytest.raises(BadInput, match=r"more than ingest\.max_archive_gb=0\.004"):
        ingest(path, max_archive_gb=0.004)
    (tmp_path / "raw").rmdir()
    assert ingest(path, max_file_mb=4)[1] == {"cat/zeros.jpg": "too large: 5 MB"}


def test_a_zip_that_lies_about_a_size_yields_no_more_than_it_said(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "liar.zip", GOOD | {"dog/zeros.jpg": bytes(50_000_000)})
    data = bytearray(path.read_bytes())
    entry = data.rfind(b"PK\x01\x02", 0, data.rfind(b"dog/zeros.jpg"))
    data[entry + 24 : entry + 28] = struct.pack("<I", 1000)  # unpacked size in the directory
    path.write_bytes(data)
    _, left_out = ingest(path)
    assert list(left_out) == ["dog/zeros.jpg"]
    assert left_out["dog/zeros.jpg"].startswith("damaged in the archive")


def test_a_damaged_member_is_left_out(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "damaged.zip", GOOD)
    data = bytearray(path.read_bytes())
    place = data.find(b"cat/2.jpg") + 60
    data[place : place + 40] = bytes(40)
    path.write_bytes(data)
    _, left_out = ingest(path)
    assert list(left_out) == ["cat/2.jpg"]


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_too_many_files_are_refused(tmp_path: Path, make: Any) -> None:
    with pytest.raises(BadInput, match=r"more than ingest\.max_files=7 files"):
        ingest(make(tmp_path / "many", GOOD), max_files=7)


def test_a_million_entries_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory holds a million entries and says that it holds none."""
    entry = b"PK\x01\x02" + bytes(42)
    directory = entry * 1_000_000
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 0, 0, len(directory), 0, 0)
    path = tmp_path / "million.zip"
    path.write_bytes(directory + end)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(BadInput, match=r"more than ingest\.max_files=200000 files"):
        ingest(path)


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_a_cut_archive_is_told(tmp_path: Path, make: Any) -> None:
    path = make(tmp_path / "cut", GOOD)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadInput, match="no intact zip or tar archive"):
        ingest(path)


@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_odd_names_and_names_that_differ_in_case_are_different_files(
    tmp_path: Path, make: Any
) -> None:
    odd = ["A", "a", "con", " \u202e", "x" * 200, "%s{}", "'\"<b>&"]
    drawn = photos(len(odd), ("-", "--", "cat"))
    more = {f"cat/{name}.jpg": drawn[f"cat/{place}.jpg"] for place, name in enumerate(odd)}
    info, left_out = ingest(make(tmp_path / "odd", GOOD | more), files=GOOD | more)
    assert info["counts"] == {"cat": 4 + len(odd), "dog": 4}
    assert left_out == {}


def header(kind: bytes, size: int, name: str = "cat/x.jpg") -> bytes:
    """A tar header that announces so many bytes."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME,
                                  tarfile.GNUTYPE_LONGLINK])  # fmt: skip
@pytest.mark.parametrize("name", ["bomb.tar", "bomb.tar.gz"])
def test_a_header_as_large_as_a_bomb_is_not_read(tmp_path: Path, kind: bytes, name: str) -> None:
    path = tar_of(tmp_path / name, GOOD)
    opened = gzip.open if name.endswith("gz") else open
    with opened(path, "rb") as file:
        good = file.read()
    with opened(path, "wb") as file:
        file.write(header(kind, 51_200_000) + bytes(51_200_000) + good)
    tracemalloc.start()
    try:
        with pytest.raises(BadInput, match="a header of 51200000 bytes"):
            ingest(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_SPARSE, b"Z"])
@pytest.mark.parametrize("there", [0, 20_000_000])
def test_what_a_tar_unpacks_to_counts_whatever_it_is(
    tmp_path: Path, kind: bytes, there: int
) -> None:
    """Members that are left out count too, and those that are only announced."""
    path = tmp_path / "bomb.tar.gz"
    with gzip.open(path, "wb") as file:
        file.write(header(kind, 20_000_000, "../x.jpg") + bytes(there))
    with pytest.raises(BadInput, match=r"unpacks to more than ingest\.max_archive_gb=0\.01 GB"):
        ingest(path, max_archive_gb=0.01)


def test_a_zip_that_unpacks_all_at_once_is_not_unpacked(tmp_path: Path) -> None:
    """600 bytes of bzip2 may hold 600 MB, which Python unpacks in one go, whatever is asked for."""
    path = zip_of(tmp_path / "bomb.zip", GOOD)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("cat/bomb.jpg", bytes(1_000_000))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_LZMA) as archive:
        archive.writestr("cat/good.jpg", photos(5)["dog/4.jpg"])
    _, left_out = ingest(path, GOOD | {"cat/good.jpg": photos(5)["dog/4.jpg"]})
    assert left_out == {"cat/bomb.jpg": "packed with bzip2: pack it anew"}


class Silent(zipfile.ZipInfo):
    """A member whose name is in an encoding that the zip does not tell."""

    encoding = "gbk"

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode(self.encoding), self.flag_bits


@pytest.mark.parametrize(
    ("encoding", "classes"),
    [
        ("gbk", ("\u732b", "\u72d7")),
        ("gbk", ("\u91d1\u6bdb\u72ac 1", "\u54c8\u58eb\u5947")),
        ("utf-8", ("\u732b", "stra\xdfe")),
        ("cp437", ("Gr\xf6\xdfe", "\xe9t\xe9")),  # of DOS, as the format says
        ("cp437", ("\xf1and\xfa", "\xe1\xe9\xed")),
    ],
)
def test_names_of_zips_that_do_not_tell_their_encoding(
    tmp_path: Path, encoding: str, classes: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Silent, "encoding", encoding)
    path = tmp_path / "photos.zip"
    drawn = photos(4, classes)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in drawn.items():
            archive.writestr(Silent(name), data)
    info, left_out = ingest(path, files=drawn)
    assert info["classes"] == sorted(classes)
    assert left_out == {}


def test_what_machines_packed_is_set_aside(tmp_path: Path) -> None:
    extra = {"cat/__MACOSX/._1.jpg": b"x", "@eaDir/dog/1.jpg": b"y", ".git/config": b"z"}
    source = open_source(ingest_settings("archive", path=zip_of(tmp_path / "a.zip", GOOD | extra)))
    assert {file.path for file in source.files} == set(GOOD)
    assert source.notes == ["set aside, as hidden or made by machines: .git, @eaDir, cat/__MACOSX"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_counts_once(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "twice.zip", GOOD)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("cat/1.jpg", GOOD["cat/2.jpg"])
    _, left_out = ingest(path)
    assert left_out == {"cat/1.jpg": "its name comes twice in the archive"}


def test_an_encrypted_member_is_left_out(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "secret.zip", GOOD)
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(mark) + offset] |= 1
    path.write_bytes(data)
    assert list(ingest(path)[1].values()) == ["encrypted"]


def test_the_listing_reads_no_member(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "photos.zip", GOOD)
    source = open_source(ingest_settings("archive", path=path))
    assert {file.path: file.size for file in source.files} == {k: len(v) for k, v in GOOD.items()}
