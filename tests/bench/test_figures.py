"""test_figures.py: scripts/bench reads its tools and compares its rounds rightly."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "scripts"))

from benchlib import report  # noqa: E402
from benchlib.counts import callgrind_total, strace_calls  # noqa: E402
from benchlib.load import SHAPES  # noqa: E402
from benchlib.machine import BenchError  # noqa: E402
from benchlib.measure import Figures, Sample  # noqa: E402
from benchlib.rows import ROWS, Row  # noqa: E402

STRACE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 55.42    0.000486           3       152           sendto
 11.86    0.000104           1        69        19 recvfrom
  0.00    0.000000           0         3         3 connect
------ ----------- ----------- --------- --------- ----------------
100.00    0.000877           1       224        22 total
"""


def sample(cpu_us: float) -> Sample:
    return Sample(cpu_us=cpu_us, user_us=1.0, per_second=1000.0, busy=1.0, first_ms=5.0,
                  memory_bytes=1000)


def figures(name: str, cpu_us: list[float]) -> Figures:
    row = Row(name, name, "true", ())
    return Figures(row, rounds={"tiny": [sample(value) for value in cpu_us]})


class Counts(unittest.TestCase):
    def test_strace_columns_with_and_without_errors(self) -> None:
        self.assertEqual(strace_calls(STRACE),
                         {"sendto": 152, "recvfrom": 69, "connect": 3, "total": 224})

    def test_strace_total_without_time_a_call(self) -> None:
        text = STRACE.replace("           1       224", "                   224")
        self.assertEqual(strace_calls(text)["total"], 224)

    def test_strace_that_was_cut_off_is_an_error(self) -> None:
        with self.assertRaises(BenchError):
            strace_calls(STRACE.split("100.00")[0])

    def test_callgrind_total(self) -> None:
        self.assertEqual(callgrind_total("fn=(1)\n5 20\ntotals: 4711\n"), 4711)
        with self.assertRaises(BenchError):
            callgrind_total("fn=(1)\n5 20\n")


class Comparison(unittest.TestCase):
    def test_ratios_compare_within_a_round(self) -> None:
        floor, mine = figures("floor", [10.0, 20.0]), figures("plimsoll", [11.0, 24.0])
        self.assertEqual(report.ratios(mine, floor, "tiny"), [1.1, 1.2])

    def test_verdict_holds_at_the_limit_and_misses_above(self) -> None:
        floor = figures("floor", [10.0])
        for cpu_us, holds in ((12.0, True), (12.1, False)):
            mine = figures("plimsoll", [cpu_us])
            found = dict((text.split(" over the floor")[0], held) for held, text in
                         report.verdicts({"floor": floor, "plimsoll": mine}))
            self.assertEqual(found["tiny: CPU"], holds)

    def test_nothing_is_asked_of_the_peers(self) -> None:
        self.assertEqual(report.verdicts({"floor": figures("floor", [1.0])}), [])

    def test_a_row_without_rounds_is_shown_with_dashes(self) -> None:
        lines = report.shape_lines({"floor": Figures(Row("floor", "floor", "true", ()))}, "tiny")
        self.assertIn("-", lines[1])


class Inputs(unittest.TestCase):
    def test_every_template_exists(self) -> None:
        for row in ROWS:
            if row.template is not None:
                self.assertTrue((ROOT / "bench/peers" / row.template).is_file(), row.template)

    def test_requests_are_complete(self) -> None:
        for shape in SHAPES.values():
            text = shape.text()
            self.assertTrue(text.endswith(b"\r\n\r\n"))
            self.assertEqual(text.count(b"\r\nHost: "), 1)


if __name__ == "__main__":
    unittest.main()
