"""load.py: the requests, and bench/load.c: the clients and the application around a proxy."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from .machine import BenchError
from .ports import free_port
from .rows import BUILT

HOST = "shop.example"


@dataclass(frozen=True)
class Shape:
    """One form of request."""

    name: str
    target: str
    headers: tuple[str, ...]

    def text(self) -> bytes:
        lines = [f"GET {self.target} HTTP/1.1", f"Host: {HOST}", *self.headers, "", ""]
        return "\r\n".join(lines).encode()


SHAPES = {shape.name: shape for shape in (
    Shape("tiny", "/", ()),
    Shape("browser", "/products/1042?ref=home&page=2", (
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8",
        "Accept-Language: en-GB,en;q=0.7,de;q=0.3",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Referer: https://shop.example/products?page=1",
        "Cookie: session=0f8fad5b-d9cb-469f-a165-70867728950e; theme=dark; cart=3",
        "Sec-Fetch-Dest: document",
        "Sec-Fetch-Mode: navigate",
        "Upgrade-Insecure-Requests: 1",
    )),
)}


@dataclass(frozen=True)
class Seen:
    """A run as the clients saw it: every request was answered with a 200."""

    requests: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class Load:
    """The process around the proxies, until the `with` ends."""

    def __init__(self, cores: Collection[int]):
        self.origin_port = free_port()
        self._cores = cores
        self._folder = tempfile.TemporaryDirectory(prefix="plimsoll-bench-")
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> "Load":
        for shape in SHAPES.values():
            self._request_file(shape).write_bytes(shape.text())
        self._process = subprocess.Popen(  # pylint: disable=consider-using-with
            [BUILT / "bench/bench_load", str(self.origin_port)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, bufsize=1,
            preexec_fn=lambda: os.sched_setaffinity(0, self._cores))
        return self

    def __exit__(self, *_unused: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def _request_file(self, shape: Shape) -> Path:
        return Path(self._folder.name) / shape.name

    def run(self, port: int, shape: Shape, connections: int, seconds: float = 3600,
            requests: int = 2**32 - 1) -> Seen:
        """Keeps one request a connection on its way, until either limit; awaits the answers."""
        self._process.stdin.write(f"{port} {connections} {int(seconds * 1000)} {requests} "
                                  f"{self._request_file(shape)}\n")
        answer = self._process.stdout.readline().strip()
        if not answer or answer.startswith("error"):
            raise BenchError(f"the load went wrong: {answer or 'it ended'}")
        done, nanoseconds = map(int, answer.split())
        if done == 0:
            raise BenchError("the load went wrong: no request was answered")
        return Seen(done, nanoseconds / 1e9)
