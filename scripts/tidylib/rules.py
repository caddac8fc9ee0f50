"""rules.py: the visible list of all rules; a rule that is not here does not run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from . import rules_c, rules_tree
from .tree import Finding, Tree

Rule = Callable[[Tree], Iterator[Finding]]

RULES: dict[str, Rule] = {
    "layers": rules_c.layers,
    "header-owners": rules_c.header_owners,
    "own-header-first": rules_c.own_header_first,
    "file-size": rules_c.file_size,
    "function-size": rules_c.function_size,
    "prefixes": rules_c.prefixes,
    "opening-comment": rules_c.opening_comment,
    "comment-form": rules_c.comment_form,
    "banned-calls": rules_c.banned_calls,
    "mutexes": rules_c.mutexes,
    "conditionals": rules_c.conditionals,
    "typedefs": rules_c.typedefs,
    "secret-compare": rules_c.secret_compare,
    "size-arithmetic": rules_c.size_arithmetic,
    "unique-stems": rules_tree.unique_stems,
    "magics": rules_tree.magics,
    "tests-mirror": rules_tree.tests_mirror,
    "headers-alone": rules_tree.headers_alone,
    "white-space": rules_tree.white_space,
    "leftovers": rules_tree.leftovers,
    "machine-paths": rules_tree.machine_paths,
    "links": rules_tree.links,
}
