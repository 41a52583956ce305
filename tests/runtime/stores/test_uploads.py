"""Versions of a dataset on a ClearML server: what they upload, inherit and fetch."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import ClassVar

import pytest

from tests.clearml_server import ClearMLServer
from tests.clearml_server.files import FilesHandler
from tests.clearml_server.http import Server
from tests.runtime.stores.publishing import Published

MB = 2**20
TABLES = 100_000  # bytes, at most, of tables and of what ClearML keeps of a version

MORE = """
import hashlib, random, shutil, tempfile
from clearml import Dataset
from components.runtime.files import SEAL
from components.runtime.schema import BadInput
from components.runtime.stores import Artifact

def build(pieces, words="", more={}):
    "A folder with a shard for each piece, `number: bytes`, named by its bytes, and a table."
    made = Path(tempfile.mkdtemp(dir=folder))
    (made / "shards").mkdir()
    for number, size in pieces.items():
        data = random.Random(number).randbytes(size)
        (made / "shards" / f"{hashlib.sha256(data).hexdigest()[:16]}.tar").write_bytes(data)
    (made / "images.csv").write_text(f"{sorted(pieces)} {words}")
    for name, data in more.items():
        (made / name).write_bytes(data)
    return made

def publish(made, title="things", **more):
    content = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(made.rglob("*"))
        if p.is_file() and p.name != SEAL)).hexdigest()
    return store.publish(made, Artifact("dataset", title=title, content=content, **more))

def contents(place):
    files = (p for p in Path(place).rglob("*") if p.is_file() and not p.name.startswith("."))
    return {p.relative_to(place).as_posix(): p.read_bytes() for p in files}

def fresh():
    "Forget everything that this machine has fetched."
    shutil.rmtree(folder / "cache", ignore_errors=True)

def parents(dataset):
    return Dataset.get(dataset_id=dataset).get_dependency_graph()[dataset]

def told(call, *arguments):
    try:
        return call(*arguments)
    except (BadInput, OSError) as error:
        return f"{type(error).__name__}: {error}"
