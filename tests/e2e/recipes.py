"""The recipes of docs/make_it_yours.md, carried out in a copy of the checkout."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.checkout import Checkout
from tests.conftest import ROOT

GUIDE = ROOT / "docs" / "make_it_yours.md"
BLOCK = re.compile(r"```(?:python|yaml)\n(.*?)```", re.DOTALL)


def blocks(section: str) -> list[str]:
    """The blocks of code below a heading."""
    text = GUIDE.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return BLOCK.findall(text)


def insert(path: Path, before: str, lines: str) -> None:
    """Put lines ahead of the first place of another line."""
    text = path.read_text(encoding="utf-8")
    assert text.count(before), f"{path}: {before}"
    path.write_text(text.replace(before, lines + before, 1), encoding="utf-8")


def add_stage(checkout: Checkout) -> set[str]:
    """The four edits; the folders and files that they touch."""
    *files, imported, row, line = blocks("A new stage")
    for block in files:
        name, _, text = block.partition("\n")
        path = checkout.root / name.removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    insert(checkout.root / "pipelines/stages.py", "from components.evaluate", imported)
    insert(checkout.root / "pipelines/stages.py", '    Stage(\n        "train"', row)
    insert(checkout.root / "pipelines/dag.py", '        "train": {', line)
    lock = (sys.executable, "-m", "pipelines.engine.requirements")
    (checkout.root / "requirements.lock").write_bytes((ROOT / "requirements.lock").read_bytes())
    done = subprocess.run(
        lock, cwd=checkout.root, env={"PYTHONPATH": str(checkout.root)}, check=False
    )
    assert done.returncode == 0
    return {"components/describe", "conf/describe", "pipelines/stages.py", "pipelines/dag.py"}


def changed(checkout: Checkout) -> set[str]:
    """Files of the copy that differ from the repository's, folders that are new as one."""
    found = set()
    for path in checkout.root.rglob("*"):
        name = path.relative_to(checkout.root).as_posix()
        if path.is_file() and name.startswith(("components/", "conf/", "pipelines/", "data/")):
            origin = ROOT / name
            if "__pycache__" in name:
                continue
            if not origin.exists():
                new = [p for p in Path(name).parents if not (ROOT / p).exists()]
                found.add(str(new[-1]) if new else name)
            elif origin.read_bytes() != path.read_bytes():
                found.add(name)
    return found
