"""test_hardening.py: the release binary carries the hardening that cmake/flags.cmake asks for.

Flags get lost on the way (a linker that does not know one, an optimiser that drops another), so the
finished binary is asked. Each question is also put to a program that was built without, which must
fail it: a question that everything passes would prove nothing.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("PLIMSOLL_RELEASE_BIN", ROOT / "build/release/plimsoll"))

SOFT_SOURCE = """
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv)
{
    char room[64];
    strcpy(room, argv[argc - 1]);
    printf(room);
    return __FILE__[0];
}
"""
SOFT_FLAGS = ["-w", "-O2", "-no-pie", "-fno-pie", "-fno-stack-protector", "-U_FORTIFY_SOURCE",
              "-fcf-protection=none", "-DNDEBUG", "-fno-stack-clash-protection",
              "-Wl,-z,norelro,-z,lazy,-z,execstack,-z,noseparate-code,-rpath,/tmp"]


def output(*argv: str | Path) -> str:
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True, check=True,
                          env={**os.environ, "LC_ALL": "C"})
    return done.stdout


class Program:
    """What readelf tells of one ELF file."""

    def __init__(self, path: Path) -> None:
        self.header = output("readelf", "-hW", path)
        self.segments = output("readelf", "-lW", path)
        self.dynamic = output("readelf", "-dW", path)
        self.imports = set(re.findall(r" UND (\w+)", output("readelf", "-sW", "--dyn-syms", path)))
        self.code = output("objdump", "-d", "--no-show-raw-insn", path)
        self.bytes = path.read_bytes()

    def is_x86(self) -> bool:
        return "X86-64" in self.header

    def segment_flags(self, kind: str) -> list[str]:
        row = re.compile(rf"^ +{kind} +(?:0x\w+ +){{5}}([RWE ]{{3}})", re.MULTILINE)
        return [found.replace(" ", "") for found in row.findall(self.segments)]


def is_position_independent(p: Program) -> bool:
    return "DYN (" in p.header and bool(re.search(r"\(FLAGS_1\).*\bPIE\b", p.dynamic))


def binds_before_main(p: Program) -> bool:
    return bool(re.search(r"\(FLAGS\).*\bBIND_NOW\b|\(FLAGS_1\).*\bNOW\b", p.dynamic))


def makes_relocations_read_only(p: Program) -> bool:
    return p.segment_flags("GNU_RELRO") == ["R"]


def has_no_executable_stack(p: Program) -> bool:
    return p.segment_flags("GNU_STACK") == ["RW"]


def writes_nowhere_that_it_executes(p: Program) -> bool:
    return not any("W" in flags and "E" in flags for kind in ("LOAD", "GNU_STACK")
                   for flags in p.segment_flags(kind))


def keeps_code_apart_from_data(p: Program) -> bool:
    """-z separate-code: constants are no gadgets, so there are read-only segments beside code."""
    return p.segment_flags("LOAD").count("R") >= 2 and p.segment_flags("LOAD").count("RE") == 1


def guards_its_stack(p: Program) -> bool:
    return "__stack_chk_fail" in p.imports


def fortifies_its_calls(p: Program) -> bool:
    return {"__memcpy_chk", "__snprintf_chk"} <= p.imports


def probes_large_frames(p: Program) -> bool:
    """-fstack-clash-protection steps down a page at a time."""
    return not p.is_x86() or bool(re.search(r"sub +\$0x1000,%rsp", p.code))


def marks_where_jumps_may_land(p: Program) -> bool:
    return not p.is_x86() or "endbr64" in p.code.partition("<main>:\n")[2].partition("\n")[0]


def looks_for_libraries_only_where_the_system_does(p: Program) -> bool:
    return not re.search(r"\((RPATH|RUNPATH)\)", p.dynamic)


def keeps_its_asserts(p: Program) -> bool:
    """must() names its file by the path inside the source tree."""
    return b"\0src/core/arena.c\0" in p.bytes


QUESTIONS = [is_position_independent, binds_before_main, makes_relocations_read_only,
             has_no_executable_stack, writes_nowhere_that_it_executes, keeps_code_apart_from_data,
             guards_its_stack, fortifies_its_calls, probes_large_frames, marks_where_jumps_may_land,
             looks_for_libraries_only_where_the_system_does, keeps_its_asserts]


class Hardening(unittest.TestCase):
    def test_release_binary_is_hardened(self):
        program = Program(BINARY)
        for question in QUESTIONS:
            with self.subTest(question.__name__):
                self.assertTrue(question(program))

    def test_program_without_hardening_fails_each_question(self):
        with tempfile.TemporaryDirectory() as folder:
            source, soft = Path(folder, "soft.c"), Path(folder, "soft")
            source.write_text(SOFT_SOURCE, encoding="utf-8")
            output("gcc", *SOFT_FLAGS, source, "-o", soft)
            program = Program(soft)
            for question in QUESTIONS:
                if question in (probes_large_frames, marks_where_jumps_may_land) \
                        and not program.is_x86():
                    continue
                with self.subTest(question.__name__):
                    self.assertFalse(question(program))

    def test_release_binary_does_not_tell_where_it_was_built(self):
        text = BINARY.read_bytes()
        sections = output("readelf", "-SW", BINARY)
        row = re.search(r"\.rodata +PROGBITS +\w+ +(\w+) +(\w+)", sections)
        start, size = int(row[1], 16), int(row[2], 16)
        self.assertNotIn(str(ROOT).encode(), text[start:start + size])


if __name__ == "__main__":
    unittest.main()
