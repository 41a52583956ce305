"""How many stages each change of this repository would have run again: what the cache is worth.

    python tests/benchmarks/history.py [--last 47ff5d3] [--each]

Needs nothing but Python and the repository with its git history. Replays the commits up to `--last`
that touch components/ (merges bring nothing of their own) and counts the stages whose source
differs from the commit before, once with every import followed, as at first, and once by the rule
of today. What one stage makes differently for the next does not count.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from components.runtime import source
from pipelines.engine import fingerprint

ROOT = source.ROOT
STAGES = ("ingest", "preprocess", "train", "evaluate")
# Until 47ff5d3 these lay in components/ itself; classifier, dataloader, dataset, framework, images
# and preview lay there, too, and are imaging now.
FRAME = (
    "champions files parallel progress reporting schema shipping source step storage stores"
).split()

Source = dict[str, dict[str, str]]  # stage -> file -> hash


def git(*arguments: str) -> bytes:
    """What git prints; one line where there is no history."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        sys.exit(
            f"error: no git history here for `git {' '.join(arguments[:2])}`; "
            "run this in a whole clone of the repository"
        )
    return done.stdout


def every_import(path: str) -> bool:
    """The rule at first: nothing is left out."""
    return False


def of_today(path: str) -> bool:
    """What is left out today, wherever the file lay then."""
    return fingerprint.decides_nothing(path) or path.split("/")[1].removesuffix(".py") in FRAME


def sources(commit: str, folder: Path, rule: Callable[[str], bool]) -> Source:
    """The source of each stage at a commit that is unpacked in `folder`."""
    source.ROOT = fingerprint.ROOT = folder / commit
    if not source.ROOT.exists():
        with tarfile.open(fileobj=io.BytesIO(git("archive", commit, "components"))) as archive:
            for one in filter(tarfile.TarInfo.isfile, archive):
                path = source.ROOT / one.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.extractfile(one).read())
    return {
        stage: {path: source.source_hash(path) for path in fingerprint.files_of(stage, rule)}
        for stage in STAGES
    }


def main() -> None:
    """Print the stages run again by both rules, trainings too."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--last", default="47ff5d3", help="the commit to stop at")
    parser.add_argument("--each", action="store_true", help="print the stages for every commit")
    arguments = parser.parse_args()
    listed = git(
        "rev-list", "--no-merges", "--reverse", "--parents", arguments.last, "--", "components"
    )
    commits = [line.split() for line in listed.decode().splitlines()][1:]  # after the first
    rules = {"every import": every_import, "of today": of_today}
    again: dict[str, list[str]] = {name: [] for name in rules}
    with tempfile.TemporaryDirectory() as temporary:
        for commit, *_ in commits:
            told = []
            for name, rule in rules.items():
                before, now = (
                    sources(one, Path(temporary), rule) for one in (f"{commit}^", commit)
                )
                stages = [stage for stage in STAGES if before[stage] != now[stage]]
                again[name] += stages
                told.append(f"{name}: {' '.join(stages) or 'none'}")
            if arguments.each:
                print(f"{commit[:7]}  {'; '.join(told)}")
    print(f"{len(commits)} commits up to {arguments.last} touch components/; stages run again:")
    for name, stages in again.items():
        print(f"| {name} | {len(stages)} stages | {stages.count('train')} trainings |")


if __name__ == "__main__":
    main()
