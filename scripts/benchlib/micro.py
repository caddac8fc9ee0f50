"""micro.py: the small programs of bench/. One on bench/micro.h lists its operations and is run as
`bench_NAME OPERATION N`; another has one operation and is run as `bench_NAME N`.

Two lengths of run and their difference, so that what an operation prepares does not count."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from .counts import callgrind_total
from .machine import ROOT, BenchError, find
from .rows import BUILT

# Programs of the measurement itself.
NOT_MICRO = {"relay.c", "load.c"}
COUNTED = (1000, 11000)
TIMED_MS = 100.0


@dataclass
class Micro:
    """The cost of one operation."""

    name: str
    instructions: float
    ns: float
    ns_min: float
    ns_max: float


def sources() -> list[Path]:
    return sorted(path for path in (ROOT / "bench").glob("*.c") if path.name not in NOT_MICRO)


def operations() -> list[tuple[str, list[str]]]:
    """Name and command of each; the number of times is to be appended."""
    found = []
    for source in sources():
        path = BUILT / "bench" / f"bench_{source.stem}"
        if '#include "micro.h"' not in source.read_text(encoding="utf-8"):
            found.append((source.stem, [str(path)]))
            continue
        done = subprocess.run([path], capture_output=True, text=True, check=False)
        if done.returncode != 0 or not done.stdout:
            raise BenchError(f"{path.name} does not list its operations: {done.stderr.strip()}")
        found += [(f"{source.stem} {name}", [str(path), name]) for name in done.stdout.split()]
    return found


def measure(name: str, command: list[str], repeats: int, cores: Collection[int]) -> Micro:
    few, many = (_instructions(command, count) for count in COUNTED)
    count = _calibrate(command, cores)
    ns = [max(0.0, _cpu_ms(command, 2 * count, cores) - _cpu_ms(command, count, cores)) * 1e6 / count
          for _ in range(repeats)]
    return Micro(name, (many - few) / (COUNTED[1] - COUNTED[0]), statistics.median(ns), min(ns),
                 max(ns))


def _check(command: list[str], count: int, code: int, errors: str) -> None:
    if code != 0:
        raise BenchError(f"{' '.join(command)} {count} ended with {code}\n{errors.strip()}")


def _instructions(command: list[str], count: int) -> int:
    with tempfile.TemporaryDirectory(prefix="plimsoll-bench-") as folder:
        out = Path(folder) / "callgrind.out"
        done = subprocess.run([find("valgrind"), "--tool=callgrind", "--quiet",
                               f"--callgrind-out-file={out}", *command, str(count)],
                              capture_output=True, text=True, check=False)
        _check(command, count, done.returncode, done.stderr)
        return callgrind_total(out.read_text(errors="replace"))


def _cpu_ms(command: list[str], count: int, cores: Collection[int]) -> float:
    with subprocess.Popen([*command, str(count)], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True,
                          preexec_fn=lambda: os.sched_setaffinity(0, cores)) as child:
        errors = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        _check(command, count, child.returncode, errors)
        return (usage.ru_utime + usage.ru_stime) * 1000


def _calibrate(command: list[str], cores: Collection[int]) -> int:
    """So many times that the clock's grain and the start do not matter."""
    count = COUNTED[1]
    while _cpu_ms(command, count, cores) < TIMED_MS:
        count *= 4
    return count
