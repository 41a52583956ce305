"""What was found out about files, kept with the raw dataset: nobody looks at the same bytes twice.

In several files, by the first digit of the hash, so that one photo more changes one of them.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from components.ingest.verdict import Finding, suffix_of
from components.runtime.files import read_json

FOLDER = "findings"
Key = tuple[str, str]  # sha256 of the file, and the suffix of its name, which decides as well


def save_findings(folder: Path, found: Iterable[tuple[str, Finding]]) -> None:
    """Write the findings on files, given with their paths; of equal files, that on the first."""
    findings: dict[Key, Finding] = {}
    for path, finding in found:
        if finding.sha256:
            findings.setdefault((finding.sha256, suffix_of(path)), finding)
    texts: dict[str, list[str]] = defaultdict(list)
    for (sha256, suffix), finding in sorted(findings.items()):
        verdict, reason, _, width, height, thumbnail, picture = finding
        small, shown = (None if x is None else b64encode(x).decode() for x in (thumbnail, picture))
        row = [sha256, suffix, verdict, reason, width, height, small, shown]
        texts[sha256[0]].append(json.dumps(row))
    (folder / FOLDER).mkdir()
    for digit, lines in texts.items():
        text = "[\n" + ",\n".join(lines) + "\n]\n"
        (folder / FOLDER / f"{digit}.json").write_text(text, encoding="utf-8")


def findings_in(folder: Path, wanted: set[Key]) -> dict[Key, Finding]:
    """The findings of a raw dataset on the wanted files."""
    return {
        (sha256, suffix): Finding(
            verdict,
            reason,
            sha256,
            width,
            height,
            b64decode(small),
            None if shown is None else b64decode(shown),
        )
        for path in sorted((folder / FOLDER).glob("*.json"))
        for sha256, suffix, verdict, reason, width, height, small, shown in read_json(path)
        if (sha256, suffix) in wanted
    }
