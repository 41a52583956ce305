"""Show the champion, the model in use; choose another one, or go back to the one before.

python pipelines/champion.py rollback=true run=local
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # as a script: the packages of this checkout, wherever others are installed
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from dataclasses import dataclass
from typing import Any

from components.runtime.schema import BadInput, parameter
from pipelines.dag import PETS
from pipelines.engine.command import command, open_store


@dataclass(frozen=True)
class Settings:
    """Show the champion, the model in use; choose another one, or go back to the one before."""

    promote: str | None = parameter()
    "Make this model the champion, whatever the gate said of it: its reference."
    rollback: bool = parameter()
    "Make the champion before this one the champion again."


def work(settings: Any) -> None:
    """Print who is the champion, after the change that was asked for."""
    if settings.promote and settings.rollback:
        raise BadInput("rollback=true: does not go with promote=...; do one after the other")
    champions = open_store(settings.run).champions
    if settings.rollback:
        print(champions.roll_back())
    elif settings.promote:
        print(champions.choose(settings.promote))
    champion = champions.current()
    if champion is None:
        print("there is no champion yet; evaluate.gate=promote makes the first")
        return
    print(f"champion    {champion.model}")
    print(f"since       {champion.since}, {champion.reason}")
    print(f"before      {champion.before or 'none'}")
    print(f"evaluation  {champion.evaluation or 'none'}")


if __name__ == "__main__":
    command(PETS, Settings, "champion", work)
