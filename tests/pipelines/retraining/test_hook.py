"""A hook that fails is told without its address, and harms nothing."""

from __future__ import annotations

import logging
import time

import pytest

from components.runtime.schema import BadInput
from pipelines.retraining import hook
from pipelines.retraining.hook import Hook
from tests.pipelines.retraining.hooks import SECRET, receiver


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (200, ""),
        (500, "notify: the hook answered 500"),
        (307, "notify: the hook answered 307"),
        (None, "notify: no answer within 0.3 s"),
    ],
)
def test_what_a_hook_answers(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    status: int | None,
    words: str,
) -> None:
    monkeypatch.setattr(hook, "TIMEOUT", 0.3)
    with receiver() as received, caplog.at_level(logging.INFO):
        received.status = status
        monkeypatch.setenv("MY_HOOK", received.address)
        began = time.monotonic()
        Hook("MY_HOOK").send({"event": "started"})
        assert time.monotonic() - began < 5
        assert received.messages == [{"event": "started"}]
        time.sleep(0.1)
    assert words in caplog.text
    assert bool(words) == bool(caplog.text)
    assert SECRET not in caplog.text


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/", "http://no.such.host.invalid/"])
def test_a_hook_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    address: str,
) -> None:
    monkeypatch.setenv("MY_HOOK", address + SECRET)
    with caplog.at_level(logging.INFO):
        Hook("MY_HOOK").send({})
    assert "notify: the hook can't be reached (ConnectionError)" in caplog.text
    assert SECRET not in caplog.text + "".join(capfd.readouterr())
    assert SECRET not in repr(Hook("MY_HOOK"))


@pytest.mark.parametrize(
    ("variable", "content", "words"),
    [
        ("MY_HOOK", "", "notify=MY_HOOK: there is no such environment variable"),
        ("MY_HOOK", f"ftp://host/{SECRET}", "notify=MY_HOOK: what it holds is not an http"),
        ("MY_HOOK", f"https:///{SECRET}", "notify=MY_HOOK: what it holds is not an http"),
        (f"https://host/{SECRET}", "", "notify: give the name of an environment variable"),
    ],
)
def test_what_is_no_hook_is_refused_without_its_words(
    monkeypatch: pytest.MonkeyPatch, variable: str, content: str, words: str
) -> None:
    monkeypatch.setenv("MY_HOOK", content)
    with pytest.raises(BadInput) as refused:
        Hook(variable)
    assert words in str(refused.value)
    assert SECRET not in str(refused.value)


def test_without_a_hook_nothing_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    Hook(None).send({"event": "started"})
    assert not caplog.text
