"""server.py: one started row: its folder, ports, process, and what the kernel says about it."""

from __future__ import annotations

import os
import pwd
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

from .machine import ROOT, BenchError
from .ports import free_port
from .rows import DUTY_HEADERS, Row

START_SECONDS = 10.0
STOP_SECONDS = 20.0


def ordinary_user() -> int | None:
    """Servers refuse to stay root, or start differently as root; so none of them is."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


class Server:
    """Runs a row until the `with` ends. `wrapper` is a tool to run it under."""

    def __init__(self, row: Row, origin_port: int, cores: Collection[int],
                 wrapper: tuple[str, ...] = (), slowness: float = 1.0):
        self.row = row
        self.port = free_port()
        self.first_ms = 0.0
        self._cores = cores
        self._slowness = slowness
        self.folder = Path(tempfile.mkdtemp(prefix="plimsoll-bench-"))
        self._values = {"@DIR@": str(self.folder), "@PORT@": str(self.port),
                        "@ORIGIN@": str(origin_port), "@ADMIN@": str(free_port()),
                        "@CONFIG@": str(self.folder / "config")}
        self._wrapper = [word.replace("@DIR@", str(self.folder)) for word in wrapper]
        self._process: subprocess.Popen | None = None
        self.pid = 0

    def __enter__(self) -> "Server":
        try:
            argv = self._wrapper + self._prepare()
            started = time.monotonic()
            self._spawn(argv)
            self._await_first(started)
            self.pid = self._find_pid()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_unused: object) -> None:
        try:
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
                self._process.wait()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _fill(self, text: str) -> str:
        for name, value in self._values.items():
            text = text.replace(name, value)
        return text

    def _prepare(self) -> list[str]:
        """Writes the configuration; returns the command."""
        program = Path(self.row.program())
        if not program.exists():
            raise BenchError(f"{self.row.label}: {program} was not built")
        if program.is_relative_to(ROOT):  # where another user may not look
            program = Path(shutil.copy(program, self.folder))
        if self.row.template is not None:
            template = (ROOT / "bench/peers" / self.row.template).read_text(encoding="utf-8")
            (self.folder / "config").write_text(self._fill(template), encoding="utf-8")
        self.folder.chmod(0o755)
        logs = self.folder / "log"
        logs.mkdir()
        user = ordinary_user()
        if user is not None:
            os.chown(self.folder, user, -1)
            os.chown(logs, user, -1)
        return [str(program), *map(self._fill, self.row.arguments)]

    def _spawn(self, argv: list[str]) -> None:
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

        def settle() -> None:
            os.sched_setaffinity(0, self._cores)
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        user = ordinary_user()
        identity = {} if user is None else {
            "user": user, "group": pwd.getpwuid(user).pw_gid, "extra_groups": []}
        with open(self.folder / "stdout", "wb") as out, open(self.folder / "stderr", "wb") as err:
            self._process = subprocess.Popen(  # pylint: disable=consider-using-with
                argv, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                preexec_fn=settle, **identity)

    def _await_first(self, started: float) -> None:
        deadline = started + START_SECONDS * self._slowness
        while True:
            try:
                self.get()
                self.first_ms = (time.monotonic() - started) * 1000
                return
            except OSError as problem:
                if self._process.poll() is not None:
                    raise self._failure(f"ended with {self._process.returncode}") from problem
                if time.monotonic() > deadline:
                    raise self._failure(f"served nothing: {problem}") from problem
                time.sleep(0.0003)

    def _failure(self, what: str) -> BenchError:
        tails = [f"  {name}: {line}" for name in ("stderr", "error.log", "stdout")
                 if (self.folder / name).exists()
                 for line in (self.folder / name).read_text(errors="replace").splitlines()[-8:]]
        return BenchError("\n".join([f"{self.row.label} cannot be measured: it {what}",
                                     "  command: " + " ".join(map(str, self._process.args)),
                                     *tails]))

    def _find_pid(self) -> int:
        """strace stands between: the server is its child."""
        pid = self._process.pid
        if self._wrapper and "strace" in self._wrapper[0]:
            return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        return pid

    def get(self) -> dict[str, str]:
        """One GET on a new connection: the response's fields by lower-case name."""
        with socket.create_connection(("127.0.0.1", self.port), 2 * self._slowness) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: bench.example\r\n"
                           b"User-Agent: bench\r\nAccept: */*\r\nConnection: close\r\n\r\n")
            head = b""
            while b"\r\n\r\n" not in head:
                chunk = client.recv(65536)
                if not chunk:
                    raise ConnectionResetError("closed without a response")
                head += chunk
        lines = head.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        if not lines[0].startswith("HTTP/1.1 200"):
            raise OSError(f"answered {lines[0]}")
        return {name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:])}

    def check_duties(self) -> None:
        """A row that claims its duties shows them, or its figures mean nothing."""
        if not self.row.has_duties:
            return
        fields = self.get()
        missing = sorted(DUTY_HEADERS - fields.keys())
        if missing or "x-powered-by" in fields:
            raise BenchError(f"{self.row.label} does not do its duties: "
                             + (f"no {', '.join(missing)}" if missing else "x-powered-by passes"))

    def stop(self) -> None:
        """Ends it as an operator would, so that logs and counts are written out."""
        os.kill(self.pid, signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS * self._slowness)
        except subprocess.TimeoutExpired as late:
            raise self._failure("did not end after SIGTERM") from late

    def check_log(self, requests: int) -> None:
        """After stop: each request has its line."""
        if self.row.log is None:
            return
        lines = sum(path.read_bytes().count(b"\n") for path in self.folder.glob(self.row.log))
        if lines < requests * 0.98:
            raise BenchError(f"{self.row.label} logged {lines} lines for {requests} requests")

    def cpu_ns(self) -> int:
        """Of all threads that still live, user and system."""
        return sum(int(path.read_text().split()[0])
                   for path in Path(f"/proc/{self.pid}/task").glob("*/schedstat"))

    def user_ns(self) -> int:
        """The part in user space, as far as the kernel's ticks tell."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")

    def own_memory_bytes(self) -> int:
        """Resident and not of a file."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"^RssAnon:\s+(\d+)", status, re.M)[1]) * 1024
