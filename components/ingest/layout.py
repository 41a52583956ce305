"""Which class and which ready-made split a file belongs to, by its path."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from components.ingest.naming import (
    NO_IMAGES,
    PART_NAME,
    SPLIT_WORD,
    class_and_split,
    ending,
    example_of_label,
    folded,
    label_in_name,
    listed,
    ready_made,
    splits_in,
    words_of,
)
from components.runtime.schema import BadInput
from components.runtime.text import printable

Names = tuple[str, ...]  # the parts of a path
Labels = dict[str, tuple[str, str]]  # label and split by path; no label: of a split without any
Folders = dict[str, "Folders"]  # the folders in a folder, by name
Rules = dict[Names, "Rule"]  # by the folder that they hold for


class File(NamedTuple):
    """A file that a source has, before anybody looked into it."""

    path: str  # posix, below the source's root
    label: str = ""  # empty: not in a class folder
    split: str = ""  # empty: the source has no ready-made split
    size: int = 0  # bytes
    problem: str = ""  # why it is left out unread; empty: nothing known against it
    place: int = 0  # its number in the archive
    stamp: tuple[int, ...] = ()  # what changes with it, or with its archive


class Asked(NamedTuple):
    """How a source was named on the command line, for errors and for the commands in them."""

    told: str  # ingest.path=photos
    source: str = "folder"
    more: tuple[str, ...] = ()  # further arguments that were given

    def command(self, argument: str = "") -> str:
        """The command, with another argument in place of one of its name."""
        name = argument.partition("=")[0]
        kept = [word for word in self.more if not word.startswith(f"{name}=")]
        words = [f"ingest={self.source}", self.told, *kept, *([argument] if argument else [])]
        return shlex.join(["python", "pipelines/pets_pipeline.py", *words])

    def refusal(self, problem: str) -> BadInput:
        """The one line for a source that can't be understood."""
        return BadInput(f"{self.told}: {printable(problem)}")


class Rule(NamedTuple):
    """What lies below a folder."""

    label: str | None  # None: the next folder's name; empty: there are no labels
    split: str


def find_labels(
    paths: Iterable[str], asked: Asked, layout: str = "auto", alike: str = "ask"
) -> Labels:
    """`(label, split)` of each path that lies in a class folder; others are not in the result.

    The classes are the folders of the first level that has more than one, below or above train,
    validation and test folders when these are there. The label is empty where a split has no class
    folders. BadInput when the layout does not work, or may mean two things and `layout` does not
    say which.
    """
    parts = {path: tuple(path.split("/")) for path in paths}
    top, folders = _unwrapped(_tree(parts))
    rules = _Reading(asked, folders, list(parts)).rules(layout)
    found = _apply({(*top, *names): rule for names, rule in rules.items()}, parts)
    needed = "a sub-folder with images for each class"
    if not found and (hint := _labels_in_names_of(parts, asked)):
        needed += f"; {hint}"
    return settled(found, asked, alike, needed, "class folder")


def labels_in_names(paths: Iterable[str], asked: Asked, pattern: str | None, alike: str) -> Labels:
    """`(label, split)` of each path with a label in its file's name; others are not in the result.

    Folders count only as splits. The label is empty below a split's folder that has no labels.
    """
    labels = {path: label_in_name(path, pattern) for path in paths}
    top, folders = _unwrapped(_tree(labels))
    splits, depth = splits_in(folders), len(top)
    if not ready_made(splits.values()):
        splits = {}
    found = {}
    for path, label in labels.items():
        folder = path.split("/")[:-1][depth : depth + 1]
        found[path] = label, splits.get("".join(folder), "")
    needed = "two classes; say where the names have them: ingest.pattern=..."
    return settled(found, asked, alike, needed)


