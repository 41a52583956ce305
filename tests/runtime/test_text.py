"""What others wrote can't move the cursor, break a line or a table, or be taken for markup."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from components.runtime.text import Formatter, markdown, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jcat", "\\x1b[2Jcat"),
        ("a\nb\rc\td\x7f\x9b", "a\\nb\\rc\\td\\x7f\\x9b"),
        ("gpj.\u202ecat", "gpj.\\u202ecat"),
        ("\u2028\udcff", "\\u2028\\udcff"),
        (
            "Gr\xf6\xdfe \u732b \U0001f468\u200d\U0001f467 \u3000",
            "Gr\xf6\xdfe \u732b \U0001f468\u200d\U0001f467 \u3000",
        ),
    ],
)
def test_only_what_is_no_letter_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    shown.encode()


def test_a_log_keeps_its_lines() -> None:
    record = logging.LogRecord("x", 20, "x", 1, "one\n%s", ("\x1b[31mtwo",), None)
    assert Formatter().format(record) == "one\n\\x1b[31mtwo"


def test_a_terminal_without_the_letters_gets_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    record = logging.LogRecord("x", 20, "x", 1, "\u732b: %d %%", (50,), None)
    assert Formatter().format(record) == "\\u732b: 50 %"


def test_markdown_is_taken_literally() -> None:
    assert markdown("a|b_c*[x](y)<b>`&$\n") == (r"a\|b\_c\*\[x\](y)\<b\>\`\&\$\\n")
