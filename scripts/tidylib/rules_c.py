"""rules_c.py: rules about one C file at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator

from . import tables
from .scan import closing_paren
from .tree import File, Finding, Tree

OWN_CODE = ("src", "tests", "bench")


def layers(tree: Tree) -> Iterator[Finding]:
    """Includes point down only (tables.LAYERS); a private header stays inside its part."""
    for file in tree.c_files("src"):
        allowed = tables.LAYERS.get(file.part or "")
        if allowed is None:
            yield Finding(file.path, 1, f"part '{file.part}' has no row in tables.LAYERS")
            continue
        for include in file.includes:
            if include.is_system:
                continue
            if "/" not in include.path:
                yield Finding(file.path, include.line,
                              f"write the part: \"<part>/{include.path}\"")
                continue
            part = include.path.split("/", 1)[0]
            if part != file.part and part not in allowed:
                yield Finding(file.path, include.line,
                              f"{file.part} may not include {part} ({include.path})")
            elif part != file.part and include.path.endswith("_priv.h"):
                yield Finding(file.path, include.line, f"{include.path} is private to {part}")


def header_owners(tree: Tree) -> Iterator[Finding]:
    """A library's headers enter by the parts that tables.HEADER_OWNERS names."""
    for file in tree.c_files("src"):
        for include in file.includes:
            if not include.is_system:
                continue
            owners = _header_owners_of(include.path)
            if owners is None:
                yield Finding(file.path, include.line,
                              f"<{include.path}> has no owner in tables.HEADER_OWNERS")
            elif owners and file.part not in owners:
                yield Finding(file.path, include.line,
                              f"<{include.path}> may be included by {', '.join(sorted(owners))} only")


def _header_owners_of(path: str) -> set[str] | None:
    """The owning parts, an empty set for the system's headers, None for a stranger."""
    if path in tables.SYSTEM_HEADERS or path.startswith(tables.SYSTEM_HEADER_FOLDERS):
        return set()
    for header, owners in tables.HEADER_OWNERS.items():
        if path == header or (header.endswith("/") and path.startswith(header)):
            return owners
    return None


def own_header_first(tree: Tree) -> Iterator[Finding]:
    """foo.c includes its own foo.h before anything else, which proves that it stands alone."""
    for file in tree.c_files("src"):
        own = file.path[:-2] + ".h"
        if not file.path.endswith(".c") or own not in tree or not file.includes:
            continue
        if file.includes[0].path != own.removeprefix("src/"):
            yield Finding(file.path, file.includes[0].line,
                          f"include \"{own.removeprefix('src/')}\" first")


def file_size(tree: Tree) -> Iterator[Finding]:
    """A file has at most 800 lines."""
    for file in tree.c_files(*OWN_CODE):
        count = len(file.lines) - 1
        if count > tables.FILE_LINES_MAX:
            yield Finding(file.path, tables.FILE_LINES_MAX + 1,
                          f"{count} lines; at most {tables.FILE_LINES_MAX}")


def function_size(tree: Tree) -> Iterator[Finding]:
    """A function has at most 70 lines and 6 parameters."""
    for file in tree.c_files(*OWN_CODE):
        for function in file.functions:
            if function.line_count > tables.FUNCTION_LINES_MAX:
                yield Finding(file.path, function.line,
                              f"{function.name} has {function.line_count} lines; at most "
                              f"{tables.FUNCTION_LINES_MAX}")
            if function.parameter_count > tables.PARAMETERS_MAX \
                    and function.name not in tables.LIBRARY_CALLBACKS:
                yield Finding(file.path, function.line,
                              f"{function.name} takes {function.parameter_count} parameters; at "
                              f"most {tables.PARAMETERS_MAX}: group them in a struct")


def prefixes(tree: Tree) -> Iterator[Finding]:
    """Every function starts with its file's stem, so that a name says which file to open.

    A module that is spread over files may also use the stem of the header that it shares:
    http1_body.c may define http1_ functions when http1.h stands beside it."""
    for file in tree.c_files("src"):
        allowed = _prefixes_of(tree, file)
        for function in file.functions:
            if function.name in tables.UNPREFIXED_NAMES:
                continue
            if not any(function.name == p or function.name.startswith(p + "_") for p in allowed):
                yield Finding(file.path, function.line,
                              f"{function.name} shall start with {' or '.join(sorted(allowed))}_")


def _prefixes_of(tree: Tree, file: File) -> set[str]:
    stem = file.stem.removesuffix("_priv")
    return {stem} | tables.EXTRA_PREFIXES.get(stem, set()) | families_of(tree, file)


def families_of(tree: Tree, file: File) -> set[str]:
    """The modules that this file may be a piece of: config for config_yaml.c beside config.h."""
    folder = file.path.rsplit("/", 1)[0]
    shared = file.stem.removesuffix("_priv")
    families: set[str] = set()
    while "_" in shared:
        shared = shared.rsplit("_", 1)[0]
        if f"{folder}/{shared}.h" in tree or f"{folder}/{shared}_priv.h" in tree:
            families.add(shared)
    return families


