"""ports.py: ports of 127.0.0.1 that nobody listens on."""

from __future__ import annotations

import itertools
import socket

# Below the range of outgoing connections, so that no client socket takes one first.
_numbers = itertools.cycle(range(20000, 32000))


def free_port() -> int:
    while True:
        port = next(_numbers)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
