"""What runs left behind, how large it is, and what nobody needs any more.

python pipelines/outputs.py remove=[runs,models] older_than=30 dry_run=false
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

if not __package__:  # as a script: the packages of this checkout, wherever others are installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from dataclasses import dataclass
from typing import Any

from components.runtime.schema import parameter
from pipelines.dag import PETS
from pipelines.engine.command import command, open_store
from pipelines.engine.leftovers import KINDS, Leftover, of_outputs, of_server, size_in_words


@dataclass(frozen=True)
class Settings:
    """Show what runs left behind and how large it is; remove what nobody needs any more.

    What is in use stays: the champion and the one before, with their evaluations and datasets, what
    newer runs made or reused, and the newest of each kind.
    """

    remove: list[str] = parameter(choices=KINDS)
    "What to remove; an empty list only shows."
    older_than: float = parameter(at_least=0)
    "Days since it was made or last used, below which nothing is removed."
    dry_run: bool = parameter()
    "Only tell what would be removed."


def work(settings: Any) -> None:
    """Tell of each kind how much there is, then of each thing that may go or has to stay, why."""
    run, store = settings.run, open_store(settings.run)

    @functools.cache
    def goes(one: Leftover) -> bool:
        old = one.days >= settings.older_than
        return one.kind in settings.remove and old and not used_by(one)

    def used_by(one: Leftover) -> str:
        later = (other for other in found if other.name in one.before and not goes(other))
        return one.used_by or next((other.name for other in later), "")

    found: list[Leftover] = []
    if run.mode == "offline":
        gone = {one.name for one in of_outputs(PETS, store) if one.kind == "runs" and goes(one)}
        found = of_outputs(PETS, store, gone)
    else:
        found = of_server(PETS, run.project, store.champions)
    for kind in KINDS:
        own = [one for one in found if one.kind == kind]
        if own:
            print(f"{kind:<12} {len(own):>6}  {size_in_words(sum(one.bytes for one in own)):>9}")
    going = list(filter(goes, found))
    for one in found:
        if one.kind in settings.remove and (user := used_by(one)):
            print(f"stays: {one.name}, used by {user}")
    for one in going:
        print(f"{'would remove' if settings.dry_run else 'removes'}: {_told(one)}")
        if not settings.dry_run:
            one.remove()
    if settings.remove:
        total = size_in_words(sum(one.bytes for one in going))
        hint = "; dry_run=false does it" if settings.dry_run and going else ""
        print(f"{len(going)} things, {total}{hint}")


def _told(one: Leftover) -> str:
    return f"{one.name}  {size_in_words(one.bytes)}, {one.days:.0f} days"


if __name__ == "__main__":
    command(PETS, Settings, "outputs", work)
