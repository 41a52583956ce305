"""Measure ingest and preprocess against bare Pillow loops, and how they grow.

    python tests/benchmarks/ingest_preprocess.py [--data FOLDER] [--growth 1000 10000 100000]

Every number comes from a process of its own; both sides of a ratio take turns, best of --repeat.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402

from components.imaging.artifact import dataset_artifact  # noqa: E402
from components.imaging.decoding import FILTER  # noqa: E402
from components.ingest.audit import build_raw_dataset  # noqa: E402
from components.ingest.sources import fingerprint  # noqa: E402
from components.preprocess.build import build_dataset  # noqa: E402
from components.runtime.parallel import chunked  # noqa: E402
from components.runtime.stores.local_store import LocalStore  # noqa: E402
from tests.ingest.builders import ingest_settings, preprocess_settings  # noqa: E402

CPUS = len(os.sched_getaffinity(0))
SETTINGS = preprocess_settings(image_size=224, images_per_file=1000)
SIZE, QUALITY = SETTINGS.image_size, SETTINGS.quality
PARTS = ("fingerprint", "ingest", "preprocess")
SMALL_SIZE = 32  # pixels, of the growing sets: their number is what matters


def decode(paths: list[Path]) -> None:
    """The bare loop that the audit is compared with."""
    for path in paths:
        try:
            Image.open(io.BytesIO(path.read_bytes())).load()
        except Exception:
            continue


def convert(job: tuple[list[Path], bool]) -> list[bytes]:
    """The bare loop that both stages are compared with: decode, resize, encode."""
    paths, defaults = job
    done = []
    for path in paths:
        buffer = io.BytesIO()
        try:
            image = Image.open(path).convert("RGB")
            if defaults:
                image.resize((SIZE, SIZE)).save(buffer, "JPEG")
            else:
                image.resize((SIZE, SIZE), FILTER).save(buffer, "JPEG", quality=QUALITY)
        except Exception:
            continue
        done.append(buffer.getvalue())
    return done


def chunks_of(folder: Path) -> list[list[Path]]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix == ".jpg")
    return list(chunked(paths, lambda path: path.stat().st_size))


def measure(what: str, folder: Path) -> dict[str, float]:
    """Run one side in this process; seconds of its parts."""
    times: dict[str, float] = {}
    start = time.perf_counter()
    if what in ("folder", "archive"):
        times = stages(what, folder)
        times["total"] = sum(times.values())
    elif what == "fingerprint":
        fingerprint(ingest_settings(path=folder), None, folder.with_name("scratch"))
    elif what == "decode":
        with ProcessPoolExecutor(CPUS, get_context("fork")) as pool:
            list(pool.map(decode, chunks_of(folder)))
    elif what.startswith("convert"):
        jobs = [(chunk, what == "convert-defaults") for chunk in chunks_of(folder)]
        with (
            ProcessPoolExecutor(CPUS, get_context("fork")) as pool,
            tempfile.TemporaryFile() as out,
        ):
            for done in pool.map(convert, jobs):
                out.writelines(done)
    else:
        with tempfile.TemporaryDirectory() as name:
            raw, done = Path(name, "raw"), Path(name, "done")
            raw.mkdir(), done.mkdir()
            build_raw_dataset(ingest_settings(path=folder, layout="classes"), raw)
            times["ingest"] = time.perf_counter() - start
            if what != "ingest":
                middle = time.perf_counter()
                size = SMALL_SIZE if what == "both-small" else SIZE
                build_dataset(raw, done, dataclasses.replace(SETTINGS, image_size=size))
                times["preprocess"] = time.perf_counter() - middle
    times.setdefault("total", time.perf_counter() - start)
    return times


def stages(source: str, path: Path) -> dict[str, float]:
    """Both stages as a run has them: with the fingerprint before, published, in pieces; seconds."""
    store = LocalStore(path.with_name(f"outputs-{source}"))
    settings = ingest_settings(source, path=path)
    marks = [time.perf_counter()]
    fingerprint(settings, None, store.scratch)
    marks.append(time.perf_counter())
    with store.workspace() as folder:
        earlier = store.with_pieces("raw")
        build_raw_dataset(settings, folder, earlier=earlier, scratch=store.scratch)
        raw = store.publish(folder, dataset_artifact(folder, None, pieces="raw"))
    marks.append(time.perf_counter())
    with store.workspace() as folder:
        build_dataset(store.fetch(raw), folder, SETTINGS, store.with_pieces("processed"))
        store.publish(folder, dataset_artifact(folder, raw, pieces="processed"))
    marks.append(time.perf_counter())
    seconds = [after - before for before, after in itertools.pairwise(marks)]
    return dict(zip(("fingerprint", "ingest", "preprocess"), seconds, strict=True))


def grow(name: str, photos: Path, archive: Path) -> None:
    """What one photo more costs, and what an unchanged set, of a folder and of an archive."""
    photo = min(path for path in photos.rglob("*.jpg"))
    for source, path in (("folder", photos), ("archive", archive)):
        time.sleep(2.1)  # younger files are not taken for unchanged
        first = run(source, path)
        unchanged = run(source, path)
        with Image.open(photo) as picture:
            new = picture.transpose(Image.Transpose.ROTATE_90)
        new.save(photo.with_name(f"new-{source}.jpg"))
        if source == "archive":
            with zipfile.ZipFile(archive, "a") as file:
                new_photo = photo.with_name("new-archive.jpg")
                file.write(new_photo, new_photo.relative_to(photos))
        added = run(source, path)
        for told, times in (("first", first), ("again", unchanged), ("one photo more", added)):
            parts = ", ".join(f"{part} {times[part]:.2f}" for part in times if part in PARTS)
            share = times["total"] / first["total"]
            print(f"{name} in {source}, {told:14s} {times['total']:5.2f} s ({parts}): {share:.2f}x")


def memory_of(session: int) -> float:
    """Megabytes of all processes of a session, shared pages counted once."""
    total = 0.0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, StopIteration, ValueError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                lines = (process / "smaps_rollup").read_text().splitlines()
                total += int(next(x for x in lines if x.startswith("Pss:")).split()[1]) / 1024
    return total


def run(what: str, folder: Path, memory: bool = False) -> dict[str, float]:
    """One measurement in a fresh process; with `memory` its peak, which costs a little time."""
    command = [sys.executable, __file__, "--measure", what, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    peak = 0.0
    while memory and process.poll() is None:
        peak = max(peak, memory_of(process.pid))
        time.sleep(0.1)
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{what} failed")
    return json.loads(output) | {"megabytes": peak}


def best_of(sides: tuple[str, ...], folder: Path, repeat: int) -> list[dict[str, float]]:
    """The fastest run of each side; the sides take turns, so a busy machine troubles them alike."""
    runs = [[run(side, folder) for side in sides] for _ in range(repeat)]
    return [min(own, key=lambda one: one["total"]) for own in zip(*runs, strict=True)]


def compare(told: str, ours: dict[str, float], bare: dict[str, float]) -> None:
    parts = " ".join(f"{k} {ours[k]:.2f}" for k in ("ingest", "preprocess") if k in ours)
    print(
        f"{told:58s} {ours['total']:6.2f} s ({parts}), bare {bare['total']:6.2f} s: "
        f"{ours['total'] / bare['total']:.2f}x the time, {bare['total'] / ours['total']:.2f}x the "
        "speed"
    )


def unpack(archive: Path, folder: Path) -> Path:
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return folder


def draw_files(folder: Path, count: int) -> Path:
    """`count` small JPEGs of coarse noise in two classes, one in fifty a near duplicate."""
    dice = random.Random(count)
    image = Image.new("L", (8, 8))
    for number in range(count):
        target = folder / ("ab"[number % 2]) / f"{number // 2000:03d}" / f"{number}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        if number % 50:
            image = Image.frombytes("L", (8, 8), dice.randbytes(64)).resize((40, 40))
        image.convert("RGB").save(target, quality=60 + number % 30)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--growth", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        what, folder = arguments.measure
        print(json.dumps(measure(what, Path(folder))))
        return
    print(f"{CPUS} CPUs, Pillow {Image.__version__}, best of {arguments.repeat}")
    with tempfile.TemporaryDirectory() as name:
        if (arguments.data / "PetImages.zip").is_file():
            pets = unpack(arguments.data / "PetImages.zip", Path(name, "pets"))
            small = unpack(arguments.data / "pets180.zip", Path(name, "small"))
            sides = ("both", "convert", "convert-defaults")
            ours, same, defaults = best_of(sides, pets, arguments.repeat)
            print("goal: at least 0.8x the speed")
            compare("ingest + preprocess of 1,418 photos, bare: same filter", ours, same)
            compare("ingest + preprocess of 1,418 photos, bare: defaults", ours, defaults)
            audit, loop = best_of(("ingest", "decode"), small, arguments.repeat)
            print("goal: at most 1.5x the time")
            compare("ingest with near duplicates of 7,000 photos, bare: decode", audit, loop)
            print("goal: one photo more at most 0.12x")
            grow("7,000 photos", small, shutil.copy(arguments.data / "pets180.zip", name))
        else:
            print(f"{arguments.data}: no photos, their comparisons are left out")
        for count in arguments.growth:
            folder = draw_files(Path(name, f"growth{count}"), count)
            grown = run("both-small", folder, memory=True)
            print(
                f"{count:7d} small files: ingest {grown['ingest']:6.2f} s, preprocess "
                f"{grown['preprocess']:6.2f} s, {1e3 * grown['total'] / count:.2f} ms a file, "
                f"peak memory {grown['megabytes']:.0f} MB (goal: 700)"
            )


if __name__ == "__main__":
    main()
