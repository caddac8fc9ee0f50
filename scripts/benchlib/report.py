"""report.py: the figures as a table for people and as JSON for programs."""

from __future__ import annotations

import dataclasses
from statistics import median

from .measure import Figures, Sample
from .micro import Micro

# Issue and design ask for these of Plimsoll: name, text, and the limit it must not exceed.
RATIO_MAX, INSTRUCTIONS_MAX, SYSTEM_CALLS_MAX, FIRST_MS_MAX = 1.20, 16000, 4.1, 50.0


def machine_lines(facts: dict) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return [f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gb']} GB, "
            f"Linux {facts['kernel']}, load average {facts['load_average']}",
            f"{versions}; plimsoll {facts['commit']}"]


def ratios(figures: Figures, base: Figures, shape: str) -> list[float]:
    """CPU of a row over that of another, each pair out of one round."""
    return [mine.cpu_us / other.cpu_us
            for mine, other in zip(figures.rounds.get(shape, []), base.rounds.get(shape, []))]


def _span(values: list[float], digits: int) -> str:
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    return ["  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                      for i, (cell, width) in enumerate(zip(row, widths))).rstrip()
            for row in [header, *rows]]


def _of(samples: list[Sample], name: str) -> list[float]:
    return [getattr(sample, name) for sample in samples]


def shape_lines(all_figures: dict[str, Figures], shape: str) -> list[str]:
    floor = all_figures.get("floor")
    rows = []
    for figures in all_figures.values():
        samples = figures.rounds.get(shape, [])
        over = ratios(figures, floor, shape) if floor else []
        rows.append([
            figures.row.label,
            _span(_of(samples, "cpu_us"), 1) if samples else "-",
            _span(over, 2) if over else "-",
            f"{median(_of(samples, 'user_us')):.1f}" if samples else "-",
            f"{median(_of(samples, 'per_second')):,.0f}" if samples else "-",
            f"{median(_of(samples, 'busy')):.2f}" if samples else "-",
            f"{figures.instructions[shape]:,.0f}" if shape in figures.instructions else "-",
            f"{figures.system_calls[shape]:.2f}" if shape in figures.system_calls else "-",
        ])
    return _table(["", "CPU us/request", "x floor", "user us", "requests/s", "busy",
                   "instructions", "system calls"], rows)


def process_lines(all_figures: dict[str, Figures]) -> list[str]:
    rows = []
    for figures in all_figures.values():
        samples = [sample for shape in figures.rounds.values() for sample in shape]
        idle = figures.idle_connection_bytes
        if samples or idle is not None:
            rows.append([
                figures.row.label,
                _span(_of(samples, "first_ms"), 1) if samples else "-",
                f"{median(_of(samples, 'memory_bytes')) / 1e6:.1f}" if samples else "-",
                f"{idle:,.0f}" if idle is not None else "-",
            ])
    return _table(["", "start to first ms", "own memory MB", "bytes/idle connection"], rows)


def micro_lines(micros: list[Micro]) -> list[str]:
    return _table(["operation", "instructions", "ns"],
                  [[m.name, f"{m.instructions:,.0f}", _span([m.ns_min, m.ns, m.ns_max], 1)]
                   for m in micros])


def verdicts(all_figures: dict[str, Figures]) -> list[tuple[bool, str]]:
    """What is asked of Plimsoll, and whether this run holds it."""
    mine, floor = all_figures.get("plimsoll"), all_figures.get("floor")
    alike = all_figures.get("nginx_alike")
    if mine is None:
        return []
    found = []

    def ask(value: float, limit: float, text: str, digits: int) -> None:
        found.append((value <= limit, f"{text}: {value:,.{digits}f}, asked: at most "
                                      f"{limit:,.{digits}f}"))

    for shape, samples in mine.rounds.items():
        if floor:
            ask(median(ratios(mine, floor, shape)), RATIO_MAX, f"{shape}: CPU over the floor", 2)
        if alike:
            ask(median(ratios(mine, alike, shape)), 1.0, f"{shape}: CPU over nginx alike", 2)
        ask(median(_of(samples, "first_ms")), FIRST_MS_MAX, f"{shape}: ms to the first request", 1)
    for shape, value in mine.instructions.items():
        ask(value, INSTRUCTIONS_MAX, f"{shape}: instructions a request", 0)
    for shape, value in mine.system_calls.items():
        ask(value, SYSTEM_CALLS_MAX, f"{shape}: system calls a request", 2)
    return found


def as_json(facts: dict, all_figures: dict[str, Figures], micros: list[Micro]) -> dict:
    rows = {}
    for name, figures in all_figures.items():
        row = dataclasses.asdict(figures)
        row["label"] = row.pop("row")["label"]
        rows[name] = row
    return {"machine": facts, "rows": rows,
            "micro": {micro.name: dataclasses.asdict(micro) for micro in micros}}
