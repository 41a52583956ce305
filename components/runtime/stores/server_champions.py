"""The champion on a ClearML server: a tag in the model registry of the project."""

from __future__ import annotations

import re
from dataclasses import asdict, fields, replace
from typing import Any

from clearml import Model
from clearml.backend_api.session.client import APIClient

from components.runtime.champions import Champion, Champions, now
from components.runtime.stores import steps_project

CHAMPION, ROLLED_BACK = "champion", "rolled back"  # tags
SECTION = "champion "  # how the keys of its metadata begin


class ServerChampions(Champions):
    """The tag `champion`, moved so that at no moment no model has it."""

    def __init__(self, project: str) -> None:
        self.project = project

    def current(self) -> Champion | None:
        found = [_champion(model) for model in tagged(self.project, CHAMPION)]
        return max(found, key=lambda one: one.since) if found else None

    def rolled_back(self, model: str) -> bool:
        return ROLLED_BACK in (Model(model_id=model).tags or [])

    def known(self, model: str) -> bool:
        return bool(APIClient().models.get_all(id=[model], only_fields=["id"]))

    def content(self, model: str) -> str:
        stored = Model(model_id=model).get_all_metadata() if self.known(model) else {}
        return stored.get("content", {}).get("value") or model

    def put(self, champion: Champion) -> None:
        model = Model(model_id=champion.model)
        if not model.published:
            model.publish()
        for name, text in asdict(champion).items():
            if name != "model":
                model.set_metadata(f"{SECTION}{name}", text, v_type="str")
        _tag(model, add=CHAMPION, remove=ROLLED_BACK)
        for other in tagged(self.project, CHAMPION):
            if other.id != champion.model:
                _tag(other, remove=CHAMPION)

    def take_back(self, champion: Champion, to: str) -> None:
        earlier = _champion(Model(model_id=to))
        self.put(replace(earlier, since=now(), reason="rolled back to it"))
        _tag(Model(model_id=champion.model), add=ROLLED_BACK)


def tagged(project: str, tag: str) -> list[Model]:
    """The registered models of the pipeline that have a tag."""
    return [Model(model_id=one) for one in models_of(project, tags=[tag])]


def models_of(project: str, **wanted: Any) -> list[str]:
    """The ids of the registered models of the pipeline that match."""
    # Not `Model.query_models`, which does not look into hidden projects.
    client, name = APIClient(), f"^{re.escape(steps_project(project))}$"
    inside = [each.id for each in client.projects.get_all(name=name, search_hidden=True)]
    if not inside:
        return []
    wanted |= {"project": inside, "system_tags": ["-archived"]}
    return [model.id for model in client.models.get_all(**wanted, only_fields=["id"])]


def _champion(model: Model) -> Champion:
    stored = model.get_all_metadata()
    texts = {
        field.name: stored.get(f"{SECTION}{field.name}", {}).get("value") or ""
        for field in fields(Champion)
    }
    return Champion(**texts | {"model": model.id})


def _tag(model: Model, add: str = "", remove: str = "") -> None:
    tags = [tag for tag in model.tags or [] if tag not in (add, remove)]
    # Not `model.tags = ...`, by which ClearML 2.1.12 can't take the last tag away.
    APIClient().models.edit(model=model.id, tags=[*tags, add] if add else tags)
