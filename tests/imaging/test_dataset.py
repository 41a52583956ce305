"""The format of datasets on disk."""

from __future__ import annotations

import hashlib
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.imaging.dataset import (
    Image,
    ShardReader,
    load_images,
    load_info,
    save_images,
    save_info,
)
from components.imaging.packing import ShardWriter
from tests.ingest.builders import contents

LATIN = b"l\xe9/\xff.jpg".decode("utf-8", "surrogateescape")  # not UTF-8
ODD = ['a,b/"c".jpg', "ä/ü 名.jpg", "x/ leading and trailing ", LATIN]


def rows() -> list[Image]:
    return [
        Image(path=path, label=path.split("/")[0], split="train", verdict="fine",
              sha256=f"{n:064x}", width=7, height=5, brightness=0.5,
              shard="raw-00000.tar", offset=512 * n, size=n + 1)
        for n, path in enumerate(ODD)
    ]  # fmt: skip


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    images = [*rows(), Image(path="left/out.txt", label="left", verdict="left_out", reason="a\nb")]
    save_images(tmp_path, images, "raw")
    assert load_images(tmp_path) == images
    assert load_images(tmp_path, "train") == images[:-1]


def test_a_processed_table_has_no_verdicts(tmp_path: Path) -> None:
    save_images(tmp_path, rows(), "processed")
    header = (tmp_path / "images.csv").read_text(errors="surrogateescape").splitlines()[0]
    assert header == ("path,label,split,sha256,group,width,height,brightness,shard,offset,size")
    assert load_images(tmp_path) == [image._replace(verdict="") for image in rows()]


def test_the_hash_of_the_table_is_that_of_its_file(tmp_path: Path) -> None:
    told = save_images(tmp_path, rows(), "raw")
    assert told == hashlib.sha256((tmp_path / "images.csv").read_bytes()).hexdigest()


def pack(folder: Path, data: list[bytes], per_file: int = 3) -> list[Image]:
    save_info(folder, {"kind": "processed"})
    with ShardWriter(folder, per_file, ending=".jpg") as writer:
        for n, one in enumerate(data):
            writer.add(f"{n}", one)
    return writer.placed(
        Image(f"{n}", "cat", "train", "", "", f"{n}", "", 1, 1, 1.0) for n in range(len(data))
    )


DATA = [bytes([n]) * (n * 300) for n in range(8)]


def test_shards_are_tar_files_that_can_be_read_at_offsets(tmp_path: Path) -> None:
    images = pack(tmp_path, DATA)
    assert [image.shard for image in images[::3]] == list(dict.fromkeys(i.shard for i in images))
    assert {p.name for p in (tmp_path / "shards").iterdir()} == {image.shard for image in images}
    unpacked = {}
    for shard in (tmp_path / "shards").iterdir():
        with tarfile.open(shard) as tar:
            for member in tar:
                assert (member.mtime, member.uid, member.uname) == (0, 0, "")
                unpacked[member.name] = tar.extractfile(member).read()
    assert unpacked == {f"{n}.jpg": data for n, data in enumerate(DATA)}
    with ShardReader(tmp_path) as reader:
        assert [reader.read(image) for image in images] == DATA


def test_shards_have_the_same_bytes_and_the_hash_they_are_told_by(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        pack(tmp_path / name, DATA)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    with ShardWriter(tmp_path / "one", 9) as writer:
        writer.add("x", b"data")
    ((name, digest),) = writer.files.items()
    assert hashlib.sha256((tmp_path / "one/shards" / name).read_bytes()).hexdigest() == digest
    assert name == f"{digest[:16]}.tar"


def test_a_shard_ends_by_number_or_by_bytes(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, 3, bytes_per_file=4000) as writer:
        for n, size in enumerate([1, 1, 1, 4000, 9]):
            writer.add(str(n), bytes(size))
    shards = [writer.places[str(n)][0] for n in range(5)]
    assert [shards.index(shard) for shard in shards] == [0, 0, 0, 3, 4]


def test_many_threads_share_a_reader(tmp_path: Path) -> None:
    images = pack(tmp_path, DATA) * 200
    with ShardReader(tmp_path) as reader, ThreadPoolExecutor(8) as pool:
        assert list(pool.map(reader.read, images)) == DATA * 200


def test_a_cut_shard_is_an_error_not_a_short_image(tmp_path: Path) -> None:
    images = pack(tmp_path, DATA)
    shard = tmp_path / "shards" / images[-1].shard
    shard.write_bytes(shard.read_bytes()[:-3000])
    with ShardReader(tmp_path) as reader, pytest.raises(OSError, match="shorter"):
        reader.read(images[-1])


def test_unpacked_images_are_read_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "originals").mkdir()
    (tmp_path / "originals" / "1.jpg").write_bytes(b"bytes")
    save_info(tmp_path, {"kind": "raw", "root": str(tmp_path / "originals")})
    assert load_info(tmp_path)["kind"] == "raw"
    with ShardReader(tmp_path) as reader:
        assert reader.read(Image("1.jpg", "cat")) == b"bytes"
