"""test_rules.py: each house rule, shown on one small tree that keeps it and some that break it.

A case is a dictionary of files. `bad` cases name the place of the finding, so a rule that reports
the wrong line fails too, and the last test makes sure that no rule goes without a case.
"""

from __future__ import annotations

import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "scripts"))

from tidylib import scan, tables  # noqa: E402
from tidylib.rules import RULES  # noqa: E402
from tidylib.tree import Tree  # noqa: E402

SPDX = " * SPDX-License-Identifier: Apache-2.0 */\n"


def places(rule: str, files: dict[str, str]) -> list[tuple[str, int]]:
    return [(found.path, found.line) for found in RULES[rule](Tree(files))]


class RuleCase(unittest.TestCase):
    covered: set[str] = set()

    def good(self, rule: str, files: dict[str, str]) -> None:
        self.assertEqual(places(rule, files), [])

    def bad(self, rule: str, files: dict[str, str], *where: tuple[str, int]) -> None:
        self.assertEqual(places(rule, files), list(where))
        RuleCase.covered.add(rule)


class Layers(RuleCase):
    def test_a_part_may_include_what_its_row_names(self):
        self.good("layers", {"src/edge/conn.c": '#include "edge/conn.h"\n#include "core/span.h"\n'
                                                '#include "wire/http.h"\n#include <stdio.h>\n'})
        self.good("layers", {"src/main.c": '#include "edge/edge.h"\n#include "cli/cli.h"\n'})

    def test_an_include_upward_or_sideways_is_found(self):
        self.bad("layers", {"src/core/loop.c": '\n#include "wire/http.h"\n'}, ("src/core/loop.c", 2))
        self.bad("layers", {"src/observe/slo.c": '#include "edge/conn.h"\n'},
                 ("src/observe/slo.c", 1))

    def test_an_include_in_a_comment_does_not_count(self):
        self.good("layers", {"src/core/loop.c": '/*\n#include "edge/conn.h"\n*/\n'})

    def test_an_include_without_its_part_is_found(self):
        self.bad("layers", {"src/core/loop.c": '#include "span.h"\n'}, ("src/core/loop.c", 1))

    def test_a_private_header_stays_in_its_part(self):
        self.good("layers", {"src/core/loop.c": '#include "core/loop_priv.h"\n'})
        self.bad("layers", {"src/edge/conn.c": '#include "core/loop_priv.h"\n'},
                 ("src/edge/conn.c", 1))

    def test_a_part_without_a_row_is_found(self):
        self.bad("layers", {"src/attic/old.c": ""}, ("src/attic/old.c", 1))


class HeaderOwners(RuleCase):
    def test_the_owner_may_include_its_library(self):
        self.good("header-owners", {"src/core/loop.c": "#include <uv.h>\n",
                                    "src/wire/tls.c": "#include <openssl/ssl.h>\n",
                                    "src/egress/mail.c": "#include <sys/uio.h>\n"})

    def test_another_part_may_not(self):
        self.bad("header-owners", {"src/edge/conn.c": "#include <uv.h>\n#include <openssl/ssl.h>\n"},
                 ("src/edge/conn.c", 1), ("src/edge/conn.c", 2))

    def test_a_header_that_nobody_owns_is_found(self):
        self.bad("header-owners", {"src/core/loop.c": "#include <boost.h>\n"},
                 ("src/core/loop.c", 1))


class OwnHeaderFirst(RuleCase):
    def test_order(self):
        header = {"src/core/list.h": "#pragma once\n"}
        self.good("own-header-first", {
            **header, "src/core/list.c": '#include "core/list.h"\n#include <stdio.h>\n'})
        self.bad("own-header-first", {
            **header, "src/core/list.c": '#include <stdio.h>\n#include "core/list.h"\n'},
            ("src/core/list.c", 1))

    def test_a_file_without_a_header_is_free(self):
        self.good("own-header-first", {"src/core/list_more.c": "#include <stdio.h>\n"})


