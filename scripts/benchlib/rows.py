"""rows.py: what is measured: the floor, the peers, Plimsoll. A new peer is one more row here and
one template in bench/peers."""

from __future__ import annotations

from dataclasses import dataclass

from .machine import ROOT, find

BUILT = ROOT / "build" / "bench"

# What a response carries when every default protection is on.
DUTY_HEADERS = {
    "x-request-id", "content-security-policy", "x-frame-options", "x-content-type-options",
    "referrer-policy", "permissions-policy", "cross-origin-opener-policy",
    "cross-origin-resource-policy",
}


@dataclass(frozen=True)
class Row:
    """One program under one configuration. @DIR@, @PORT@, @ORIGIN@ and @ADMIN@ are filled in."""

    name: str
    label: str
    command: str  # of PATH, or "built:" and a path below build/bench
    arguments: tuple[str, ...]
    template: str | None = None  # in bench/peers; @CONFIG@ among the arguments names the result
    log: str | None = None  # where its access log lines are, as a pattern below @DIR@
    has_duties: bool = False

    def program(self) -> str:
        if self.command.startswith("built:"):
            return str(BUILT / self.command.removeprefix("built:"))
        return find(self.command)


_NGINX = ("-e", "stderr", "-p", "@DIR@", "-c", "@CONFIG@")
_HAPROXY = ("-db", "-f", "@CONFIG@")

FLOOR = Row("floor", "floor: byte relay", "built:bench/bench_relay", ("@PORT@", "@ORIGIN@"))

ROWS = [
    FLOOR,
    Row("plimsoll", "Plimsoll, all on", "built:plimsoll", ("serve", "--config", "@CONFIG@"),
        "plimsoll.yaml.in", log="log/access-*.jsonl", has_duties=True),
    Row("nginx", "nginx bare", "nginx", _NGINX, "nginx.conf.in"),
    Row("nginx_alike", "nginx alike", "nginx", _NGINX, "nginx_alike.conf.in", log="access.log",
        has_duties=True),
    Row("haproxy", "HAProxy bare", "haproxy", _HAPROXY, "haproxy.cfg.in"),
    Row("haproxy_alike", "HAProxy alike", "haproxy", _HAPROXY, "haproxy_alike.cfg.in",
        log="stdout", has_duties=True),
    Row("h2o", "h2o bare", "h2o", ("-c", "@CONFIG@"), "h2o.conf.in"),
]
