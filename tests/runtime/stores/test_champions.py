"""The champion, offline and on a server: promoted, taken back, never lost on the way."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from components.runtime.champions import Champions, now
from components.runtime.schema import BadInput
from components.runtime.stores import steps_project
from components.runtime.stores.local_champions import LocalChampions


@pytest.fixture(params=["local", "server"])
def models(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Champions, list[str]]:
    """A store's champions, none yet, and four models of which the last is gone."""
    if request.param == "local":
        names = [f"models/{name}" for name in "abcd"]
        return LocalChampions(tmp_path / "champion.json", names[:3].__contains__), names
    champions, ids = on_server(request.getfixturevalue("clearml_conf"))
    return champions, [*ids, uuid.uuid4().hex]


def on_server(clearml_conf: Path) -> tuple[Champions, list[str]]:
    """The champions of a new project with three models that are not published."""
    os.environ["CLEARML_CONFIG_FILE"] = str(clearml_conf)
    from clearml.backend_api.session.client import APIClient

    from components.runtime.stores.server_champions import ServerChampions

    client, project = APIClient(), f"champions-{uuid.uuid4().hex[:8]}"
    inside = client.projects.create(name=steps_project(project), system_tags=["hidden"]).id
    return ServerChampions(project), [
        client.models.create(name=name, uri=f"http://files/{name}", project=inside, ready=False).id
        for name in ("first", "second", "third")
    ]


def promote(champions: Champions, model: str, opponent: str) -> None:
    champions.promote(model, opponent, reason="promote: better", evaluation="e")


def test_there_is_none_at_first(models: tuple[Champions, list[str]]) -> None:
    champions, (a, *_) = models
    assert champions.current() is None
    assert champions.opponent(a) == ""
    with pytest.raises(BadInput, match=r"^rollback=true: there is no champion yet$"):
        champions.roll_back()


def test_a_winner_replaces_the_champion_and_is_taken_back(
    models: tuple[Champions, list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    champions, (a, b, c, _) = models
    promote(champions, a, "")
    promote(champions, b, a)
    champion = champions.current()
    assert (champion.model, champion.before, champion.evaluation) == (b, a, "e")
    assert champion.reason == "promote: better"
    assert champion.since < now()
    assert champions.opponent(c) == b
    assert champions.opponent(b) == a  # a repeated run compares the same again
    promote(champions, b, a)
    assert champions.current() == champion

    assert champions.roll_back() == f"{a} is the champion again; {b} was rolled back"
    assert (champions.current().model, champions.current().before) == (a, "")
    promote(champions, b, a)
    assert f"{b} is not promoted, as it was rolled back" in caplog.text
    assert champions.current().model == a
    with pytest.raises(BadInput, match=f"^rollback=true: there was no champion before {a}$"):
        champions.roll_back()

    assert champions.choose(b) == f"{b} is the champion now"  # a person may
    assert champions.opponent(c) == b
    assert not champions.rolled_back(b)


def test_a_champion_that_changed_meanwhile_stays(
    models: tuple[Champions, list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    champions, (a, b, c, _) = models
    promote(champions, a, "")
    promote(champions, b, a)
    promote(champions, c, a)
    assert champions.current().model == b
    assert f"{c} is not promoted: the champion changed; run again" in caplog.text


def test_only_a_model_that_is_there_can_be_chosen(models: tuple[Champions, list[str]]) -> None:
    champions, (a, _, _, gone) = models
    with pytest.raises(BadInput, match=f"^promote={gone}: there is no such model$"):
        champions.choose(gone)
    champions.choose(a)
    with pytest.raises(BadInput, match=f"^promote={a}: it is the champion already$"):
        champions.choose(a)


def test_a_damaged_pointer_is_named(tmp_path: Path) -> None:
    file = tmp_path / "champion.json"
    file.write_text('{"champions": [{"model": 1}]}')
    with pytest.raises(BadInput, match=r"champion\.json: can't be read; mend it, or remove it$"):
        LocalChampions(file, lambda _: True).current()


def test_a_move_of_the_tag_that_broke_off_leaves_one_champion(clearml_conf: Path) -> None:
    """Killed between tagging the new one and untagging the old: the newer one counts."""
    champions, (a, b, _) = on_server(clearml_conf)
    from clearml import Model

    champions.choose(a)
    champions.choose(b)
    Model(model_id=a).tags = ["mine", "champion"]
    assert champions.current().model == b
    champions.roll_back()
    assert champions.current().model == a
    assert set(Model(model_id=a).tags) == {"mine", "champion"}
    assert Model(model_id=b).tags == ["rolled back"]
    assert Model(model_id=a).published