class Sizes(RuleCase):
    def test_file_size_at_and_over_the_limit(self):
        self.good("file-size", {"src/core/a.c": "\n" * 800})
        self.bad("file-size", {"src/core/a.c": "\n" * 801}, ("src/core/a.c", 801))

    def function(self, lines: int) -> str:
        return "static int a_f(void)\n{\n" + "    ;\n" * (lines - 3) + "}\n"

    def test_function_size_at_and_over_the_limit(self):
        self.good("function-size", {"src/core/a.c": self.function(70)})
        self.bad("function-size", {"tests/core/test_a.c": "\n" + self.function(71)},
                 ("tests/core/test_a.c", 2))

    def test_a_long_table_is_not_a_function(self):
        rows = "    {1, f(2)},\n" * 100
        self.good("function-size", {
            "src/core/a.c": "static const struct row a_rows[] = {\n" + rows + "};\n"})

    def test_parameters_at_and_over_the_limit(self):
        six = ", ".join(f"int p{i}" for i in range(6))
        self.good("function-size", {"src/core/a.c": f"void a_f({six})\n{{\n}}\n"})
        self.good("function-size", {
            "src/core/a.c": f"void a_f({six.replace('int p0', 'int (*p0)(int, int)')})\n{{\n}}\n"})
        self.bad("function-size", {"src/core/a.c": f"void a_f({six}, int p6)\n{{\n}}\n"},
                 ("src/core/a.c", 1))


class Prefixes(RuleCase):
    def test_the_stem_is_the_prefix(self):
        self.good("prefixes", {"src/core/list.c": "void list_push(void)\n{\n}\n"
                                                  "static int list_of(void)\n{\n}\n"})
        self.bad("prefixes", {"src/core/list.c": "int a;\nvoid push(void)\n{\n}\n"},
                 ("src/core/list.c", 2))
        self.bad("prefixes", {"src/core/list.h": "static inline int listed(void)\n{\n}\n"},
                 ("src/core/list.h", 1))

    def test_a_module_over_several_files_shares_its_header(self):
        files = {"src/wire/http1_body.c": "int http1_feed(void)\n{\n}\n"}
        self.bad("prefixes", files, ("src/wire/http1_body.c", 1))
        self.good("prefixes", {**files, "src/wire/http1.h": "#pragma once\n"})

    def test_documented_second_families(self):
        self.good("prefixes", {"src/core/mem.h": "static inline int size_add(int a)\n{\n}\n"})

    def test_main_is_main(self):
        self.good("prefixes", {"src/main.c": "int main(void)\n{\n}\n"})


class Comments(RuleCase):
    def test_opening_comment(self):
        self.good("opening-comment", {"src/core/a.c": "/* a.c: what for.\n *\n" + SPDX})
        self.bad("opening-comment", {"src/core/a.c": "int a;\n"}, ("src/core/a.c", 1))
        self.bad("opening-comment", {"src/core/a.c": "/* b.c: another.\n *\n" + SPDX},
                 ("src/core/a.c", 1))
        self.bad("opening-comment", {"src/core/a.c": "/* a.c: what for.\n */\n"},
                 ("src/core/a.c", 2))

    def test_comment_form(self):
        self.good("comment-form", {"src/core/a.c": 'char *a = "http://b"; /* // */\n'})
        self.bad("comment-form", {"src/core/a.c": "\nint a; // why\n"}, ("src/core/a.c", 2))


class BannedCalls(RuleCase):
    def test_calls_are_found_and_the_wrapping_file_may(self):
        self.bad("banned-calls", {"src/edge/a.c": "int a(void)\n{\n    return atoi(x);\n}\n"},
                 ("src/edge/a.c", 3))
        self.bad("banned-calls", {"src/edge/a.c": "void *p = malloc(3);\n"}, ("src/edge/a.c", 1))
        self.good("banned-calls", {"src/core/mem.c": "void *p = malloc(3);\n"})

    def test_words_that_only_look_alike(self):
        self.good("banned-calls", {"src/edge/a.c": "/* free(x) */\nint i = pool->free(x) + mem_free(y)"
                                                   " + ops.time(z);\nchar *s = \"time(now)\";\n"})

    def test_the_message_names_the_replacement(self):
        found = list(RULES["banned-calls"](Tree({"src/edge/a.c": "int x = time(NULL);\n"})))
        self.assertIn("clock_mono_ns", found[0].message)

    def test_every_row_names_a_replacement(self):
        for name, (instead, _) in tables.BANNED_CALLS.items():
            self.assertTrue(instead, name)


