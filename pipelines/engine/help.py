"""What `--help` prints: the groups and parameters of a command, or those that a word names."""

from __future__ import annotations

import re
from collections.abc import Mapping

from components.runtime.schema import BadInput, Parameter


def help_text(
    about: str,
    known: Mapping[str, Parameter],
    groups: Mapping[str, list[str]],
    defaults: Mapping[str, str],
    words: list[str],
) -> str:
    """All parameters with their defaults, by the dotted names of which `defaults` has texts."""

    def wanted(name: str) -> bool:
        parts = re.split("[./]", name)
        return not words or any(word in parts or name.startswith(word) for word in words)

    options = [f"  {name} = {' | '.join(known)}" for name, known in groups.items() if wanted(name)]
    lines: list[str] = []
    stage = None
    for name, one in known.items():
        if not wanted(name):
            continue
        if stage != (stage := name.partition(".")[0] if "." in name else ""):
            lines += ["", f"{stage or 'Parameters'}:"]
        only = f"; only with {one.only_with}" if one.only_with else ""
        lines += [f"  {name}={defaults.get(name, '...')}: {one.domain}{only}", f"      {one.help}"]
    if not options and not lines:
        raise BadInput(f"--help {' '.join(words)}: nothing has this name; --help alone lists all")
    if options:
        options = ["", "Groups (group=option):", *options]
    return "\n".join([about, *options, *lines])
