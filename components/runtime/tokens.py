"""A Python text as what it says to Python: the same words in every version of Python, no layout.

Comments, docstrings and other lone strings, blank lines, line breaks, quote style, needless
brackets around a whole expression, trailing commas and `;` make no difference. Everything that may
change what the text does makes one. There is no syntax tree on the way: it differs between
versions, and CPython 3.11 keeps one depth of its constructor for all threads.
"""

from __future__ import annotations

import codecs
import io
import keyword
import re
import tokenize
import unicodedata
from collections.abc import Iterator

END, INDENT, DEDENT = "\\n", "\\>", "\\<"  # of a statement, of blocks; no word starts like this
HEADERS = set("if elif else while for try except finally with def class async".split())
IDLE = {"pass", "...", "None", "True", "False"}  # statements that do nothing

_MARKERS = {tokenize.NEWLINE: END, tokenize.INDENT: INDENT, tokenize.DEDENT: DEDENT}
_SKIPPED = {tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER, tokenize.ERRORTOKEN}
_STARTS = {kind for kind, name in tokenize.tok_name.items() if name.endswith("STRING_START")}
_ENDS = {kind for kind, name in tokenize.tok_name.items() if name.endswith("STRING_END")}

_STRING = re.compile(r"(?s)([A-Za-z]*)('''|\"\"\"|'|\")(.*)\2$")
_ESCAPE = re.compile(
    r"\\([\n\\'\"abfnrtv]|[0-7]{1,3}|x[0-9a-fA-F]{2}"
    r"|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]+\})"
)
_LITERAL = re.compile(r"(?s)(?:\{\{|\}\}|\\N\{[^{}]*\}|\\[^{}]|\\(?=[{}])|[^{}\\])*")
_RAW_LITERAL = re.compile(r"(?:\{\{|\}\}|[^{}])*")
_SPEC = re.compile(r"[^{}]*")  # there braces are not doubled
_INNER_STRING = re.compile(r"(?s)('''|\"\"\"|'|\")(?:\\.|(?!\1).)*\1")
_AFTER = re.compile(r"(=\s*)?(?:!\s*(\w+)\s*)?([:}])")

_OPENING, _CLOSING = {"(", "[", "{"}, {")", "]", "}"}
_AUGMENTED = {f"{sign}=" for sign in "+ - * / // % @ & | ^ >> << **".split()}
_MARKS = {",", "for", "lambda", ":=", "yield", "as"}  # in brackets: more than a plain expression
# Between these an expression stands alone, whatever its operators: brackets around it say nothing.
_BEFORE = {"(", "[", "{", ",", "=", "->", "else", "return", "assert", "raise"} | _AUGMENTED
_WHOLE = {"=", "return", "yield"} | _AUGMENTED  # and a tuple, to the end of the statement
_TUPLES, _EXPRESSIONS = {",", "lambda"}, {",", "as"}
_BEHIND = _CLOSING | {END, ";", ",", ":", "="}


def statements(text: str) -> list[list[str]]:
    """The statements of a Python text, each as its words; blocks between `INDENT` and `DEDENT`.

    Raises `SyntaxError` or `tokenize.TokenError` for a text that can't be told into words.
    """
    words = _without_needless_brackets(_words(text))
    documented = not {"__doc__", "getdoc"}.isdisjoint(words)  # the text uses its own docstrings
    return [
        statement
        for statement in _split(words)
        if len(statement) > 1 or not _does_nothing(statement[0], documented)
    ]


def _does_nothing(word: str, documented: bool) -> bool:
    """Whether a statement of this one word says something only to people."""
    if word[0] in "\"'":
        return not documented
    return word in IDLE or word[0].isdigit() or word.startswith(("b'", 'b"'))


def imports(found: list[list[str]]) -> list[str]:
    """Every dotted name that statements import; a relative one starts with its dots.

    `from a import b` may mean the module `a.b`, and so gives that; `import_module` and `__import__`
    count where they are given the name itself.
    """
    names = []
    for words in found:
        if words[0] == "import":
            names += [_dotted(part) for part in _parted(words[1:])]
        elif words[0] == "from" and "import" in words:
            middle = words.index("import")
            module = "".join(words[1:middle])
            dot = "" if module.endswith(".") else "."
            names += [f"{module}{dot}{part[0]}" for part in _parted(words[middle + 1 :])]
        for place, word in enumerate(words[:-3]):
            bracket, text, behind = words[place + 1 : place + 4]
            called = word in ("import_module", "__import__") and bracket == "("
            if called and text[0] in "\"'" and behind in (")", ","):
                names.append(text[1:-1])
    return names


