"""machine.py: what a figure depends on besides the code: cores, kernel, versions, load."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Debian keeps servers where an ordinary user's PATH does not look.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"])

# command -> how it tells its version
VERSIONS = {
    "nginx": ["-v"], "haproxy": ["-v"], "h2o": ["-v"], "strace": ["-V"],
    "valgrind": ["--version"], "gcc": ["--version"],
}


class BenchError(Exception):
    """Why there is no figure; the text is for a person."""


def find(command: str) -> str:
    path = shutil.which(command, path=SEARCH_PATH)
    if path is None:
        raise BenchError(f"{command} is not installed; scripts/install bench installs it")
    return path


def install_missing(commands: list[str]) -> None:
    """Everything that the commands come from, by the one script that knows the packages."""
    if all(shutil.which(command, path=SEARCH_PATH) for command in commands):
        return
    subprocess.run([ROOT / "scripts/install", "bench"], check=True)


class Cores:
    """Who runs where: what is measured has a core to itself, the load has one."""

    def __init__(self) -> None:
        usable = sorted(os.sched_getaffinity(0))
        if len(usable) < 2:
            raise BenchError("two processor cores are needed: one for what is measured, one for "
                             "the load and the application behind")
        self.measured = {usable[0]}
        self.load = {usable[1]}


@contextmanager
def priority(is_wanted: bool) -> Iterator[None]:
    """What is started meanwhile goes before everything else. The kernel shares out time by session
    first (autogroup), then by process, so both are set."""
    if not is_wanted:
        yield
        return
    if os.geteuid() != 0:
        raise BenchError("--priority needs root")
    group = Path("/proc/self/autogroup")
    found = re.search(r"nice (-?\d+)", group.read_text()) if group.exists() else None
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    if found:
        group.write_text("-20")
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)
        if found:
            group.write_text(found[1])


def _version(command: str) -> str:
    done = subprocess.run([find(command), *VERSIONS[command]], capture_output=True, text=True,
                          check=False)
    first = (done.stdout + done.stderr).strip().splitlines()[0]
    found = re.search(r"\d+(\.\d+)+[\w.+~-]*", first)
    return found[0] if found else first


def _first_match(path: str, pattern: str) -> str:
    found = re.search(pattern, Path(path).read_text(encoding="utf-8"), re.M)
    return found[1].strip() if found else "unknown"


def _commit() -> str:
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"],
                          capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def facts(commands: list[str]) -> dict:
    memory_kb = int(_first_match("/proc/meminfo", r"^MemTotal:\s+(\d+)"))
    return {
        "processor": _first_match("/proc/cpuinfo", r"^model name\s*:(.*)$"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory_kb / 1024 / 1024, 1),
        "kernel": platform.release(),
        "load_average": round(os.getloadavg()[0], 2),
        "commit": _commit(),
        "versions": {command: _version(command) for command in commands},
    }
