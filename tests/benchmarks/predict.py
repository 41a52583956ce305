"""Images a second of `predict.py` against a bare loop of `model.predict` over tf.data, in one run.

    python tests/benchmarks/predict.py [--data FOLDER] [--architecture small_resnet] [--side 64]

Both sides read the same JPEG files of the pets photos beside the checkout and use the same model;
the bare loop decodes with TensorFlow and resizes without antialiasing, which is the least there is
to do. The rounds alternate; the best of each side counts, as other work only takes away. Then the
command itself: seconds from its start to the first row, and its memory for the photos once and many
times over.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

BATCH = 32


def unpack(archive: Path, folder: Path, photos: int) -> list[str]:
    """Paths of that many photos that TensorFlow decodes too."""
    from components.imaging.framework import tf

    paths: list[str] = []
    with zipfile.ZipFile(archive) as file:
        names = [n for n in sorted(file.namelist()) if n.lower().endswith(".jpg")]
        for name in names:
            if len(paths) == photos:
                break
            data = file.read(name)
            try:
                tf.io.decode_jpeg(data, channels=3)
            except tf.errors.InvalidArgumentError:
                continue
            path = folder / f"{len(paths):06d}.jpg"
            path.write_bytes(data)
            paths.append(str(path))
    return paths


def bare_loop(network, paths: list[str], side: int) -> float:
    """Seconds of `model.predict` over a tf.data pipeline."""
    from components.imaging.framework import tf

    def load(path):
        pixels = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(pixels, (side, side))

    start = time.perf_counter()
    images = tf.data.Dataset.from_tensor_slices(paths).map(load, tf.data.AUTOTUNE)
    found = network.predict(images.batch(BATCH).prefetch(2), verbose=0)
    assert {len(each) for each in found.values()} == {len(paths)}
    return time.perf_counter() - start


def ours(classifier, paths: list[str]) -> float:
    """Seconds of what the command does with the paths."""
    from components.predict.output import csv_rows, name_of, opened
    from components.predict.prediction import predict_images

    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, opened(f"{folder}/rows.csv", "file") as file:
        write = csv_rows(file, classifier.classes)
        for path, probabilities, _ in predict_images(classifier, paths, BATCH, 0):
            write(path, name_of(probabilities, classifier.classes, 0), probabilities)
    return time.perf_counter() - start


def command(model: Path, paths: list[str]) -> tuple[float, float, float]:
    """Seconds from the start to the first row and to the end, and the peak memory in GB."""
    call = [sys.executable, "pipelines/predict.py", f"model={model}", "images=-"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as given:
        given.write("\n".join(paths).encode())
        given.seek(0)
        start = time.perf_counter()
        child = subprocess.Popen(
            call, cwd=ROOT, env=environment, stdin=given, stdout=subprocess.PIPE
        )
    child.stdout.readline()
    assert child.stdout.readline()
    first = time.perf_counter() - start
    rows = 1 + sum(1 for _ in child.stdout)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert (child.returncode, rows) == (0, len(paths)), rows
    return first, time.perf_counter() - start, used.ru_maxrss / 1e6


def main() -> None:
    """Print both sides."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--architecture", default="small_resnet")
    parser.add_argument("--side", type=int, default=64, help="pixels")
    parser.add_argument("--photos", type=int, default=1398)
    parser.add_argument("--many", type=int, default=20_000, help="images, for the memory")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    archive, name, side = arguments.data / "PetImages.zip", arguments.architecture, arguments.side
    if not archive.is_file():
        sys.exit("skipped: needs the real photos in ../shared/data")
    from components.predict.network import Classifier
    from tests.predict.builders import untrained

    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        (folder / "photos").mkdir()
        paths = unpack(archive, folder / "photos", arguments.photos)
        model = untrained(folder / "model", name, side, stored_as=("jpeg", 90))  # as shipped
        classifier = Classifier(model)
        bare_loop(classifier.network, paths[:BATCH], side)  # both are traced before
        ours(classifier, paths[:BATCH])
        times = {"bare": [], "ours": []}
        for _ in range(arguments.repeat):
            times["bare"].append(bare_loop(classifier.network, paths, side))
            times["ours"].append(ours(classifier, paths))
        print(f"{len(paths)} photos, {name}, {side} px, batches of {BATCH}")
        bare, mine = (len(paths) / min(times[side_]) for side_ in ("bare", "ours"))
        print(f"bare loop of model.predict    {bare:7.0f} images/s")
        print(f"predict.py's own loop         {mine:7.0f} images/s   {mine / bare:.2f}x")
        first, whole, peak = command(model, paths)
        print(f"start to first row, to last   {first:7.1f} s, {whole:.1f} s")
        many = (paths * (arguments.many // len(paths) + 1))[: arguments.many]
        _, whole, most = command(model, many)
        print(f"peak memory of the command    {peak:7.2f} GB, {most:.2f} GB for {len(many)} images")
        print(f"the second                    {len(many) / (whole - first):7.0f} images/s")


if __name__ == "__main__":
    main()