def _parted(words: list[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for word in [*words, ","]:
        if word != ",":
            part.append(word)
        elif part:
            yield part
            part = []


def _dotted(words: list[str]) -> str:
    return "".join(words[: words.index("as")] if "as" in words else words)


def _words(text: str) -> list[str]:
    """The words of a text; strings by their value, those that stand side by side as one."""
    lines = text.split("\n")
    words: list[str] = []
    strings: list[str] = []
    depth, begin, name_end = 0, (0, 0), (0, 0)
    for kind, word, start, end, _ in tokenize.generate_tokens(io.StringIO(text).readline):
        if depth:  # in an f-string, which is one token before Python 3.12
            depth += (kind in _STARTS) - (kind in _ENDS)
            if depth:
                continue
            kind, word = tokenize.STRING, _between(lines, begin, end)
        elif kind in _STARTS:
            depth, begin = 1, start
            continue
        elif kind == tokenize.ERRORTOKEN and word.strip():
            if not f"_{word}".isidentifier():
                raise SyntaxError(f"{word} in line {start[0]}")
            kind = tokenize.NAME  # of which older tokenizers know only some letters
        if kind in _SKIPPED:
            continue
        if kind == tokenize.STRING:
            strings.append(word)
            continue
        if strings:
            words.append(_value_of(strings))
            strings = []
        if kind == tokenize.NAME:
            if start == name_end:
                words[-1] += word
            else:
                words.append(word)
            name_end = end
        elif kind == tokenize.NUMBER:
            words.append(word.lower().replace("_", ""))
        else:
            words.append(_MARKERS.get(kind, word))
    return [word if word.isascii() else unicodedata.normalize("NFKC", word) for word in words]


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """The text from one place to another, each a line from 1 and a column."""
    found = lines[start[0] - 1 : end[0]]
    found[-1] = found[-1][: end[1]]
    found[0] = found[0][start[1] :]
    return "\n".join(found)


def _value_of(strings: list[str]) -> str:
    """One word for string tokens that Python joins: in ASCII, whatever Python can print."""
    pieces: list[object] = []
    kinds = set()
    for string in strings:
        prefix, _, body = _STRING.match(string).groups()
        prefix = prefix.lower()
        kinds |= {kind for kind in prefix if kind in "bft"}
        if "f" in prefix or "t" in prefix:
            try:
                pieces += _pieces(body, "r" in prefix)[0]
            except (ValueError, SyntaxError, tokenize.TokenError):  # no Python runs it
                pieces.append((string,))
        else:
            pieces.append(body if "r" in prefix else _decoded(body, "b" in prefix))
    joined: list[object] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        elif piece != "":
            joined.append(piece)
    value = "".join(joined) if kinds <= {"b"} else joined
    return "".join(sorted(kinds)) + ascii(value)


def _decoded(body: str, of_bytes: bool = False) -> str:
    """What a string's text stands for."""

    def character(match: re.Match[str]) -> str:
        try:
            known = not of_bytes or match[1][0] not in "uUN"
            return codecs.decode(match[0], "unicode_escape") if known else match[0]
        except ValueError:  # no such character
            return match[0]

    return _ESCAPE.sub(character, body) if "\\" in body else body


def _pieces(body: str, raw: bool, place: int = 0, nested: bool = False) -> tuple[list[object], int]:
    """Literals and expressions of an f-string from a place on, and where they end.

    An expression is its words, conversion and format, which is `nested` and ends before a bracket.
    """
    pieces: list[object] = []
    pattern = _SPEC if nested else _RAW_LITERAL if raw else _LITERAL
    while True:
        literal = pattern.match(body, place)[0]
        place += len(literal)
        if not nested:
            literal = literal.replace("{{", "{").replace("}}", "}")
        pieces.append(literal if raw else _decoded(literal))
        if body[place : place + 1] != "{":
            if body[place : place + 1] != ("}" if nested else ""):
                raise ValueError(f"a lone bracket in {body}")
            return pieces, place
        start = place + 1
        end = _end_of_expression(body, start)
        behind = _AFTER.match(body, end)
        equals, conversion, sign = behind.groups()
        if equals:
            pieces.append(body[start:end] + equals)
        place, spec = behind.end(), []
        if sign == ":":
            spec, close = _pieces(body, raw, place, nested=True)
            place = close + 1
        words = _without_needless_brackets(_words(f"({body[start:end]})"))
        pieces.append((words, conversion or "", spec))


def _end_of_expression(body: str, place: int) -> int:
    """Where the expression ends that starts at `place`: before `=}`, `!r}`, `:` or `}`."""
    depth = 0
    while place < len(body):
        sign = body[place]
        if sign in "'\"":
            string = _INNER_STRING.match(body, place)
            if not string:
                break
            place = string.end()
            continue
        if not depth and sign in "=!:}" and _AFTER.match(body, place):
            return place
        depth += (sign in _OPENING) - (sign in _CLOSING)
        place += 1
    raise ValueError(f"no end of an expression in {body}")


def _without_needless_brackets(words: list[str]) -> list[str]:
    """Drop brackets around a whole expression, and commas before a closing bracket."""
    kept: list[str] = []
    stack: list[tuple[int, list[str]]] = []  # of each open bracket: its place, marks seen inside
    for place, word in enumerate(words):
        if word in _OPENING:
            stack.append((len(kept), []))
        elif word in _CLOSING and stack:
            opened, marks = stack.pop()
            before = kept[opened - 1] if opened else END
            if kept[-1] == "," and _is_needless_comma(kept[opened], before, marks):
                kept.pop()
                marks.remove(",")
            behind = words[place + 1] if place + 1 < len(words) else END
            if word == ")" and opened + 1 < len(kept) and _stands_alone(before, marks, behind):
                del kept[opened]
                continue
        elif stack and word in _MARKS:
            stack[-1][1].append(word)
        kept.append(word)
    return kept


def _is_needless_comma(opening: str, before: str, marks: list[str]) -> bool:
    """Whether a comma before the closing bracket says nothing: not that of a tuple of one."""
    if opening == "{" or before == "import" or (before == "with" and "as" in marks):
        return True
    if marks.count(",") > 1 and "lambda" not in marks:
        return True
    if opening == "(":
        return _is_value(before) and before not in ("match", "case")  # a call
    return not _is_value(before)  # a list


def _is_value(word: str) -> bool:
    """Whether a bracket behind `word` calls it or looks something up in it."""
    if word in ("...", "None", "True", "False") or word[-1] in ")]}\"'":
        return True
    known = word[0].isalnum() or word[0] == "_" or word[-1].isdigit() or not word.isascii()
    return known and not keyword.iskeyword(word)


def _stands_alone(before: str, marks: list[str], behind: str) -> bool:
    """Whether round brackets between these two words, with these marks inside, say nothing."""
    if before == "import":
        return behind in (END, ";")
    if before == "with":  # never a tuple
        return behind == ":" and _EXPRESSIONS.issuperset(marks)
    if before in _WHOLE and behind in (END, ";") and _TUPLES.issuperset(marks):
        return True
    if before == "for":
        return behind == "in"
    if marks:
        return False
    if before in _BEFORE:
        return behind in _BEHIND
    if before == ":":
        return behind in _BEHIND and behind != ":"  # `if a: (b): int` is no variable's type
    if before in ("if", "elif", "while", "except"):
        return behind == ":" or (behind == "as" and before == "except")
    return before in (END, INDENT, DEDENT, ";") and behind in (END, ";")


def _split(words: list[str]) -> Iterator[list[str]]:
    """Statements; a body on the line of its header becomes a block."""
    statement: list[str] = []
    blocks: list[str] = []  # the first word of each open block's header
    last, depth, lambdas, header, inline = "", 0, 0, False, False
    for place, word in enumerate(words):
        if word in (INDENT, DEDENT):
            yield [word]
            if word == INDENT:
                blocks.append(last)
            else:
                blocks.pop()
        elif word in (END, ";"):
            if statement:
                yield statement
                last, statement = statement[0], []
            if word == END and inline:
                yield [DEDENT]
                inline = False
        else:
            if not statement:
                header = word in HEADERS or (word == "case" and blocks[-1:] == ["match"])
                depth = lambdas = 0
            statement.append(word)
            if not header:
                continue
            depth += (word in _OPENING) - (word in _CLOSING)
            if depth or word not in (":", "lambda"):
                continue
            lambdas += 1 if word == "lambda" else -1
            if lambdas < 0:
                header = False
                if words[place + 1] != END:
                    yield statement
                    yield [INDENT]
                    statement, inline = [], True