def opening_comment(tree: Tree) -> Iterator[Finding]:
    """A file opens with a comment that starts with its name and ends with the SPDX line."""
    for file in tree.c_files(*OWN_CODE):
        end = file.text.find("*/")
        comment = file.text[:end]
        if not comment.startswith(f"/* {file.name}:"):
            yield Finding(file.path, 1, f"open with '/* {file.name}: what it is for'")
        elif not comment.rstrip().endswith("SPDX-License-Identifier: Apache-2.0"):
            yield Finding(file.path, file.line_of(max(end, 0)),
                          "the SPDX line ends the opening comment")


def comment_form(tree: Tree) -> Iterator[Finding]:
    """Comments are written /* so */."""
    for file in tree.c_files(*OWN_CODE):
        for found in re.finditer(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'",
                                 file.text, re.S):
            if found[0].startswith("//"):
                yield Finding(file.path, file.line_of(found.start()), "write /* so */, not // so")


_CALL = re.compile(r"(?<![\w.])(?<!->)([A-Za-z_]\w*)\s*\(")


def banned_calls(tree: Tree) -> Iterator[Finding]:
    """Calls that have a better form in core (tables.BANNED_CALLS)."""
    for file in tree.c_files("src"):
        for found in _CALL.finditer(file.code):
            row = tables.BANNED_CALLS.get(found[1])
            if row is None:
                continue
            instead, allowed = row
            if not any(file.path == a or (a.endswith("/") and file.path.startswith(a))
                       for a in allowed):
                yield Finding(file.path, file.line_of(found.start()),
                              f"{found[1]}() is banned: use {instead}")


def mutexes(tree: Tree) -> Iterator[Finding]:
    """Locks and threads are core's; others send messages by mailbox."""
    pattern = re.compile(r"\b" + tables.MUTEX_NAMES + r"\b")
    for file in tree.c_files("src"):
        if file.part == "core":
            continue
        for found in pattern.finditer(file.code):
            yield Finding(file.path, file.line_of(found.start()),
                          f"{found[0]} belongs in core: use a mailbox or core's thread")


def conditionals(tree: Tree) -> Iterator[Finding]:
    """No #if outside core; headers say #pragma once."""
    for file in tree.c_files("src"):
        if file.path.endswith(".h") and not re.search(r"^#pragma once$", file.text, re.M) \
                and not file.name.endswith("_table.h"):
            yield Finding(file.path, 1, "a header says #pragma once")
        if file.part == "core":
            continue
        for found in re.finditer(r"^[ \t]*#[ \t]*(if|ifdef|ifndef|elif)\b", file.code, re.M):
            yield Finding(file.path, file.line_of(found.start()),
                          f"#{found[1]} belongs in core; a table or a function says it better")


def typedefs(tree: Tree) -> Iterator[Finding]:
    """struct, union and enum are written out; the must-use err is the one exception."""
    for file in tree.c_files(*OWN_CODE):
        if file.path == "src/core/err.h":
            continue
        for found in re.finditer(r"\btypedef\s+(struct|union|enum)\b", file.code):
            yield Finding(file.path, file.line_of(found.start()),
                          f"no typedef for a {found[1]}")


_COMPARE = re.compile(r"\b(memcmp|strcmp|strncmp|strcasecmp|span_eq|span_eq_nocase)\s*\(([^;{]*)")
_SECRET_WORD = re.compile(r"secret|password|passphrase|api_key|hmac|private_key", re.I)


def secret_compare(tree: Tree) -> Iterator[Finding]:
    """Secrets are compared in constant time."""
    for file in tree.c_files("src"):
        for found in _COMPARE.finditer(file.code):
            arguments = file.code[found.start(2):_arguments_end(file.code, found.end(1))]
            if _SECRET_WORD.search(arguments):
                yield Finding(file.path, file.line_of(found.start()),
                              f"{found[1]} leaks by time: use secret_equals or "
                              "secret_bytes_equal")


def _arguments_end(code: str, before_paren: int) -> int:
    return closing_paren(code, code.index("(", before_paren))


_ALLOCATION = re.compile(r"\b(mem_alloc|mem_alloc_raw|mem_try_alloc|mem_try_resize)\s*\(")
_SIZEOF = re.compile(r"\bsizeof\s*(?:\([^()]*\)|\*?\s*[\w.>\-]+)")
_OPERATION = re.compile(r"(\w+|[)\]])\s*[*+]\s*(\w+|\()")
_CONSTANT = re.compile(r"\d\w*|[A-Z][A-Z0-9_]*")


def size_arithmetic(tree: Tree) -> Iterator[Finding]:
    """The size of an allocation is computed by size_add and size_mul, which check."""
    for file in tree.c_files("src"):
        if file.path in ("src/core/mem.c", "src/core/mem.h"):
            continue
        for found in _ALLOCATION.finditer(file.code):
            end = _arguments_end(file.code, found.end(1))
            size = _SIZEOF.sub("SIZEOF", file.code[found.end():end])
            for left, right in _OPERATION.findall(size):
                if not (_CONSTANT.fullmatch(left) and _CONSTANT.fullmatch(right)):
                    yield Finding(file.path, file.line_of(found.start()),
                                  "compute the size with size_add or size_mul")
                    break
