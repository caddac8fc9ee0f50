"""counts.py: what the counting tools wrote."""

from __future__ import annotations

import re

from .machine import BenchError


def callgrind_total(text: str) -> int:
    """Instructions of a whole run; a file of one process has one such line."""
    found = re.search(r"^(?:totals|summary): (\d+)", text, re.M)
    if found is None:
        raise BenchError("callgrind left no count")
    return int(found[1])


def strace_calls(text: str) -> dict[str, int]:
    """Calls by name, and their "total". Some cells are empty, so columns go by their rulers."""
    counts: dict[str, int] = {}
    calls = name = None
    for line in text.splitlines():
        if line.startswith("------ "):
            ends = [found.span() for found in re.finditer(r"-+", line)]
            calls, name = slice(*ends[3]), slice(ends[5][0], None)
        elif calls is not None and line[calls].strip().isdigit():
            counts[line[name].strip()] = int(line[calls])
    if "total" not in counts:
        raise BenchError("strace left no count")
    return counts
