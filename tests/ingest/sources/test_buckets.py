"""Sources in a bucket, on an S3 server of this machine."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from clearml.backend_config.bucket_config import S3BucketConfig
from clearml.storage.helper import StorageHelper
from moto.server import ThreadedMotoServer

from components.imaging.dataset import load_images
from components.ingest import buckets
from components.ingest.audit import build_raw_dataset
from components.ingest.sources import fingerprint, folder_of, open_source, public
from components.runtime.schema import BadInput
from tests.ingest.builders import ingest_settings, photos

KEY, SECRET = "AKIATEST", "secret-of-the-bucket"


class S3:
    """A bucket, and the settings of sources in it."""

    def __init__(self, host: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host, self.downloads, self.monkeypatch = host, folder / "downloads", monkeypatch
        self.bucket = f"photos-{os.getpid()}-{abs(hash(folder)) % 10**9}"
        access = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET}
        self.client = boto3.client(
            "s3", endpoint_url=f"http://{host}", region_name="us-east-1", **access
        )
        self.client.create_bucket(Bucket=self.bucket)
        self.got: list[str] = []

    def access(self, key: str | None, secret: str | None) -> None:
        """Give ClearML these credentials."""
        configs = StorageHelper._s3_configurations
        config = S3BucketConfig(
            host=self.host, key=key, secret=secret, secure=False, multipart=False
        )
        self.monkeypatch.setattr(configs, "_buckets", [config])
        self.monkeypatch.setattr(configs, "_prefixes", None)
        self.monkeypatch.setattr(StorageHelper, "_helpers", {})

    def put(self, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            self.client.put_object(Bucket=self.bucket, Key=name, Body=data)

    def settings(self, path: str, source: str = "folder", **changes: Any) -> Any:
        path = path if "://" in path else f"s3://{self.host}/{self.bucket}/{path}"
        return ingest_settings(source, path=path, download_folder=str(self.downloads), **changes)

    def told(self, path: str, source: str = "folder", **changes: Any) -> str:
        """The one line that is said of a mistake."""
        with pytest.raises(BadInput) as error:
            open_source(self.settings(path, source, **changes))
        assert "\n" not in str(error.value)
        assert SECRET not in str(error.value)
        return str(error.value)


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def s3(host: str, clearml_conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3:
    os.environ["CLEARML_CONFIG_FILE"] = str(clearml_conf)  # as all tests that ask ClearML here
    made = S3(host, tmp_path, monkeypatch)
    made.access(KEY, SECRET)
    fetch = buckets.Bucket._fetch

    def counted(self: Any, one: buckets.Object, folder: Path) -> str:
        made.got.append(one.name)
        return fetch(self, one, folder)

    monkeypatch.setattr(buckets.Bucket, "_fetch", counted)
    return made


def files(source: Any) -> dict[str, tuple[str, str]]:
    return {file.path: (file.label, file.problem) for file in source.files}


def test_a_folder_is_fetched_once_and_later_what_changed(s3: S3) -> None:
    odd = "cat/ö #1 %20+?.jpg"
    s3.put({"a/cat/1.jpg": b"one", f"a/{odd}": b"two", "a/dog/1.jpg": b"three"})
    s3.put({"ab/cat/1.jpg": b"of another folder", "a/": b"", "a/dog/": b""})
    settings = s3.settings("a")
    first = fingerprint(settings)
    assert s3.got == []  # it is told without any file
    source = open_source(settings)
    labels = {"cat/1.jpg": ("cat", ""), odd: ("cat", ""), "dog/1.jpg": ("dog", "")}
    assert files(source) == labels
    read = {file.path: data for file, data in source.contents()}
    assert read == {"cat/1.jpg": b"one", odd: b"two", "dog/1.jpg": b"three"}
    assert source.name == "a"
    assert folder_of(settings) is None  # its files are copied, as the folder may go
    assert sorted(s3.got) == sorted(labels)
    s3.got.clear()
    assert fingerprint(settings) == first == fingerprint(s3.settings("a/"))
    assert len(open_source(settings).files) == 3
    assert s3.got == []
    s3.put({"a/cat/1.jpg": b"ONE", "a/dog/2.jpg": b"four"})  # the first as large as it was
    s3.client.delete_object(Bucket=s3.bucket, Key="a/dog/1.jpg")
    assert fingerprint(settings) != first
    source = open_source(settings)
    assert sorted(s3.got) == ["cat/1.jpg", "dog/2.jpg"]
    assert set(files(source)) == {"cat/1.jpg", odd, "dog/2.jpg"}
    assert b"ONE" in {data for _, data in source.contents()}
    s3.got.clear()
    assert source.root is not None
    (source.root / "cat/1.jpg").unlink()  # as a person may
    assert len(open_source(settings).files) == 3
    assert s3.got == ["cat/1.jpg"]


def test_a_whole_bucket_becomes_a_dataset_that_holds_its_files(s3: S3, tmp_path: Path) -> None:
    good = photos(3)
    s3.put(good | {"cat/large.jpg": bytes(2_000_000), "cat/../../dog.jpg": b"outside"})
    changes = {"max_file_mb": 1, "max_rejected_fraction": 0.9, "min_images_per_class": 1}
    (tmp_path / "raw").mkdir()
    info = build_raw_dataset(s3.settings("", **changes), tmp_path / "raw")
    rows = {image.path: image for image in load_images(tmp_path / "raw")}
    assert info["root"] is None
    assert info["name"] == s3.bucket
    assert all(rows[name].shard for name in good if rows[name].verdict != "left_out")
    assert rows["cat/large.jpg"].reason == "too large: 2 MB"
    assert rows["cat/../../dog.jpg"].reason == "its name is no path"
    assert "cat/large.jpg" not in s3.got
    assert not list(tmp_path.rglob("dog.jpg"))


def test_an_archive_is_found_by_its_name(s3: S3) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("cat/1.jpg", "dog/1.jpg"):
            archive.writestr(name, name)
    s3.put({"sets/photos.zip": packed.getvalue(), "sets/photos.zip.md5": b"x"})
    settings = s3.settings("sets/photos.zip", "archive")
    first = fingerprint(settings)
    source = open_source(settings)
    assert files(source) == {"cat/1.jpg": ("cat", ""), "dog/1.jpg": ("dog", "")}
    assert source.name == "photos"
    assert fingerprint(settings) == first
    assert s3.got == ["photos.zip"]
    wrong = s3.told("sets/photos.zip", "archive", sha256="0" * 64)
    assert "its checksum is not ingest.sha256=" in wrong
    larger = s3.told("sets/photos.zip", "archive", max_archive_gb=1e-9)
    assert "is larger than ingest.max_archive_gb=1e-09" in larger


def test_mistakes_are_one_line_without_secrets(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.put({"a/cat/1.jpg": b"one", "a/dog/1.jpg": b"two", "a/photos.zip": b"zip"})
    assert "there is nothing of that name in the bucket" in s3.told("b")
    assert "choose ingest=folder" in s3.told("a", "archive")
    assert "choose ingest=archive" in s3.told("a/photos.zip")
    assert "has more than ingest.max_files=2 files" in s3.told("a", max_files=2)
    assert s3.got == []  # nothing is fetched in vain
    missing = s3.told(f"s3://{s3.host}/no-such-bucket/a")
    assert "/no-such-bucket/a: there is no such bucket (NoSuchBucket; see sdk.aws.s3" in missing
    s3.access(None, None)
    assert "there are no credentials" in s3.told("a")
    s3.access(KEY, SECRET)
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert "needs boto3 where it is read: pip install 'clearml[s3]'" in s3.told("a")
    elsewhere = s3.told("gs://bucket/a")
    assert "needs google.cloud.storage where it is read: pip install 'clearml[gs]'" in elsewhere
    assert "pip install 'clearml[azure]'" in s3.told("azure://one.blob.core.windows.net/box")


def test_a_file_that_cannot_be_fetched_is_told_and_the_next_run_goes_on(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3.put({"a/cat/1.jpg": b"one", "a/dog/1.jpg": b"two"})
    kind = type(StorageHelper.get(f"s3://{s3.host}/{s3.bucket}"))
    download = kind.download_to_file

    def fails(self: Any, remote: str, *arguments: Any, **more: Any) -> Any:
        return None if "dog" in remote else download(self, remote, *arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(kind, "download_to_file", fails)
        assert "1 files cannot be fetched, such as dog/1.jpg; run again" in s3.told("a")
    s3.got.clear()
    assert len(open_source(s3.settings("a")).files) == 2
    assert s3.got == ["dog/1.jpg"]


def test_an_address_is_kept_without_what_may_be_a_key(s3: S3) -> None:
    settings = s3.settings("azure://account.blob.core.windows.net/box/a?sv=1&sig=abc")
    assert public(settings).path == "azure://account.blob.core.windows.net/box/a?..."


def test_a_table_may_name_objects(s3: S3, tmp_path: Path) -> None:
    s3.put({"x/1.jpg": b"one", "x/2.jpg": b"two"})
    place = f"s3://{s3.host}/{s3.bucket}/x"
    table = tmp_path / "labels.csv"
    table.write_text(f"path,label\n{place}/1.jpg,cat\n{place}/2.jpg,dog\n")
    source = open_source(_of(table, s3))
    assert sorted((file.label, data) for file, data in source.contents()) == [
        ("cat", b"one"), ("dog", b"two"),
    ]  # fmt: skip
    table.write_text(f"path,label\n{place}/1.jpg,cat\n{place}/3.jpg,dog\n")
    with pytest.raises(BadInput, match=r"x/3\.jpg cannot be fetched; run again to go on"):
        open_source(_of(table, s3))


def _of(table: Path, s3: S3) -> Any:
    return ingest_settings("table", path=table, download_folder=str(s3.downloads))