class Threads(RuleCase):
    def test_mutexes_live_in_core(self):
        self.good("mutexes", {"src/core/mailbox.c": "pthread_mutex_lock(&m);\n"})
        self.bad("mutexes", {"src/edge/a.c": "\npthread_mutex_t m;\n"}, ("src/edge/a.c", 2))
        self.bad("mutexes", {"src/edge/a.c": "uv_mutex_lock(&m);\n"}, ("src/edge/a.c", 1))


class Preprocessor(RuleCase):
    def test_conditionals_live_in_core(self):
        self.good("conditionals", {"src/core/a.c": "#ifdef __clang__\n#endif\n"})
        self.bad("conditionals", {"src/edge/a.c": "\n#if 0\n#endif\n"}, ("src/edge/a.c", 2))

    def test_headers_say_pragma_once(self):
        self.good("conditionals", {"src/core/a.h": "#pragma once\n", "src/core/err_table.h": ""})
        self.bad("conditionals", {"src/core/a.h": "int a;\n"}, ("src/core/a.h", 1))


class Types(RuleCase):
    def test_structs_are_written_out(self):
        self.good("typedefs", {"src/core/a.h": "struct a {\n};\ntypedef void (*a_fn)(void);\n"})
        self.bad("typedefs", {"src/core/a.h": "\ntypedef struct a {\n} a;\n"}, ("src/core/a.h", 2))


class Secrets(RuleCase):
    def test_secrets_are_compared_in_constant_time(self):
        self.good("secret-compare", {"src/edge/a.c": "if (secret_equals(&s, given)) ;\n"
                                                     "if (span_eq(name, other)) ;\n"})
        self.bad("secret-compare", {"src/edge/a.c": "\nif (memcmp(key, a->secret, n) == 0) ;\n"},
                 ("src/edge/a.c", 2))


class SizeArithmetic(RuleCase):
    def test_sizes_are_computed_with_checks(self):
        self.good("size-arithmetic", {
            "src/core/a.c": "p = mem_alloc(size_mul(n, sizeof *a->rows));\n"
                            "p = mem_alloc(sizeof(struct a) + A_EXTRA);\n"
                            "TRY(mem_try_resize((void **)&p, size));\n"})
        self.bad("size-arithmetic", {"src/core/a.c": "\np = mem_alloc(n * sizeof(int));\n"},
                 ("src/core/a.c", 2))
        self.bad("size-arithmetic", {"src/core/a.c": "TRY(mem_try_alloc(len + 1, &p));\n"},
                 ("src/core/a.c", 1))


