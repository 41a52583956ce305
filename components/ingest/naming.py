"""What the names of folders, files and classes say: splits, labels, and which are alike."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from components.runtime.schema import BadInput

WORDS = {
    "train": "train training trainval trainvalidation learn learning",
    "validation": "val valid validate validation eval evaluate evaluation dev develop development"
    " tune tuning",
    "test": "test testing tst holdout heldout unseen",
}
SPLIT_WORD = {word: split for split, words in WORDS.items() for word in words.split()}
FILLER = "data|folder|images?|imgs?|photos?|pictures?|pics?|sets?|splits?|samples?"
SPLIT_NAME = re.compile(f"(?:{FILLER})*?({'|'.join(SPLIT_WORD)})(?:{FILLER})*")
CLASS_AND_SPLIT = re.compile(
    f"({'|'.join(SPLIT_WORD)})[\\W_]+(.+)|(.+?)[\\W_]+({'|'.join(SPLIT_WORD)})", re.IGNORECASE
)
PART_NAME = re.compile(  # fold1, Part B, 3rd_split
    r"(k?[-_ ]?fold|cv|split|part|partition|batch|chunk|subset|shard)[-_ .]*(\d+|[a-z])"
    r"|\d+(st|nd|rd|th)?[-_ .]*(fold|split|part|partition|batch|chunk|subset|shard)"
)
NO_IMAGES = frozenset(  # endings of files that tell nothing of where the images are
    ".txt .csv .tsv .json .jsonl .xml .yaml .yml .md .rst .html .htm .css .js .pdf .py .ipynb .mat"
    " .npy .npz .pkl .h5 .hdf5 .zip .tar .gz .tgz .7z .rar .log .ini .cfg .db .sqlite .lnk .url"
    " .doc .docx .xls .xlsx .ppt .pptx .mp3 .wav .mp4 .mov .avi .mkv .sh .bat .exe".split()
)
ENDING = re.compile(r"\.\w{1,6}$")
SHOWN = 4  # names listed in a message at most
PATTERN = {"{label}": "(?P<label>[^/]+)", "{number}": r"\d+", "*": ".*"}


def words_of(name: str) -> list[str]:
    """The words of a name in lower case, without digits: `trainSet_2` has train and set."""
    return re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())


def split_of(name: str, shared: frozenset[str] = frozenset()) -> str:
    """The split that a folder of that name holds; empty: it is no split's name.

    Words of the name that are in `shared` do not count.
    """
    match = SPLIT_NAME.fullmatch("".join(word for word in words_of(name) if word not in shared))
    return SPLIT_WORD[match[1]] if match else ""


def class_and_split(name: str) -> tuple[str, str]:
    """`dog` and `train` of a folder named dog_train or train-dog; empty: its name has not both."""
    match = CLASS_AND_SPLIT.fullmatch(name)
    if not match:
        return "", ""
    first, label, other_label, last = match.groups()
    return label or other_label, SPLIT_WORD[(first or last).lower()]


def label_in_name(name: str, pattern: str | None = None) -> str:
    """The label in a file's name or path; empty: there is none.

    Without a pattern it is the name up to its last number: `cat` of `cat.0.jpg`.
    """
    if ending(name) in NO_IMAGES:
        return ""
    file = name.rpartition("/")[2]
    stem = file[: -len(ending(file))] if ending(file) else file
    if pattern is None:
        return _without_number(stem)
    tries = [name] if "/" in pattern else [stem, file]
    match = next(filter(None, map(_compiled(pattern).fullmatch, tries)), None)
    return match["label"].strip() if match else ""


def _without_number(stem: str) -> str:
    """What stands before the number at the end, and before what parts them; empty: no letter."""
    digits = "".join(filter(str.isdecimal, stem))
    apart = "".join(letter for letter in stem if unicodedata.category(letter)[0] in "CPSZ")
    label = stem.rstrip(apart).rstrip(digits).rstrip(apart)
    return label if any(map(str.isalpha, label)) else ""


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    if pattern.count("{label}") != 1:
        raise BadInput(
            f"ingest.pattern={pattern}: needs {{label}} once, as in {{label}}_{{number}}"
        )
    parts = re.split(r"(\{label\}|\{number\}|\*)", pattern)
    return re.compile("".join(PATTERN.get(part) or re.escape(part) for part in parts), re.DOTALL)


def splits_in(folders: Iterable[str]) -> dict[str, str]:
    """The split of each of these sister folders that has a split's name."""
    words = [frozenset(words_of(name)) for name in folders]
    shared = frozenset.intersection(*words) - SPLIT_WORD.keys() if len(words) > 1 else frozenset()
    return {name: split for name in folders if (split := split_of(name, shared))}


def ready_made(splits: Iterable[str]) -> bool:
    """Whether these splits are a person's own division: with training images, and others."""
    named = set(splits) - {""}
    return "train" in named and len(named) > 1


def example_of_label(paths: Iterable[str]) -> tuple[str, str]:
    """A file and the label in its name, where few labels are in many names; else empty."""
    labels = {path: label for path in paths if (label := label_in_name(path))}
    counts = Counter(labels.values())
    if len(counts) < 2 or 2 * len(counts) > len(labels):
        return "", ""
    path = next(path for path, label in labels.items() if counts[label] > 1)
    return path, labels[path]


def ending(path: str) -> str:
    match = ENDING.search(path)
    return match[0].lower() if match else ""


def folded(label: str) -> str:
    """What labels that a person takes for the same have in common."""
    plain = unicodedata.normalize("NFKC", label).casefold()
    return re.sub(r"[\s_-]+", " ", plain).strip() or label


def listed(names: Iterable[str]) -> str:
    """The first few names, sorted."""
    names = sorted(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN + 1 else ""
    return ", ".join(names[:SHOWN] if more else names) + more
