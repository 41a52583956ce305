"""The champion offline: a pointer file with its history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from components.runtime.champions import Champion, Champions
from components.runtime.files import read_json, write_json
from components.runtime.schema import BadInput


class LocalChampions(Champions):
    """`champion.json`: the champions in their order, the last one in use, and those taken back."""

    def __init__(
        self,
        file: Path,
        known: Callable[[str], bool],
        content: Callable[[str], str] = lambda model: model,
    ) -> None:
        self.file = file
        self._known = known
        self._content = content

    def content(self, model: str) -> str:
        return self._content(model)

    def current(self) -> Champion | None:
        champions = self._read()["champions"]
        return Champion(**champions[-1]) if champions else None

    def rolled_back(self, model: str) -> bool:
        return model in self._read()["rolled_back"]

    def known(self, model: str) -> bool:
        return model.startswith("models/") and self._known(model)

    def put(self, champion: Champion) -> None:
        content = self._read()
        content["champions"].append(asdict(champion))
        content["rolled_back"] = [m for m in content["rolled_back"] if m != champion.model]
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.file, content)

    def take_back(self, champion: Champion, to: str) -> None:
        content = self._read()
        content["champions"].pop()
        content["rolled_back"].append(champion.model)
        write_json(self.file, content)

    def _read(self) -> dict[str, Any]:
        try:
            content = read_json(self.file)
            [Champion(**one) for one in content["champions"]]
            return {"champions": content["champions"], "rolled_back": content["rolled_back"]}
        except FileNotFoundError:
            return {"champions": [], "rolled_back": []}
        except (ValueError, KeyError, TypeError):
            raise BadInput(f"{self.file}: can't be read; mend it, or remove it") from None
