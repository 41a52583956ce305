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
Labels = dict[str, tuple[str, str]]  # label and split by path


class File(NamedTuple):
    """A file that a source has, before anybody looked into it."""

    path: str  # posix, below the source's root
    label: str = ""  # empty: not in a class folder
    split: str = ""  # empty: the source has no ready-made split
    size: int = 0  # bytes
    problem: str = ""  # why it is left out unread; empty: nothing known against it
    place: int = 0  # its number in the archive


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


class Folders(dict[str, "Folders"]):
    """The folders in a folder, by name."""

    def unwrapped(self) -> tuple[Names, Folders]:
        """The chain of single folders on top, and the first level below that has several."""
        chain, folders = [], self
        while len(folders) == 1:
            ((name, inner),) = folders.items()
            if not inner:
                break
            chain.append(name)
            folders = inner
        return tuple(chain), folders


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
    top, folders = _tree(parts).unwrapped()
    rules = _Reading(asked, folders, list(parts)).rules(layout)
    found = _apply({(*top, *names): rule for names, rule in rules.items()}, parts)
    found = merge_alike(found, asked, alike)
    needed = "a sub-folder with images for each class"
    if not found:
        example, label = example_of_label(parts)
        if example:
            command = asked._replace(source="names").command()
            needed += f"; if the labels are in the file names, as {label} in {example}: {command}"
    check_splits(found, asked, needed, "class folder")
    return found


def labels_in_names(paths: Iterable[str], asked: Asked, pattern: str | None, alike: str) -> Labels:
    """`(label, split)` of each path with a label in its file's name; others are not in the result.

    Folders count only as splits. The label is empty below a split's folder that has no labels.
    """
    labels = {path: label_in_name(path, pattern) for path in paths}
    top, folders = _tree(labels).unwrapped()
    splits, depth = splits_in(folders), len(top)
    of_path = {p: splits.get((*p.split("/")[:-1], "", "")[depth], "") for p in labels}
    told = Counter(of_path[path] for path, label in labels.items() if label)
    if not ready_made(of_path.values()):
        of_path = dict.fromkeys(of_path, "")
    kept = {path: split if ready_made(told) else "" for path, split in of_path.items()}
    found = {path: (label, kept[path]) for path, label in labels.items() if label}
    aside = {path: ("", split) for path, split in of_path.items() if split and not told[split]}
    found = merge_alike(found, asked, alike)
    check_splits(found, asked, "two classes; say where the names have them: ingest.pattern=...")
    return found | aside


