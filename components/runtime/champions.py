"""The champion: the model in use, which a new one has to beat before it takes its place.

Offline it is written in `outputs/champion.json`; on a ClearML server it is the registered model of
the project that has the tag `champion`. Nothing is deleted or archived when the champion changes.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime, timezone

from components.runtime.schema import BadInput

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Champion:
    """A model in use; `before` is the reference of the one that it replaced, empty for the first.

    `evaluation` is the reference of the comparison that promoted it, empty when a person did.
    """

    model: str
    before: str
    since: str  # ISO 8601, UTC
    reason: str
    evaluation: str


class Champions(ABC):
    """Which model is in use, and which were before."""

    @abstractmethod
    def current(self) -> Champion | None:
        """The champion; None when there is none yet."""

    @abstractmethod
    def rolled_back(self, model: str) -> bool:
        """Whether a person took this model out of use."""

    @abstractmethod
    def known(self, model: str) -> bool:
        """Whether there is a model of that reference."""

    @abstractmethod
    def content(self, model: str) -> str:
        """The hash of what a model is: an equal one that was made again has the same."""

    @abstractmethod
    def put(self, champion: Champion) -> None:
        """Publish the model and make it the champion."""

    @abstractmethod
    def take_back(self, champion: Champion, to: str) -> None:
        """Make `to`, which was the champion before, the champion again."""

    def opponent(self, model: str) -> str:
        """The champion that `model` is compared with; empty for none.

        The champion itself met the one before it: a run that is repeated compares the same again.
        """
        champion = self.current()
        if champion is None:
            return ""
        return champion.before if self._same(champion.model, model) else champion.model

    def _same(self, one: str, other: str) -> bool:
        return one == other or self.content(one) == self.content(other)

    def promote(self, model: str, opponent: str, reason: str, evaluation: str) -> None:
        """Make a model that won against `opponent` the champion, if nothing speaks against it."""
        champion = self.current()
        if champion and self._same(champion.model, model):
            log.info("gate: %s is the champion already", model)
        elif self.rolled_back(model):
            log.warning(
                "gate: %s is not promoted, as it was rolled back; "
                "python pipelines/champion.py promote=%s does it",
                *(model, model),
            )
        elif (champion.model if champion else "") != opponent:
            log.warning("gate: %s is not promoted: the champion changed; run again", model)
        else:
            self.put(Champion(model, opponent, now(), reason, evaluation))
            log.info("gate: %s is the champion now", model)

    def choose(self, model: str) -> str:
        """Make a model the champion because a person says so; what was done, in words."""
        if not self.known(model):
            raise BadInput(f"promote={model}: there is no such model")
        champion = self.current()
        if champion and champion.model == model:
            raise BadInput(f"promote={model}: it is the champion already")
        before = champion.model if champion else ""
        self.put(Champion(model, before, now(), "chosen by a person", ""))
        return f"{model} is the champion now"

    def roll_back(self) -> str:
        """Put the champion before this one in its place; what was done, in words."""
        champion = self.current()
        if champion is None:
            raise BadInput("rollback=true: there is no champion yet")
        if not champion.before:
            raise BadInput(f"rollback=true: there was no champion before {champion.model}")
        if not self.known(champion.before):
            raise BadInput(
                f"rollback=true: {champion.before}, the champion before, is gone; "
                "choose another with promote=..."
            )
        self.take_back(champion, champion.before)
        return f"{champion.before} is the champion again; {champion.model} was rolled back"


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")
