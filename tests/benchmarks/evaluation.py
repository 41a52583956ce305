"""How long evaluation itself takes, beyond the forward passes: at most 10 s for 2,000 images.

    python tests/benchmarks/evaluation.py [--images 2000] [--classes 2] [--side 128]

Everything is on but Grad-CAM and the corruptions, which are forward and backward passes. CPU
seconds are of all threads, which is what to compare where other processes share the machine.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.evaluate.builders import make_dataset, make_model, settings


def main() -> None:
    """Print the seconds of each part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--classes", type=int, default=2)
    parser.add_argument("--side", type=int, default=128, help="pixels")
    arguments = parser.parse_args()
    images, classes, side = arguments.images, arguments.classes, arguments.side
    start = time.perf_counter()
    from components.evaluate import evaluation
    from components.evaluate.inference import Classifier

    print(f"imports                       {time.perf_counter() - start:6.1f} s")
    names = tuple(f"class {number:03d}" for number in range(classes))
    counts = {"train": 10, "validation": images // classes // 4, "test": images // classes}
    spent = {"wall": 0.0, "cpu": 0.0}
    forward = Classifier.of_split

    def timed(self: Classifier, images: object) -> object:
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            return forward(self, images)
        finally:
            spent["wall"] += time.perf_counter() - wall
            spent["cpu"] += time.process_time() - cpu

    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        dataset = make_dataset(folder / "dataset", names, counts, side)
        model = make_model(folder / "model", names)
        (folder / "out").mkdir()
        Classifier.of_split = timed
        chosen = settings(
            batch_size=32,
            bootstrap_resamples=1000,
            calibration_bins=10,
            gallery_size=12,
            samples_per_class=6,
            grad_cam_images=0,
            robustness_images=0,
        )
        wall, cpu = time.perf_counter(), time.process_time()
        evaluation.evaluate_model(model, dataset, folder / "out", chosen)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size = (folder / "out" / "report.html").stat().st_size
    print(f"{counts['test'] * classes} test images, {classes} classes, {side} px")
    print(f"forward passes                {spent['wall']:6.1f} s  ({spent['cpu']:.1f} s CPU)")
    print(f"evaluation beyond them        {wall - spent['wall']:6.1f} s", end="  ")
    print(f"({cpu - spent['cpu']:.1f} s CPU)")
    print(f"report                        {size / 1e6:6.2f} MB")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory                   {peak / 1e6:6.2f} GB")


if __name__ == "__main__":
    main()
