"""scan.py: just enough of C's lexis to find includes and functions without a compiler.

The one hard thing: a function is told from a table, a struct or a prototype by what stands before
its brace, so everything that could hold a brace or a parenthesis by accident (comments, strings,
directives, attributes) is blanked first, with offsets and line numbers kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""", re.S | re.X)
_DIRECTIVE = re.compile(r"^[ \t]*\#(?:\\\n|[^\n])*", re.M)
_INCLUDE = re.compile(r"""^[ \t]*\#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]""", re.M)
_NAME_BEFORE_PAREN = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
_BRACE = re.compile(r"[{};]")
_ATTRIBUTE = re.compile(r"__attribute__\s*(?=\()|_Alignas\s*(?=\()")


@dataclass(frozen=True)
class Include:
    path: str
    is_system: bool
    line: int


@dataclass(frozen=True)
class Function:
    name: str
    line: int
    line_count: int
    parameter_count: int
    is_static: bool


def _spaces(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def blank_comments(text: str) -> str:
    return _TOKEN.sub(lambda m: _spaces(m[0]) if m[0].startswith("/") else m[0], text)


def blank_strings(text: str) -> str:
    def blank(match: re.Match[str]) -> str:
        token = match[0]
        if token.startswith("/"):
            return _spaces(token)
        return token[0] + " " * (len(token) - 2) + token[0]

    return _TOKEN.sub(blank, text)


def find_includes(without_comments: str) -> list[Include]:
    return [
        Include(found[2], found[1] == "<", without_comments.count("\n", 0, found.start()) + 1)
        for found in _INCLUDE.finditer(without_comments)
    ]


def closing_paren(text: str, opening: int) -> int:
    """Offset of the parenthesis that closes the one at `opening`, or the end of the text."""
    depth = 0
    for at in range(opening, len(text)):
        if text[at] == "(":
            depth += 1
        elif text[at] == ")":
            depth -= 1
            if depth == 0:
                return at
    return len(text)


def _without_attributes(head: str) -> str:
    while found := _ATTRIBUTE.search(head):
        end = closing_paren(head, found.end()) + 1
        head = head[:found.start()] + _spaces(head[found.start():end]) + head[end:]
    return re.sub(r"\[\[.*?\]\]", lambda m: _spaces(m[0]), head, flags=re.S)


def _count_parameters(text: str) -> int:
    text = text.strip()
    if text in ("", "void"):
        return 0
    depth = 0
    count = 1
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        count += char == "," and depth == 0
    return count


def _function_of_head(head: str) -> tuple[str, int, bool] | None:
    """Name, parameters and staticness when this is what stands before a function's brace."""
    head = _without_attributes(head)
    for found in _NAME_BEFORE_PAREN.finditer(head):
        if found[1].isupper():
            continue  # a macro such as PRINTF_LIKE(2, 3)
        if "=" in head[:found.start()]:
            return None
        opening = found.end() - 1
        parameters = head[opening + 1:closing_paren(head, opening)]
        return found[1], _count_parameters(parameters), re.search(r"\bstatic\b", head) is not None
    return None


def find_functions(code: str) -> list[Function]:
    text = _DIRECTIVE.sub(lambda m: _spaces(m[0]), code)
    functions: list[Function] = []
    depth = 0
    head_start = 0
    current: tuple[str, int, bool] | None = None
    start_line = 0
    for found in _BRACE.finditer(text):
        if found[0] == "{":
            if depth == 0:
                head = text[head_start:found.start()]
                current = _function_of_head(head)
                first = head_start + len(head) - len(head.lstrip())
                start_line = text.count("\n", 0, first) + 1
            depth += 1
        elif found[0] == "}":
            depth = max(0, depth - 1)
            if depth == 0 and current is not None:
                end_line = text.count("\n", 0, found.start()) + 1
                functions.append(Function(current[0], start_line, end_line - start_line + 1,
                                          current[1], current[2]))
                current = None
            if depth == 0:
                head_start = found.end()
        elif depth == 0:
            head_start = found.end()
    return functions
