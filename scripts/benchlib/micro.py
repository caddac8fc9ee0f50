"""micro.py: bench/NAME.c: `bench_NAME N` does an operation N times.

Two lengths of run and their difference, so that what the program prepares does not count."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .machine import BenchError, find
from .rows import BUILT

# Programs of the measurement itself.
NOT_MICRO = {"bench_relay", "bench_load"}
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


def programs() -> list[Path]:
    return sorted(path for path in (BUILT / "bench").glob("bench_*")
                  if path.is_file() and os.access(path, os.X_OK) and path.name not in NOT_MICRO)


def measure(program: Path, repeats: int) -> Micro:
    few, many = (_instructions(program, count) for count in COUNTED)
    count = _calibrate(program)
    ns = [max(0.0, _cpu_ms(program, 2 * count) - _cpu_ms(program, count)) * 1e6 / count
          for _ in range(repeats)]
    return Micro(program.name.removeprefix("bench_"), (many - few) / (COUNTED[1] - COUNTED[0]),
                 statistics.median(ns), min(ns), max(ns))


def _check(program: Path, count: int, code: int, errors: str) -> None:
    if code != 0:
        raise BenchError(f"{program.name} {count} ended with {code}\n{errors.strip()}")


def _instructions(program: Path, count: int) -> int:
    with tempfile.TemporaryDirectory(prefix="plimsoll-bench-") as folder:
        out = Path(folder) / "callgrind.out"
        done = subprocess.run([find("valgrind"), "--tool=callgrind", "--quiet",
                               f"--callgrind-out-file={out}", program, str(count)],
                              capture_output=True, text=True, check=False)
        _check(program, count, done.returncode, done.stderr)
        return int(re.search(r"^(?:totals|summary): (\d+)", out.read_text(errors="replace"),
                             re.M)[1])


def _cpu_ms(program: Path, count: int) -> float:
    with subprocess.Popen([program, str(count)], stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as child:
        errors = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        _check(program, count, child.returncode, errors)
        return (usage.ru_utime + usage.ru_stime) * 1000


def _calibrate(program: Path) -> int:
    """So many operations that the clock's grain and the start do not matter."""
    count = COUNTED[1]
    while _cpu_ms(program, count) < TIMED_MS:
        count *= 4
    return count
