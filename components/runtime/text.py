"""Text that others wrote, such as the names of files and classes, made fit to be shown."""

from __future__ import annotations

import logging
import re
import sys
import unicodedata

BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # turn round what stands beside them
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$!&])")


def printable(text: str, keep: str = "") -> str:
    """The text without control characters and lone surrogates, each told as its escape.

    Such characters move a terminal's cursor, break lines, tables and pages, or are no UTF-8.
    """
    return "".join(
        letter if letter in keep or not _unfit(letter) else letter.encode("unicode_escape").decode()
        for letter in text
    )


def markdown(text: str) -> str:
    """The text as Markdown shows it letter by letter, in a table's cell as well."""
    return MARKDOWN.sub(r"\\\1", printable(text))


class Formatter(logging.Formatter):
    """For logs that a terminal may show: lines stay lines, all else is made printable."""

    def format(self, record: logging.LogRecord) -> str:
        """As `logging.Formatter`, but printable."""
        text = super().format(record)
        if text.isascii() and text.isprintable():
            return text
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"  # a terminal may lack letters
        return printable(text, keep="\n\t").encode(encoding, "backslashreplace").decode(encoding)


def _unfit(letter: str) -> bool:
    kinds = ("Cc", "Cs", "Zl", "Zp")
    return unicodedata.category(letter) in kinds or bool(BIDI.match(letter))
