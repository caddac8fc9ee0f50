"""tree.py: the files that the rules look at, from disk or from a test's dictionary."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from . import scan

# What the project consists of; build output, state and downloads are not looked at.
TOP_FOLDERS = ("src", "tests", "bench", "scripts", "docs", "examples", "cmake", "packaging", ".ci")
SKIPPED_FOLDERS = {"node_modules", "__pycache__", "var", "corpus", "data"}
TEXT_SUFFIXES = {
    "", ".c", ".h", ".md", ".py", ".sh", ".mjs", ".js", ".css", ".html", ".json", ".yaml", ".yml",
    ".cmake", ".txt", ".service", ".in",
}


@dataclass(frozen=True)
class Finding:
    """One broken rule at one place."""

    path: str
    line: int
    message: str


class File:
    """One text file; views of it are computed once, when a rule first asks."""

    def __init__(self, path: str, text: str):
        self.path = path
        self.text = text

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    @property
    def stem(self) -> str:
        return self.name.split(".", 1)[0]

    @property
    def is_c(self) -> bool:
        return self.path.endswith((".c", ".h"))

    @property
    def part(self) -> str | None:
        """core for src/core/x.c, main for src/main.c, None outside src."""
        found = re.match(r"src/(?:([a-z0-9_]+)/.+|main\.c$)", self.path)
        if found is None:
            return None
        return found.group(1) or "main"

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def without_comments(self) -> str:
        return scan.blank_comments(self.text)

    @cached_property
    def code(self) -> str:
        """Neither comments nor the insides of strings; same length and lines as the text."""
        return scan.blank_strings(self.text)

    @cached_property
    def includes(self) -> list[scan.Include]:
        return scan.find_includes(self.without_comments)

    @cached_property
    def functions(self) -> list[scan.Function]:
        return scan.find_functions(self.code)

    def line_of(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1


class Tree:
    """All files by path. `root` is None for a tree that exists only in a test."""

    def __init__(self, files: dict[str, str], root: Path | None = None):
        self.files = {path: File(path, text) for path, text in sorted(files.items())}
        self.root = root

    def __iter__(self):
        return iter(self.files.values())

    def __contains__(self, path: str) -> bool:
        return path in self.files

    def exists(self, path: str) -> bool:
        """Whether a file or folder of this name is there, also one that is not text."""
        if path in self.files or any(name.startswith(path + "/") for name in self.files):
            return True
        return self.root is not None and (self.root / path).exists()

    def c_files(self, *tops: str) -> list[File]:
        return [f for f in self if f.is_c and f.path.startswith(tuple(top + "/" for top in tops))]

    @staticmethod
    def from_disk(root: Path) -> "Tree":
        files: dict[str, str] = {}
        for entry in sorted(root.iterdir()):
            if entry.is_file() and entry.name != ".git":
                _read(root, entry, files)
        for top in TOP_FOLDERS:
            for folder, subfolders, names in os.walk(root / top):
                subfolders[:] = sorted(name for name in subfolders if name not in SKIPPED_FOLDERS)
                for name in names:
                    _read(root, Path(folder) / name, files)
        return Tree(files, root)


def _read(root: Path, path: Path, files: dict[str, str]) -> None:
    if path.suffix not in TEXT_SUFFIXES or path.is_symlink():
        return
    try:
        files[path.relative_to(root).as_posix()] = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return  # a binary without a suffix