def settled(found: Labels, asked: Asked, alike: str, needed: str, what: str = "label") -> Labels:
    """What is found, as one dataset: with the same classes in each split, or without splits.

    Without a label only those stay that are of a split that has none at all. BadInput without two
    classes, or when splits differ in theirs; in words, `what` tells the class, and is `needed`.
    """
    labelled = {path: both for path, both in found.items() if both[0]}
    splits = {split for _, split in labelled.values()}
    aside = {p: ("", split) for p, (_, split) in found.items() if split and split not in splits}
    if not ready_made(splits):
        labelled = {path: (label, "") for path, (label, _) in labelled.items()}
    elif lacking := [path for path, (_, split) in labelled.items() if not split]:
        raise asked.refusal(f"{lacking[0]} has no split, but others have")
    labelled = _merge_alike(labelled, asked, alike)
    classes = defaultdict(set)
    for label, split in labelled.values():
        classes[split].add(label)
    labels = set().union(*classes.values())
    if len(labels) < 2:
        seen = f"one {what} with files, {min(labels)}" if labels else f"no {what}s"
        raise asked.refusal(f"found {seen}; it needs {needed}")
    first = "train" if "train" in classes else min(classes)
    for split in sorted(classes):
        if differing := sorted(classes[first] ^ classes[split]):
            raise asked.refusal(
                f"{first} and {split} differ in the {what}s {', '.join(differing)}; "
                "both need the same ones"
            )
    return labelled | aside


def _merge_alike(found: Labels, asked: Asked, alike: str) -> Labels:
    """Labels that differ only in case, spaces or Unicode form made one, if `alike` says so.

    BadInput where it says that this is to be asked.
    """
    counts = Counter(label for label, _ in found.values())
    groups = defaultdict(list)
    for label in sorted(counts):
        groups[folded(label)].append(label)
    several = [labels for labels in groups.values() if len(labels) > 1]
    if alike == "keep" or not several:
        return found
    if alike == "ask":
        raise asked.refusal(
            f"the classes {' and '.join(map(repr, several[0]))} differ only in how they are "
            f"written; if they are one class: {asked.command('ingest.alike=merge')}; "
            f"if not: {asked.command('ingest.alike=keep')}"
        )
    one = {label: max(labels, key=counts.__getitem__) for labels in several for label in labels}
    return {path: (one.get(label, label), split) for path, (label, split) in found.items()}


def empty_classes(found: Labels, empty: Iterable[str]) -> list[str]:
    """Which of the folders without files would be class folders by where they are."""
    parents = set()
    for path, (label, _) in found.items():
        names = path.split("/")[:-1]
        if label in names:
            parents.add("/".join(names[: names.index(label)]))
    return [folder for folder in empty if folder.rpartition("/")[0] in parents]


