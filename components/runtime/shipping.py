"""What goes along with a step that a server runs elsewhere."""

from __future__ import annotations

from components.runtime import storage
from components.runtime.source import ROOT


def repository() -> str | None:
    """The `repo` of a step: this checkout for a server, none offline where no step is shipped."""
    return None if storage.is_local() else "."


def requirements(stage: str) -> list[str]:
    """The packages that an agent installs for a step, at the versions that were tested."""
    path = ROOT / "components" / stage / "requirements.txt"
    return path.read_text(encoding="utf-8").splitlines()
