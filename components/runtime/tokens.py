"""A Python text as what it says to Python: the same words in every version of Python, no layout.

Comments, docstrings and other lone strings, blank lines, line breaks and the quotes of plain
strings make no difference. Everything that may change what the text does makes one. There is no
syntax tree on the way: it differs between versions, and CPython 3.11 keeps one depth of its
constructor for all threads.
"""

from __future__ import annotations

import io
import itertools
import re
import tokenize
from collections.abc import Iterator

END, INDENT, DEDENT = "\\n", "\\>", "\\<"  # of a line, of blocks; no word starts like this

_MARKERS = {tokenize.NEWLINE: END, tokenize.INDENT: INDENT, tokenize.DEDENT: DEDENT}
_SKIPPED = {tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER}
_STARTS = {kind for kind, name in tokenize.tok_name.items() if name.endswith("STRING_START")}
_ENDS = {kind for kind, name in tokenize.tok_name.items() if name.endswith("STRING_END")}
_STRING = re.compile(r"(?s)([A-Za-z]*)('''|\"\"\"|'|\")(.*)\2")
_PLAIN = re.compile(r"[bru]*['\"]")  # how the word of a string begins that computes nothing


def words(text: str) -> list[str]:
    """The words of a Python text: lines end with `END`, blocks are between `INDENT` and `DEDENT`.

    Raises `SyntaxError` or `tokenize.TokenError` for a text that can't be told into words.
    """
    found = list(_words(text))
    documented = not {"__doc__", "getdoc"}.isdisjoint(found)  # the text uses its own docstrings
    kept: list[str] = []
    line: list[str] = []
    for word in found:
        line.append(word)
        if word == END:
            lone = not documented and all(map(_PLAIN.match, line[:-1]))
            kept += [] if lone or line == ["pass", END] else line
            line = []
        elif word in (INDENT, DEDENT):
            kept.append(line.pop())
    return kept


def _words(text: str) -> Iterator[str]:
    at = [0, *itertools.accumulate(len(line) + 1 for line in text.split("\n"))]  # begins each line
    depth, begin, name, name_end = 0, (0, 0), "", (0, 0)
    for kind, word, start, end, _ in tokenize.generate_tokens(io.StringIO(text).readline):
        if kind in _STARTS and not depth:
            begin = start
        was_inside, depth = depth, depth + (kind in _STARTS) - (kind in _ENDS)
        if depth:
            continue  # in an f-string, which is one token before Python 3.12
        if was_inside:
            word = text[at[begin[0] - 1] + begin[1] : at[end[0] - 1] + end[1]]
            kind = tokenize.STRING
        if kind == tokenize.ERRORTOKEN and word.strip():
            if not f"_{word}".isidentifier():
                raise SyntaxError(f"{word} in line {start[0]}")
            kind = tokenize.NAME  # of which older tokenizers know only some letters
        if kind == tokenize.NAME and start == name_end:
            name, name_end = name + word, end
            continue
        if name:
            yield name
            name = ""
        if kind == tokenize.NAME:
            name, name_end = word, end
        elif kind == tokenize.STRING:
            yield _string(word)
        elif kind not in _SKIPPED and (kind in _MARKERS or word.strip()):
            yield _MARKERS.get(kind, word)


def _string(text: str) -> str:
    """One word, in ASCII, for a string: its letters, and those of its quotes if it computes."""
    prefix, _, body = _STRING.fullmatch(text).groups()
    prefix = prefix.lower()
    if "f" in prefix or "t" in prefix:
        return prefix + ascii(text)
    if "r" not in prefix:
        body = re.sub(r"(?s)\\(.)", lambda it: it[1] if it[1] in "'\"" else it[0], body)
    return prefix + ascii(body)


def imports(found: list[str]) -> list[str]:
    """Every dotted name that words import; a relative one starts with its dots.

    `from a import b` may mean the module `a.b`, and so gives that; `import_module` and `__import__`
    count where they are given the name itself.
    """
    names = []
    for words in _parted(found, {END, INDENT, DEDENT, ";", ":"}):
        if "import" in words:
            middle = words.index("import")
            origin = "".join(words[1:middle])
            origin += "." if origin.strip(".") else ""
            for part in _parted(words[middle + 1 :], {",", "(", ")"}):
                names.append(origin + "".join(itertools.takewhile(lambda one: one != "as", part)))
    for called, bracket, text, behind in zip(found, found[1:], found[2:], found[3:], strict=False):
        if called in ("import_module", "__import__") and bracket == "(" and behind in (")", ","):
            names += [text[1:-1]] if text[0] in "'\"" else []
    return names


def _parted(words: list[str], marks: set[str]) -> Iterator[list[str]]:
    """What stands between the marks."""
    for is_mark, part in itertools.groupby(words, marks.__contains__):
        if not is_mark:
            yield list(part)
