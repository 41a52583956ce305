"""projects.*: a tree of names; a missing parent is made along the way."""

from __future__ import annotations

from .errors import ApiError
from .query import PROJECTS, find
from .state import COMPANY, MIN_NAME, USER, Call, State, check_tags, endpoint, new_id, now

FIELDS = ("name", "description", "tags", "system_tags", "default_output_destination")


def clean_name(name: str) -> str:
    parts = [part.strip() for part in str(name).split("/") if part]
    if not parts:
        raise ApiError("invalid_project_name", name=name)
    return "/".join(parts)


def find_or_create(state: State, name: str) -> dict:
    name = clean_name(name)
    found = next((p for p in state.projects.values() if p["name"] == name), None)
    return found or _create(state, {"name": name})


def with_children(state: State, query: dict) -> None:
    """Widen the project of a query to its sub-projects, if the query asks for it."""
    ids = query.get("project")
    if query.pop("include_subprojects", False) and ids:
        ids = [ids] if isinstance(ids, str) else ids
        below = [p["id"] for p in state.projects.values() if set(p["path"]) & set(ids)]
        query["project"] = [*ids, *below]


def _create(state: State, fields: dict) -> dict:
    location, _, basename = fields["name"].rpartition("/")
    if len(basename) < MIN_NAME:
        # the real server's words for a name that is only too short
        raise ApiError("validation_error", "Project name cannot be blank")
    parent = find_or_create(state, location) if location else None
    moment = now()
    project = {
        "id": new_id(),
        "user": USER,
        "company": COMPANY,
        "basename": basename,
        "description": "",
        "featured": 9999,
        "tags": [],
        "system_tags": [],
        "created": moment,
        "last_update": moment,
        **fields,
        "path": [*parent["path"], parent["id"]] if parent else [],
    }
    if parent:
        project["parent"] = parent["id"]
        parent["last_update"] = moment
    state.projects[project["id"]] = project
    return project


def _query(call: Call) -> dict:
    """A parent is looked for at any height, unless the search is shallow."""
    query = {k: v for k, v in call.data.items() if k != "path"}
    if not query.get("shallow_search"):
        if "parent" in query:
            query["path"] = query.pop("parent")
    elif "parent" not in query:
        query["parent"] = [None]
    return query


@endpoint("projects.create")
def create(state: State, call: Call) -> dict:
    fields = {k: call.data[k] for k in FIELDS if call.data.get(k) is not None}
    fields["name"] = clean_name(call.one("name"))
    check_tags(fields)
    if any(p["name"] == fields["name"] for p in state.projects.values()):
        message = "Project with the same name already exists"
        raise ApiError(
            "expected_unique_data", replace=message, name=fields["name"], company=COMPANY
        )
    return {"id": _create(state, fields)["id"]}


@endpoint("projects.get_by_id")
def get_by_id(state: State, call: Call) -> dict:
    id_ = call.one("project")
    if id_ not in state.projects:
        raise ApiError("invalid_project_id", id=id_)
    return {"project": dict(state.projects[id_])}


@endpoint("projects.get_all")
def get_all(state: State, call: Call) -> dict:
    query = _query(call)
    hidden = query.get("search_hidden") or query.get("id")
    found = find(state, PROJECTS, query, lambda p: hidden or "hidden" not in p["system_tags"])
    return {"projects": found}


@endpoint("projects.update")
def update(state: State, call: Call) -> dict:
    project = state.get("projects", call.one("project"))
    fields = {k: call.data[k] for k in FIELDS if k in call.data}
    check_tags(fields)
    if fields.get("name"):
        fields["name"] = clean_name(fields["name"])
        location, _, basename = fields["name"].rpartition("/")
        if location != project["name"].rpartition("/")[0]:
            raise ApiError("cannot_update_project_location", name=fields["name"])
        if len(basename) < MIN_NAME:
            raise ApiError("validation_error", "Project name cannot be blank")
        fields["basename"] = basename
        for child in state.projects.values():
            if project["id"] in child["path"]:
                child["name"] = fields["name"] + child["name"].removeprefix(project["name"])
    project.update(fields, last_update=now())
    return {"updated": 1, "fields": fields}