class WholeTree(RuleCase):
    def test_stems_are_unique(self):
        self.good("unique-stems", {"src/core/a.c": "", "src/core/a.h": ""})
        self.bad("unique-stems", {"src/core/a.c": "", "src/wire/a.h": ""}, ("src/wire/a.h", 1))

    def test_magics_are_unique(self):
        self.good("magics", {"src/core/a.c": "#define A_MAGIC 0x01u\n#define B_MAGIC 0x02u\n"})
        self.bad("magics", {"src/core/a.c": "#define A_MAGIC 0x0Au\n",
                            "src/wire/b.h": "\n#define B_MAGIC 0x0au\n"}, ("src/wire/b.h", 2))

    def test_tests_mirror_the_source(self):
        module = {"src/core/a.c": "void a_f(void)\n{\n}\n"}
        self.bad("tests-mirror", module, ("src/core/a.c", 1))
        self.good("tests-mirror", {**module, "tests/core/test_a.c": ""})
        self.good("tests-mirror", {"src/core/a.c": "static void a_f(void)\n{\n}\n"})
        piece = {"src/core/a_b.c": "void a_b_f(void)\n{\n}\n", "tests/core/test_a.c": ""}
        self.bad("tests-mirror", piece, ("src/core/a_b.c", 1))
        self.good("tests-mirror", {**piece, "src/core/a.h": ""})

    def test_headers_compile_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("a.h", "struct a {\n    int x;\n};\n"), ("b.h", "size_t b_f(void);\n")):
                path = Path(folder, "src/core", name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            found = list(RULES["headers-alone"](Tree.from_disk(Path(folder))))
        self.assertEqual([f.path for f in found], ["src/core/b.h"])
        RuleCase.covered.add("headers-alone")


class Text(RuleCase):
    def test_white_space(self):
        self.good("white-space", {"src/core/a.c": "int a;\n\nint b;\n", "docs/empty.md": ""})
        self.bad("white-space", {"src/core/a.c": "int a; \n\tint b;\n"},
                 ("src/core/a.c", 1), ("src/core/a.c", 2))
        self.bad("white-space", {"docs/a.md": "text"}, ("docs/a.md", 1))
        self.bad("white-space", {"docs/a.md": "text\r\n"}, ("docs/a.md", 1))
        self.bad("white-space", {"docs/a.md": "text\n\n"}, ("docs/a.md", 3))

    def test_leftovers(self):
        self.good("leftovers", {"src/core/a.c": "int hackney, to_do;\n"})
        self.bad("leftovers", {"src/core/a.c": "\n/* FIXME: later */\n"}, ("src/core/a.c", 2))

    def test_machine_paths(self):
        self.good("machine-paths", {"docs/a.md": "/etc/plimsoll, https://a.b/work/x, src/work/\n"})
        self.bad("machine-paths", {"docs/a.md": "\nsee /home/somebody/x\n"}, ("docs/a.md", 2))

    def test_links(self):
        self.good("links", {"docs/a.md": "[b](b.md#the-end) [c](#here) [d](https://x.y/z)\n"
                                         "`[e](nowhere)`\n\n# Here\n",
                            "docs/b.md": "## The end\n"})
        self.bad("links", {"docs/a.md": "\n[b](b.md)\n"}, ("docs/a.md", 2))
        self.bad("links", {"docs/a.md": "[b](b.md#start)\n", "docs/b.md": "# The end\n"},
                 ("docs/a.md", 1))


class Scanner(unittest.TestCase):
    def names(self, text: str) -> list[str]:
        return [f.name for f in scan.find_functions(scan.blank_strings(text))]

    def test_functions_among_other_braces(self):
        self.assertEqual(self.names(
            "struct a {\n    int x;\n};\n"
            "typedef struct __attribute__((packed)) b {\n    int y;\n} b;\n"
            "enum c { C = F(1) };\n"
            "static const int d[] = {1, 2};\n"
            "#define E(x) \\\n    do { f(x); } while (0)\n"
            "err g(void);\n"
            "err h(const char *format, ...) PRINTF_LIKE(1, 2);\n"
            "static PRINTF_LIKE(1, 2) err i(const char *format, ...)\n{\n    if (x) { }\n}\n"
            "__attribute__((noinline)) void j(void (*callback)(int))\n{\n}\n"
            "struct a k(void)\n{\n    return (struct a){1};\n}\n"), ["i", "j", "k"])

    def test_strings_and_characters_hide_braces(self):
        self.assertEqual(self.names(
            "int a(void)\n{\n    char c = '{';\n    char d = '\"';\n    s(\"}{ \\\" {\");\n}\n"
            "int b(void)\n{\n}\n"), ["a", "b"])


class Completeness(unittest.TestCase):
    def test_zz_every_rule_has_a_case_that_breaks_it(self):
        for case in (Layers, HeaderOwners, OwnHeaderFirst, Sizes, Prefixes, Comments, BannedCalls,
                     Threads, Preprocessor, Types, Secrets, SizeArithmetic, WholeTree, Text):
            result = unittest.TestResult()
            unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
        self.assertEqual(set(RULES) - RuleCase.covered, set())


if __name__ == "__main__":
    unittest.main()