class _Reading:
    """What folders mean: the ways to read them, and which one a person would take."""

    def __init__(self, asked: Asked, folders: Folders, paths: list[str]) -> None:
        self.asked, self.folders, self.paths = asked, folders, paths
        self.inner = {name: _unwrapped(inner) for name, inner in folders.items()}
        self.splits = splits_in(folders)
        self.split_below = [  # they hold nothing but folders of splits
            name
            for name, inner in folders.items()
            if len(found := splits_in(inner)) == len(inner) and ready_made(found.values())
        ]

    def rules(self, layout: str) -> Rules:
        """Rules by the folders that they hold for."""
        if layout == "auto":
            if mixed := self._mixed():
                return mixed
            self._refuse_ambiguous()
            layout = "subfolders" if ready_made(self.splits.values()) else "classes"
        return self._below() if layout == "subfolders" else self._classes()

    def _classes(self) -> Rules:
        """The folders are the classes; splits may be below each."""
        if not self.folders or len(self.split_below) < len(self.folders):
            return {(): Rule(None, "")}
        return {
            (name, part): Rule(name, split)
            for name, inner in self.folders.items()
            for part, split in splits_in(inner).items()
        }

    def _below(self) -> Rules:
        """The folders are splits, or parts without a meaning; the classes are below them."""
        rules = {}
        of_train = [n for n, split in self.splits.items() if split == "train"]
        classes = {folded(label) for name in of_train for label in self.inner[name][1]}
        for name, split in (self.splits or dict.fromkeys(self.folders, "")).items():
            chain, folders = self.inner[name]
            if split in ("", "train") or len(folders) > 1 or classes & set(map(folded, folders)):
                rules[(name, *chain)] = Rule(None, split)
            else:
                rules[name,] = Rule("", split)
        return rules

    def _mixed(self) -> Rules:
        """Where each folder's name has a class and a split, as cat_train has; else empty."""
        rules = {(name,): Rule(*class_and_split(name)) for name in self.folders}
        splits = defaultdict(set)
        for label, split in rules.values():
            splits[label].add(split)
        first = next(iter(splits.values()), set())
        alike = all(one == first for one in splits.values())
        return rules if len(splits) > 1 and alike and ready_made(first) else {}

    def _refuse_ambiguous(self) -> None:
        """BadInput where the folders' names have two meanings, with the commands for both."""
        held = {name: set(folders) for name, (_, folders) in self.inner.items()}
        below = set().union(*held.values())
        shared = below.intersection(*held.values())
        lone = [name for name in self.splits if held[name] == below and len(below) > 1]
        parts = {self._part_of(name) for name in self.folders}
        if len(self.folders) < 2:
            return
        if ready_made(self.splits.values()):
            if not any(held[name] for name, split in self.splits.items() if split == "train"):
                self._refuse_flat()
        elif copies := {n: copied for n in held if len(copied := self._copied(n)) > 1}:
            self._refuse_copy(*next(iter(copies.items())))
        elif len(self.split_below) == len(self.folders):
            return
        elif len(shared) > 1:
            self._refuse(f"all have the sub-folders {listed(shared)}", shared)
        elif odd := self.split_below or lone:
            self._refuse(f"are not alike, as {odd[0]} has {listed(held[odd[0]])}", held[odd[0]])
        elif "" not in parts and (len(parts) > 1 or parts == {"part"}):
            if below:
                self._refuse("look like parts of one set", below)
            self._refuse_flat()

    def _copied(self, name: str) -> set[str]:
        """The folders in a folder that make it a set of its own: the same in each of its splits, or
        the same as beside it."""
        if name in self.split_below:
            return set.intersection(*(set(_unwrapped(f)[1]) for f in self.folders[name].values()))
        return set(self.inner[name][1]) & self.folders.keys()

    def _part_of(self, name: str) -> str:
        """The split that a name speaks of, `part` for a nameless one; empty: of neither."""
        spoken = next((SPLIT_WORD[word] for word in words_of(name) if word in SPLIT_WORD), "")
        nameless = "part" if PART_NAME.fullmatch(name.lower()) else ""
        return self.splits.get(name) or spoken or nameless

    def _refuse(self, seen: str, inner: Iterable[str]) -> None:
        command = self.asked.command("ingest.layout=subfolders")
        other = f"if {listed(inner)} are the classes: {command}"
        raise self._question(f"the folders {listed(self.folders)} {seen}", other, "are")

    def _refuse_flat(self) -> None:
        other = _labels_in_names_of(self.paths, self.asked)
        if not other:
            tables = (path for path in self.paths if ending(path) in (".csv", ".tsv"))
            told = f"{self.asked.told.rstrip('/')}/{next(tables, 'labels.csv')}"
            other = f"if a table has the labels: {Asked(told, 'table').command()}"
        seen = f"the folders {listed(self.folders)} look like splits, but have no class folders"
        raise self._question(seen, other)

    def _refuse_copy(self, name: str, copied: Iterable[str]) -> None:
        one = self.asked._replace(told=f"{self.asked.told.rstrip('/')}/{name}")
        beside = listed(self.folders.keys() - {name})
        seen = f"{name}/ is beside {beside} and has the folders {listed(copied)}"
        raise self._question(seen, f"to take {name} alone: {one.command()}")

    def _question(self, seen: str, other: str, are: str = "are the classes") -> BadInput:
        classes = self.asked.command("ingest.layout=classes")
        return self.asked.refusal(f"{seen}; {other}; if {listed(self.folders)} {are}: {classes}")


def _labels_in_names_of(paths: Iterable[str], asked: Asked) -> str:
    """The command where names of files seem to have the labels; else empty."""
    example, label = example_of_label(paths)
    command = asked._replace(source="names").command()
    seen = f"if the labels are in the file names, as {label} in {example}: {command}"
    return seen if example else ""


def _apply(rules: Rules, parts: Mapping[str, Names]) -> Labels:
    lengths = sorted({len(names) for names in rules}, reverse=True)
    found = {}
    for path, names in parts.items():
        for length in lengths:
            rule = rules.get(names[:length])
            if rule and len(names) > length + (rule.label is None):
                found[path] = (names[length] if rule.label is None else rule.label, rule.split)
                break
    return found


def _tree(paths: Iterable[str]) -> Folders:
    """The folders of the files that may be images."""
    tree: Folders = {}
    for path in paths:
        if ending(path) not in NO_IMAGES:
            folders = tree
            for name in path.split("/")[:-1]:
                folders = folders.setdefault(name, {})
    return tree


def _unwrapped(folders: Folders) -> tuple[Names, Folders]:
    """The chain of single folders on top, and the first level below that has several."""
    chain: Names = ()
    while len(folders) == 1 and any(folders.values()):
        ((name, folders),) = folders.items()
        chain += (name,)
    return chain, folders
