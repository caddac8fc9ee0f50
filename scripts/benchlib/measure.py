"""measure.py: the figures of a row: CPU a request, instructions, system calls, memory, start."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .counts import callgrind_total, strace_calls
from .load import SHAPES, Load, Shape
from .machine import BenchError, Cores, find
from .rows import Row
from .server import Server

Progress = Callable[[str], None]

# Requests of the shorter of two runs under a tool. What starting and stopping costs, and filling
# pools and caches, is in both; their difference is requests alone.
WARM_REQUESTS = 5000
SLOWNESS = 10.0
# Idle clients come from so many addresses, so that no cap on connections of one address is met.
IDLE_ADDRESSES = 100


@dataclass
class Sample:
    """One row in one round."""

    cpu_us: float
    user_us: float
    per_second: float
    busy: float  # share of its core; well below 1 means that the load was the bottleneck
    first_ms: float
    memory_bytes: int


@dataclass
class Figures:
    """All that is known of a row."""

    row: Row
    rounds: dict[str, list[Sample]] = field(default_factory=dict)  # by shape
    instructions: dict[str, float] = field(default_factory=dict)
    system_calls: dict[str, float] = field(default_factory=dict)
    calls_by_name: dict[str, dict[str, float]] = field(default_factory=dict)
    idle_connection_bytes: float | None = None


class Bench:
    """Rows and the load around them, on fixed cores."""

    def __init__(self, rows: list[Row], shapes: list[str], connections: int, progress: Progress):
        self.figures = {row.name: Figures(row) for row in rows}
        self._rows = rows
        self._shapes = [SHAPES[name] for name in shapes]
        self._connections = connections
        self._progress = progress
        self._cores = Cores()
        self._load = Load(self._cores.load)

    def __enter__(self) -> "Bench":
        self._load.__enter__()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._load.__exit__()

    def _start(self, row: Row, wrapper: tuple[str, ...] = (), slowness: float = 1.0) -> Server:
        return Server(row, self._load.origin_port, self._cores.measured, wrapper, slowness)

    def cpu(self, rounds: int, seconds: float) -> None:
        """Every row once a round, each round in another order, so that a noisy minute meets all."""
        for shape in self._shapes:
            for number in range(rounds):
                turn = number % len(self._rows)
                for row in self._rows[turn:] + self._rows[:turn]:
                    self._progress(f"{shape.name}: round {number + 1} of {rounds}: {row.label}")
                    self.figures[row.name].rounds.setdefault(shape.name, []).append(
                        self._sample(row, shape, seconds))

    def _sample(self, row: Row, shape: Shape, seconds: float) -> Sample:
        with self._start(row) as server:
            server.check_duties()
            memory_bytes = server.own_memory_bytes()
            cpu_ns, user_ns = -server.cpu_ns(), -server.user_ns()
            started_ns = time.monotonic_ns()
            seen = self._load.run(server.port, shape, self._connections, seconds=seconds)
            wall_ns = time.monotonic_ns() - started_ns
            cpu_ns += server.cpu_ns()
            user_ns += server.user_ns()
            server.stop()
            server.check_log(seen.requests)
            return Sample(cpu_us=cpu_ns / 1000 / seen.requests,
                          user_us=user_ns / 1000 / seen.requests, per_second=seen.per_second,
                          busy=cpu_ns / wall_ns, first_ms=server.first_ms,
                          memory_bytes=memory_bytes)

    def instructions(self, requests: int) -> None:
        """In user space, by callgrind."""
        tool = (find("valgrind"), "--tool=callgrind", "--quiet",
                "--callgrind-out-file=@DIR@/callgrind.out")
        for shape in self._shapes:
            for row in self._rows:
                self._progress(f"{shape.name}: instructions: {row.label}")
                counted = self._difference(row, shape, requests, tool, _read_callgrind)
                self.figures[row.name].instructions[shape.name] = counted["total"]

    def system_calls(self, requests: int) -> None:
        """By strace -c."""
        tool = (find("strace"), "-f", "-c", "-o", "@DIR@/strace.out")
        for shape in self._shapes:
            for row in self._rows:
                self._progress(f"{shape.name}: system calls: {row.label}")
                counted = self._difference(row, shape, requests, tool, _read_strace)
                figures = self.figures[row.name]
                figures.system_calls[shape.name] = counted.pop("total")
                figures.calls_by_name[shape.name] = {
                    name: round(count, 3) for name, count in counted.items() if count >= 0.001}

    def _difference(self, row: Row, shape: Shape, requests: int, tool: tuple[str, ...],
                    read: Callable[[Path], dict[str, int]]) -> dict[str, float]:
        """Counts of a run of WARM_REQUESTS and `requests`, less those of WARM_REQUESTS alone."""
        counts = []
        for length in (WARM_REQUESTS, WARM_REQUESTS + requests):
            with self._start(row, tool, SLOWNESS) as server:
                self._load.run(server.port, shape, self._connections, requests=length)
                server.stop()
                counts.append(read(server.folder))
        return {name: (count - counts[0].get(name, 0)) / requests
                for name, count in counts[1].items()}

    def memory(self, connections: int) -> None:
        """What a connection costs that has had one response and waits for its next request."""
        for row in self._rows:
            self._progress(f"idle connections: {row.label}")
            with self._start(row) as server:
                self._idle(server, 64)  # pools and caches that any load fills
                before = server.own_memory_bytes()
                clients = self._idle(server, connections)
                growth = server.own_memory_bytes() - before
                for client in clients:
                    client.close()
            self.figures[row.name].idle_connection_bytes = growth / connections

    @staticmethod
    def _idle(server: Server, count: int) -> list[socket.socket]:
        request = SHAPES["browser"].text()
        clients = []
        for number in range(count):
            source = f"127.0.1.{1 + number % IDLE_ADDRESSES}"
            client = socket.create_connection(("127.0.0.1", server.port), 10, (source, 0))
            clients.append(client)
            client.sendall(request)
            if not client.recv(65536).startswith(b"HTTP/1.1 200"):
                raise BenchError(f"{server.row.label} refused idle connection {number + 1}")
        return clients


def _read_callgrind(folder: Path) -> dict[str, int]:
    # One file for the process, and one more for each that it forked.
    totals = [callgrind_total(path.read_text(errors="replace"))
              for path in folder.glob("callgrind.out*")]
    return {"total": sum(totals)}


def _read_strace(folder: Path) -> dict[str, int]:
    return strace_calls((folder / "strace.out").read_text())