"""


class CountingFiles(FilesHandler):
    """A file server that notes what comes and goes."""

    came: ClassVar[list[int]] = []
    went: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.came.append(int(self.headers["Content-Length"]))
        super().do_POST()

    def do_GET(self) -> None:
        if self.command == "GET" and "/artifacts/data" in self.path:
            self.went.append(self.path)
        super().do_GET()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ClearMLServer, Path]]:
    folder = tmp_path_factory.mktemp("server")
    CountingFiles.root = folder.resolve()
    files = Server(("127.0.0.1", 0), CountingFiles)
    threading.Thread(target=files.serve_forever, args=(0.05,), daemon=True).start()
    with ClearMLServer() as made:
        conf = made.write_conf(folder / "clearml.conf")
        text = conf.read_text().replace(made.files_url, f"http://127.0.0.1:{files.server_port}")
        conf.write_text(text)
        yield made, conf
    files.shutdown()
    files.server_close()


@pytest.fixture
def published(server: tuple[ClearMLServer, Path], tmp_path: Path) -> Iterator[Published]:
    """A project of its own: each test has other datasets."""
    more = MORE + f'store.project = "{tmp_path.name}"\n'
    yield Published(*server, tmp_path, more)


def uploaded() -> int:
    """Bytes that came since the last call; forgets what went, as an upload looks at sizes."""
    size = sum(CountingFiles.came)
    CountingFiles.came.clear()
    CountingFiles.went.clear()
    return size


def fetched() -> int:
    """How many archives went since the last call, none twice; the SDK asks for the size before."""
    paths = Counter(CountingFiles.went)
    CountingFiles.went.clear()
    assert set(paths.values()) <= {2}, paths
    return len(paths)


def test_a_version_uploads_new_shards_and_tables_and_a_machine_fetches_each_archive_once(
    published: Published,
) -> None:
    made = published.python("print('first =', publish(build({n: 2 << 20 for n in range(5)})))")
    assert 10 * MB < uploaded() < 10 * MB + TABLES
    made |= published.python(
        """
        more = build({n: 2 << 20 for n in range(6)})
        print('second =', publish(more))
        print('more =', more)
        """
    )
    assert 2 * MB < uploaded() < 2 * MB + TABLES
    made |= published.python(
        """
        renamed = build({n: 2 << 20 for n in range(6)}, "renamed")
        print('third =', publish(renamed))
        less = build({n: 2 << 20 for n in (0, 1, 3)})
        print('fourth =', publish(less))
        print('less =', less)
        print('again =', publish(less))
        """
    )
    assert uploaded() < 2 * TABLES
    assert made["again"] == made["fourth"]
    told = published.python(
        f"""
        fresh()
        print("same =", contents(store.fetch("{made["second"]}")) == contents("{made["more"]}"))
        """
    )
    assert told["same"] == "True"
    assert fetched() == 7  # six shards, and the tables
    told = published.python(
        f"""
        print("same =", contents(store.fetch("{made["fourth"]}")) == contents("{made["less"]}"))
        """
    )
    assert (told["same"], fetched()) == ("True", 1)
    told = published.python(
        f"""
        print("intact =", store.is_intact("{made["fourth"]}"))
        native = Dataset.get(dataset_id="{made["fourth"]}").get_local_copy()
        print("native =", contents(native) == contents("{made["less"]}"))
        print("parents =", parents("{made["fourth"]}"), parents("{made["second"]}"))
        """
    )
    assert told["intact"] == told["native"] == "True"  # what ClearML's own way brings
    assert told["parents"] == f"['{made['third']}'] ['{made['first']}']"


def test_only_the_named_files_are_fetched(published: Published) -> None:
    made = published.python(
        """
        built = build({n: 2 << 20 for n in range(5)})
        print("id =", publish(built))
        print("shards =", " ".join(sorted(name for name in contents(built) if "/" in name)))
        """
    )
    one, *_ = made["shards"].split()
    uploaded()
    code = f"""
        copy = store.fetch("{made["id"]}", files=%r)
        print("files =", " ".join(sorted(contents(copy))))
        """
    assert published.python(code % ["images.csv"])["files"] == "images.csv sealed.json"
    assert fetched() == 1
    assert published.python(code % [one])["files"] == f"images.csv sealed.json {one}"
    assert fetched() == 1
    told = published.python(
        f"""
        copy = store.fetch("{made["id"]}", files=["{one}"])
        whole = (copy / "{one}").read_bytes()
        (copy / "{one}").write_bytes(whole[:-1] + b"x")
        (copy / "images.csv").unlink()
        store.fetch("{made["id"]}", files=["{one}", "images.csv"])
        print("mended =", (copy / "{one}").read_bytes() == whole, (copy / "images.csv").exists())
        """
    )
    assert told["mended"] == "True True"
    assert fetched() == 2
    assert len(published.python(code % [])["files"].split()) == 7
    assert fetched() == 4


@pytest.mark.slow
def test_long_chains_and_archives_with_little_of_use_are_uploaded_anew(
    published: Published,
) -> None:
    made = published.python(
        """
        from components.runtime.stores import datasets
        datasets.MOST_VERSIONS = 2
        versions = [publish(build({n: 2 << 20 for n in range(2 + m)}, str(m))) for m in range(4)]
        print("parents =", [[versions.index(p) for p in parents(v)] for v in versions])
        """
    )
    assert made["parents"] == "[[], [0], [], [2]]"
    published.python(
        """
        publish(build({n: 30000 for n in range(10)}, "small"))
        publish(build({n: 30000 for n in range(3, 13)}, "small"))
        """
    )
    uploaded()
    made = published.python(
        """
        last = build({n: 30000 for n in range(9, 14)})
        id = publish(last)
        kept = Task.get_task(task_id=id).artifacts["archives"].get()["archives"]
        print("from =", sorted(len(one["files"]) for one in kept if one["dataset"] != id))
        fresh()
        print("same =", contents(store.fetch(id)) == contents(last))
        """
    )
    assert made["from"] == "[3]"
    assert made["same"] == "True"
    assert 60_000 < uploaded() < 60_000 + TABLES


def test_a_shard_that_comes_back_is_fetched(published: Published) -> None:
    made = published.python(
        """
        for pieces in ((0, 1), (1, 2), (0, 1, 2)):
            built = build({n: 2 << 20 for n in pieces})
            id = publish(built)
        for way in (store.fetch, lambda id: Dataset.get(dataset_id=id).get_local_copy()):
            fresh()
            print(f"{way.__name__} =", contents(way(id)) == contents(built))
        """
    )
    assert made == {"fetch": "True", "<lambda>": "True"}


def test_a_version_outlives_earlier_ones_or_says_which_it_lacks(published: Published) -> None:
    made = published.python(
        """
        first = publish(build({0: 2 << 20}))
        both = build({0: 2 << 20, 1: 2 << 20})
        second = publish(both)
        Dataset.delete(dataset_id=first, delete_files=False)
        fresh()
        print("alone =", contents(store.fetch(second)) == contents(both), store.is_intact(second))
        three = build({0: 2 << 20, 1: 2 << 20, 2: 2 << 20})
        third = publish(three)
        print("third =", parents(third), contents(store.fetch(third)) == contents(three))
        fourth = publish(build({2: 2 << 20, 3: 2 << 20}))
        print("kept =", parents(fourth) == [third])
        Dataset.delete(dataset_id=third)
        fresh()
        print("lacks =", store.is_intact(fourth), told(store.fetch, fourth))
        fifth = build({2: 2 << 20, 3: 2 << 20}, "fifth")
        id = publish(fifth)
        print("fifth =", contents(store.fetch(id)) == contents(fifth))
        print("ids =", first, second, third)
        """
    )
    _, _, third = made["ids"].split()
    assert made["alone"] == "True True"
    assert made["third"] == "[] True"
    assert made["kept"] == "True"
    lacks = made["lacks"]
    assert lacks.startswith("False BadInput: shards/")
    assert f"uploaded with things 1.0.2 ({third}), is gone, as that version was deleted" in lacks
    assert made["fifth"] == "True"


def test_a_version_shows_what_it_was_made_from_and_what_it_follows(published: Published) -> None:
    made = published.python(
        """
        sources, results = [], []
        for pieces in ({0: 2 << 20}, {0: 2 << 20, 1: 2 << 20}):
            sources.append(publish(build(pieces), "source"))
            built = build({n + 100: 2 << 20 for n in pieces})
            results.append(publish(built, "result", parent=sources[-1]))
        print("shown =", parents(results[0]) == sources[:1],
              parents(results[1]) == [sources[1], results[0]], parents(sources[1]) == sources[:1])
        for way in (store.fetch, lambda id: Dataset.get(dataset_id=id).get_local_copy()):
            fresh()
            print(f"{way.__name__} =", contents(way(results[1])) == contents(built))
        Task.get_task(task_id=results[1]).set_archived(True)  # as before a person deletes it
        print("third =", parents(publish(build({100: 2 << 20, 101: 2 << 20}, "third"), "result"))
              == results[:1])
        """
    )
    assert made == {"shown": "True True True", "fetch": "True", "<lambda>": "True", "third": "True"}


def test_two_that_extend_the_same_version_at_once_both_succeed(published: Published) -> None:
    published.python("publish(build({0: 2 << 20, 1: 2 << 20}))")
    uploaded()
    code = """
        built = build({{0: 2 << 20, 1: 2 << 20, {}: 2 << 20}})
        id = publish(built)
        print("id =", id)
        print("same =", contents(store.fetch(id)) == contents(built))
        """
    with ThreadPool(2) as pool:
        made = pool.map(published.python, [code.format(2), code.format(3)])
    assert 4 * MB < uploaded() < 4 * MB + 2 * TABLES
    for one in made:
        assert one["same"] == "True"
        again = f"print('whole =', len(contents(store.fetch({one['id']!r}))))"
        assert published.python(again) == {"whole": "5"}


def test_publications_with_the_same_pieces_are_found_in_this_project(
    published: Published,
) -> None:
    made = published.python(
        """
        def files(key, name):
            made = Path(tempfile.mkdtemp(dir=folder))
            (made / "a.txt").write_text(name)
            return store.publish(made, Artifact("files", content=name, pieces=key))
        inside = f"{store.project}/.pipelines/pets"
        store.task = Task.create(project_name=inside, task_name="step")
        old = publish(build({0: 100}, "old"), pieces="k" * 16)
        new = publish(build({0: 100}, "new"), pieces="k" * 16)
        other = publish(build({0: 100}, "other"), pieces="l" * 16)
        step = files("k" * 16, "step")
        store.task.mark_started()
        store.task.mark_completed()
        store.project += "-other"
        elsewhere = publish(build({0: 100}, "elsewhere"), pieces="k" * 16)
        store.project = store.project.removesuffix("-other")
        print("found =", " / ".join(" ".join(p.read_text() for p in sorted(one.rglob("*.csv"))) or
                                    (one / "a.txt").read_text()
                                    for one in store.with_pieces("k" * 16)))
        print("none =", list(store.with_pieces("m" * 16)), list(store.with_pieces("")))
        """
    )
    assert made["found"] == "[0] new / [0] old / step"
    assert made["none"] == "[] []"