def merge_alike(found: Labels, asked: Asked, alike: str) -> Labels:
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
        self.inner = {name: inner.unwrapped() for name, inner in folders.items()}
        self.splits = splits_in(folders)

    def rules(self, layout: str) -> dict[Names, Rule]:
        """Rules by the folders that they hold for."""
        if layout == "auto":
            if mixed := self._mixed():
                return mixed
            self._refuse_ambiguous()
            layout = "subfolders" if ready_made(self.splits.values()) else "classes"
        return self._below() if layout == "subfolders" else self._classes()

    def _classes(self) -> dict[Names, Rule]:
        """The folders are the classes; splits may be below each."""
        inner = {name: splits_in(folders) for name, folders in self.folders.items()}
        if not inner or len(self._split_below()) < len(inner):
            return {(): Rule(None, "")}
        first, *others = inner
        for name in others:
            if set(inner[name].values()) != set(inner[first].values()):
                raise self.asked.refusal(
                    f"{first}/ has the split folders {listed(inner[first])}, {name}/ has "
                    f"{listed(inner[name])}; both need the same ones"
                )
        return {
            (name, part): Rule(name, split)
            for name, parts in inner.items()
            for part, split in parts.items()
        }

    def _below(self) -> dict[Names, Rule]:
        """The folders are splits, or parts without a meaning; the classes are below them."""
        if not self.splits:
            return {(name, *chain): Rule(None, "") for name, (chain, _) in self.inner.items()}
        trained = [f for name, split in self.splits.items() if split == "train"
                   for f in self.inner[name][1]]  # fmt: skip
        classes = set(map(folded, trained))
        rules = {}
        for name, split in self.splits.items():
            chain, folders = self.inner[name]
            other = len(folders) < 2 and not classes & set(map(folded, folders))
            if split != "train" and other:
                rules[name,] = Rule("", split)
            else:
                rules[(name, *chain)] = Rule(None, split)
        if not ready_made(rule.split for rule in rules.values() if rule.label is None):
            rules = {n: r if r.label == "" else Rule(None, "") for n, r in rules.items()}
        return rules

    def _mixed(self) -> dict[Names, Rule]:
        """Where each folder's name has a class and a split, as cat_train has; else empty."""
        named = {name: class_and_split(name) for name in self.folders}
        splits = defaultdict(set)
        for label, split in named.values():
            splits[label].add(split)
        first = next(iter(splits.values()), set())
        if len(splits) < 2 or not ready_made(first) or any(s != first for s in splits.values()):
            return {}
        return {(name,): Rule(label, split) for name, (label, split) in named.items()}

    def _split_below(self) -> list[str]:
        """The folders that hold nothing but folders of splits."""
        return [
            name
            for name, inner in self.folders.items()
            if len(splits := splits_in(inner)) == len(inner) and ready_made(splits.values())
        ]

    def _refuse_ambiguous(self) -> None:
        """BadInput where the folders' names have two meanings, with the commands for both."""
        if len(self.folders) < 2:
            return
        held = {name: set(folders) for name, (_, folders) in self.inner.items()}
        shared = set.intersection(*held.values())
        kinds = {self._part_of(name) for name in self.folders}
        if ready_made(self.splits.values()):
            if not any(held[name] for name, split in self.splits.items() if split == "train"):
                self._refuse_flat()
        elif split := self._split_below():
            self._refuse_copies()
            if others := self.folders.keys() - set(split):
                self._refuse(
                    f"differ: {split[0]} has splits, {min(others)} has none", held[split[0]]
                )
        elif copies := [name for name in held if len(held[name] & held.keys()) > 1]:
            self._refuse_copy(copies[0], held[copies[0]] & held.keys())
        elif len(shared) > 1:
            self._refuse(f"all have the sub-folders {listed(shared)}", shared)
        elif "" not in kinds and (len(kinds) > 1 or kinds == {"part"}):
            if below := set.union(*held.values()):
                self._refuse("look like parts of one set", below)
            self._refuse_flat()
        elif lone := [name for name in self.splits if self._holds_the_classes(name, held)]:
            self._refuse(f"are not all splits, but {lone[0]} looks like one", held[lone[0]])

    def _part_of(self, name: str) -> str:
        """The split that a name speaks of, `part` for a nameless one; empty: of neither."""
        spoken = next((SPLIT_WORD[word] for word in words_of(name) if word in SPLIT_WORD), "")
        nameless = "part" if PART_NAME.fullmatch(name.lower()) else ""
        return self.splits.get(name) or spoken or nameless

    def _holds_the_classes(self, name: str, held: Mapping[str, set[str]]) -> bool:
        others = [folders for other, folders in held.items() if other != name]
        return len(held[name]) > 1 and all(folders <= held[name] for folders in others)

    def _refuse(self, seen: str, inner: Iterable[str]) -> None:
        raise self.asked.refusal(
            f"the folders {listed(self.folders)} {seen}; "
            f"if {listed(inner)} are the classes: {self.asked.command('ingest.layout=subfolders')}"
            f"; if {listed(self.folders)} are: {self.asked.command('ingest.layout=classes')}"
        )

    def _refuse_flat(self) -> None:
        example, label = example_of_label(self.paths)
        if example:
            other = f"if the labels are in the file names, as {label} in {example}: "
            other += self.asked._replace(source="names").command()
        else:
            tables = (path for path in self.paths if ending(path) in (".csv", ".tsv"))
            told = f"{self.asked.told.rstrip('/')}/{next(tables, 'labels.csv')}"
            other = f"if a table has the labels: {Asked(told, 'table').command()}"
        raise self.asked.refusal(
            f"the folders {listed(self.folders)} look like splits, but have no class folders; "
            f"{other}; if {listed(self.folders)} are the classes: "
            f"{self.asked.command('ingest.layout=classes')}"
        )

    def _refuse_copies(self) -> None:
        """Several folders, each with splits that have class folders of their own."""
        for name, inner in self.folders.items():
            below = [set(folders.unwrapped()[1]) for folders in inner.values()]
            if below and len(shared := set.intersection(*below)) > 1:
                self._refuse_copy(name, shared, f" in {listed(inner)}")

    def _refuse_copy(self, name: str, inner: Iterable[str], where: str = "") -> None:
        one = self.asked._replace(told=f"{self.asked.told.rstrip('/')}/{name}")
        raise self.asked.refusal(
            f"{name}/ is beside {listed(self.folders.keys() - {name})} and has the folders "
            f"{listed(inner)}{where}; to take {name} alone: {one.command()}; "
            f"if {listed(self.folders)} are the classes: "
            f"{self.asked.command('ingest.layout=classes')}"
        )


def _apply(rules: Mapping[Names, Rule], parts: Mapping[str, Names]) -> Labels:
    lengths = sorted({len(names) for names in rules}, reverse=True)
    found = {}
    for path, names in parts.items():
        for length in lengths:
            rule = rules.get(names[:length])
            if rule and len(names) > length + (rule.label is None):
                found[path] = (names[length] if rule.label is None else rule.label, rule.split)
                break
    return found


def check_splits(found: Labels, asked: Asked, needed: str, what: str = "label") -> None:
    """BadInput without two classes, or when splits differ in theirs.

    In words, `what` tells the class, and is `needed`.
    """
    classes = defaultdict(set)
    for label, split in found.values():
        if label:
            classes[split].add(label)
    labels = set().union(*classes.values())
    if len(labels) < 2:
        seen = f"one {what} with files, {min(labels)}" if labels else f"no {what}s"
        raise asked.refusal(f"found {seen}; it needs {needed}")
    first = "train" if "train" in classes else min(classes)
    for split in sorted(classes):
        if differing := sorted(classes[first] ^ classes[split]):
            folders = [_above(found, name) for name in (first, split)]
            raise asked.refusal(
                f"{folders[0]} and {folders[1]} differ in the {what}s "
                f"{', '.join(differing)}; both need the same ones"
            )


def _above(found: Labels, split: str) -> str:
    """The folder of a split's classes; the split's name where they have none in common."""
    for path, (label, of) in found.items():
        names = path.split("/")
        if of == split and label in names:
            return "/".join(names[: names.index(label)]) + "/"
    return split


def _tree(paths: Iterable[str]) -> Folders:
    """The folders of the files that may be images."""
    tree = Folders()
    for path in paths:
        if ending(path) not in NO_IMAGES:
            folders = tree
            for name in path.split("/")[:-1]:
                folders = folders.setdefault(name, Folders())
    return tree
