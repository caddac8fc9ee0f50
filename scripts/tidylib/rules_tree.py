"""rules_tree.py: rules about text of any kind, and about the files as a whole."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from . import tables
from .rules_c import families_of
from .tree import File, Finding, Tree

# The rules, their tables and their tests have to spell out what they look for.
_SPEAKS_OF_RULES = ("scripts/tidylib/", "tests/tidy/")


def _is_about_rules(file: File) -> bool:
    return file.path.startswith(_SPEAKS_OF_RULES)


def white_space(tree: Tree) -> Iterator[Finding]:
    """No tabs, no trailing white space, one line feed at the end, no carriage returns."""
    for file in tree:
        if file.path in tables.GENERATED_PAGES:
            continue
        if "\t" not in file.text and " \n" not in file.text and "\r" not in file.text \
                and (file.text == "" or file.text.endswith("\n")) and not file.text.endswith("\n\n"):
            continue
        for number, line in enumerate(file.lines, 1):
            if "\t" in line:
                yield Finding(file.path, number, "a tab")
            if line != line.rstrip():
                yield Finding(file.path, number, "trailing white space")
        if file.text and not file.text.endswith("\n"):
            yield Finding(file.path, len(file.lines), "no line feed at the end")
        if file.text.endswith("\n\n"):
            yield Finding(file.path, len(file.lines), "an empty line at the end")


def _matches(tree: Tree, pattern: str, message: str) -> Iterator[Finding]:
    for file in tree:
        if _is_about_rules(file):
            continue
        for found in re.finditer(pattern, file.text):
            yield Finding(file.path, file.line_of(found.start()), message.format(found[0]))


def leftovers(tree: Tree) -> Iterator[Finding]:
    """Nothing is left for later inside the tree."""
    return _matches(tree, r"\b(?:TODO|FIXME|XXX|HACK)\b", "{}: finish it, or write an issue")


def machine_paths(tree: Tree) -> Iterator[Finding]:
    """No absolute path of anybody's machine."""
    return _matches(tree, r"(?<![\w.])(?:" + "|".join(tables.MACHINE_PATHS) + ")",
                    "{} exists on one machine only")


_LINK = re.compile(r"!?\[[^\]\n]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.M)


def _anchors(text: str) -> set[str]:
    """The ids that the usual renderers give to headings."""
    anchors: set[str] = set()
    for heading in _HEADING.findall(_without_fences(text)):
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        name, number = slug, 0
        while name in anchors:
            number += 1
            name = f"{slug}-{number}"
        anchors.add(name)
    return anchors | set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))


def _without_fences(text: str) -> str:
    return re.sub(r"^(```|~~~).*?^\1", lambda m: re.sub(r"[^\n]", " ", m[0]), text,
                  flags=re.S | re.M)


def links(tree: Tree) -> Iterator[Finding]:
    """Relative links of Markdown files lead to a file, and to a heading when they name one."""
    for file in tree:
        if not file.path.endswith(".md"):
            continue
        text = re.sub(r"`[^`\n]*`", lambda m: " " * len(m[0]), _without_fences(file.text))
        for found in _LINK.finditer(text):
            if re.match(r"[a-z][a-z0-9+.-]*:", found[1]):
                continue
            path, _, anchor = found[1].partition("#")
            target = os.path.normpath(os.path.join(os.path.dirname(file.path), path)) if path \
                else file.path
            line = file.line_of(found.start())
            if not tree.exists(target):
                yield Finding(file.path, line, f"the link leads nowhere: {found[1]}")
            elif anchor and target in tree and anchor not in _anchors(tree.files[target].text):
                yield Finding(file.path, line, f"{target} has no heading #{anchor}")


def unique_stems(tree: Tree) -> Iterator[Finding]:
    """A stem names one module: no two folders share it, so a prefix names one file."""
    first: dict[str, str] = {}
    for file in tree.c_files("src"):
        folder = file.path.rsplit("/", 1)[0]
        home = first.setdefault(file.stem, folder)
        if home != folder:
            yield Finding(file.path, 1, f"the stem '{file.stem}' is taken by {home}")


def magics(tree: Tree) -> Iterator[Finding]:
    """Each long-lived struct has a magic of its own."""
    seen: dict[int, str] = {}
    pattern = re.compile(r"#[ \t]*define[ \t]+(\w+_MAGIC)[ \t]+\(?(?:\(uint32_t\))?(0[xX][0-9a-fA-F]+)")
    for file in tree.c_files("src"):
        for found in pattern.finditer(file.without_comments):
            value = int(found[2], 16)
            name = seen.setdefault(value, found[1])
            if name != found[1]:
                yield Finding(file.path, file.line_of(found.start()),
                              f"{found[1]} has the value of {name}")


def tests_mirror(tree: Tree) -> Iterator[Finding]:
    """src/<part>/x.c with public functions has tests/<part>/test_x.c.

    A piece of a larger module is covered by a test of the module: config_yaml.c beside config.h by
    test_config.c or test_config_load.c."""
    for module, test in tables.TESTED_ELSEWHERE.items():
        if module in tree and test not in tree:
            yield Finding(module, 1, f"its test {test} does not exist")
    for file in tree.c_files("src"):
        if not file.path.endswith(".c") or file.part == "main":
            continue
        if not any(not function.is_static for function in file.functions):
            continue
        folder = file.path.replace("src/", "tests/", 1).removesuffix(file.name)
        starts = tuple(f"{folder}test_{stem}_" for stem in families_of(tree, file))
        whole = {f"{folder}test_{stem}.c" for stem in {file.stem} | families_of(tree, file)}
        is_covered = any(f.path in whole or f.path.startswith(starts) for f in tree.c_files("tests"))
        if file.path not in tables.TESTED_ELSEWHERE and not is_covered:
            yield Finding(file.path, 1, f"public functions without {folder}test_{file.name}")


def headers_alone(tree: Tree) -> Iterator[Finding]:
    """Each header compiles on its own. Needs gcc; a tree without a root has nothing to compile."""
    if tree.root is None:
        return
    headers = [file.path for file in tree.c_files("src") if file.path.endswith(".h")]
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        for path, message in zip(headers, pool.map(
                lambda path: _compile_header(str(tree.root), path), headers)):
            if message:
                yield Finding(path, 1, f"does not compile alone: {message}")


def _compile_header(root: str, path: str) -> str:
    """The compiler's first error, or nothing."""
    done = subprocess.run(
        ["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-DPLIMSOLL_VERSION=\"0\"", "-w", "-fsyntax-only",
         "-Isrc", "-x", "c", path],
        cwd=root, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    errors = [line for line in done.stderr.splitlines() if "error" in line]
    return errors[0] if errors else done.stderr.strip()
