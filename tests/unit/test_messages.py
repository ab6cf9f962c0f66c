"""Foreign text in messages passes through `shown`: a rule over the source of every message.

What a message inserts is either ours (a number, a constant, a word of this code) or goes through
stepedit_core/printable.py. Names, paths, texts and errors of libraries are foreign.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GATES = {"shown", "listed", "listed_names", "printable", "quoted"}
"""Functions of printable.py."""
NUMBERS = {
    *("len", "int", "float", "round", "min", "max", "sum", "abs", "numel", "tuple"),
    *("pip_line", "default_device", "st_size", "ndim", "shape", "dtype", "errno", "__name__"),
    *("size", "count", "number", "seconds", "rounds", "rate", "length", "limit", "width", "ids"),
    *("start", "end", "head", "tail", "samples", "sample_rate", "groups", "total", "bytes"),
    *("heads", "d_model", "units", "hidden_size", "num_attention_heads", "vocab_size", "batch"),
    *("num_attention_groups", "max_seq_len", "used", "shift", "kernel", "longest", "max_ids"),
    *("processes", "world", "workers", "strength", "steps", "speakers", "margin", "scale"),
    *("step", "left_out", "counted", "stated", "rank", "first", "audio_offset", "end_id", "rows"),
    *("at",),
    *("sha256", "positions", "most", "least", "prompts", "answers", "most_db", "tempo", "lineno"),
    *(
        "from_hz",
        "loudest",
        "to_hz",
        "marked",
        "best",
        "times",
        "runs",
        "bad",
        "loud",
        "new",
        "colno",
        "room",
        "free",
        "pid",
    ),
}
"""Names of numbers, and calls that give one."""
WORDS = {
    *("remedy", "verb", "allowed", "example", "allow", "owner", "problem", "strerror", "bounds"),
    *(
        "what",
        "last",
        "package",
        "kind",
        "_kind",
        "_last_score",
        "place",
        "_size_said",
        "_rounds",
        "PACKAGES",
        "kind_of_value",
    ),
    *("where", "said", "sentence", "why"),
}
"""Names of words that this code, or the operating system, has written."""
CARRIERS = {"where", "said", "sentence", "problem", "why", "what"}
"""Variables that bring words into a message; what they are made of is checked where it is made."""
READERS = {
    *("parse_json", "parse_object", "as_object", "from_json", "decoded", "read_json", "read_text"),
    *("read_lines", "read_object", "read_bytes"),
}
"""Functions that receive the words of their messages."""
SAID = {"warning", "info", "error", "say_error", "say", "UsageError", "ArgumentTypeError"}
"""Calls whose arguments are messages."""

LOGS = {"log.debug", "log.info", "log.warning", "log.error"}
"""Calls whose later arguments go into a line of the log."""


def is_ours(node: ast.expr) -> bool:
    """Whether an inserted expression can only be printable words and numbers of this code."""
    match node:
        case ast.Constant():
            return True
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.isupper() or name in NUMBERS or name in WORDS
        case ast.FormattedValue():
            number = node.format_spec is not None and not ast.unparse(node.format_spec).endswith(
                "s'"
            )
            return number or node.conversion == ord("r") or is_ours(node.value)
        case ast.JoinedStr(values=values) | ast.BoolOp(values=values):
            return all(map(is_ours, values))
        case ast.BinOp():
            return is_ours(node.left) and is_ours(node.right)
        case ast.UnaryOp():
            return is_ours(node.operand)
        case ast.IfExp():
            return is_ours(node.body) and is_ours(node.orelse)
        case ast.Subscript():
            return is_ours(node.value)
        case ast.Call():
            return is_our_call(node)
    return False


def is_our_call(node: ast.Call) -> bool:
    """Whether a call gives a number, words of ours, or comes from printable.py."""
    match node:
        case ast.Call(func=ast.Attribute(attr="join"), args=[inner]):
            return is_ours_each(inner)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in GATES or name in NUMBERS or name in WORDS
    return False


def is_ours_each(node: ast.expr) -> bool:
    """Whether everything in a collection is ours."""
    match node:
        case ast.Call(func=ast.Name(id="sorted"), args=[inner, *_]):
            return is_ours_each(inner)
        case ast.Call(func=ast.Name(id="map"), args=[ast.Name(id=name), inner]):
            return name in GATES or is_ours_each(inner)
        case ast.GeneratorExp() | ast.ListComp():
            return is_ours(node.elt)
        case ast.List(elts=elts) | ast.Tuple(elts=elts):
            return all(map(is_ours, elts))
    return is_ours(node)


def messages(tree: ast.AST) -> list[ast.expr]:
    """What is raised, logged or said to a user."""
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            found += node.exc.args
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            found += node.args if name in SAID | READERS else []
        elif isinstance(node, ast.Assign):
            names = {getattr(target, "id", "") for target in node.targets}
            found += [node.value] if names & CARRIERS else []
    return found


def foreign(code: str) -> list[tuple[int, str]]:
    """Line and source of what a message inserts raw."""
    found = set()
    tree = ast.parse(code)
    for message in messages(tree):
        for node in ast.walk(message):
            if isinstance(node, ast.FormattedValue) and not is_ours(node):
                found.add((node.lineno, ast.unparse(node.value)))
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in LOGS:
            found |= {(a.lineno, ast.unparse(a)) for a in call.args[1:] if not is_ours(a)}
    return sorted(found)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("raise ValueError(f'no file {path.name}')", ["path.name"]),
        ("raise ValueError(f'no file {shown(path.name)}')", []),
        ("raise ValueError('a' f'{error}') from error", ["error"]),
        ("raise ValueError(f'{len(x)} of {MOST}, {seconds:.2f} s, {size - 1}')", []),
        ("log.warning(f'{text}')", ["text"]),
        ("raise ValueError(f'{\", \".join(names)}')", ["', '.join(names)"]),
        ('raise ValueError(f\'{", ".join(NAMES)} {", ".join(sorted(NAMES))}\')', []),
        ("raise ValueError(f'{name if name else 1}')", ["name if name else 1"]),
        ("raise ValueError(f'{value!r} {bundle.name:20s}')", ["bundle.name"]),
        ("log.info('%s of %d', path, count)", ["path"]),
        ("where = f'line {number} of {path.name}'", ["path.name"]),
        ("parse_json(text, f'a {path}')", ["path"]),
        ("text = f'{name}'", []),
    ],
)
def test_the_rule_finds_what_is_inserted_raw(code: str, found: list[str]) -> None:
    assert [source for _, source in foreign(code)] == found


FILES = [
    path for folder in ("stepedit_core", "nodes") for path in sorted((ROOT / folder).rglob("*.py"))
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_message_shows_foreign_text_printable(path: Path) -> None:
    assert foreign(path.read_text(encoding="utf-8")) == []


def test_only_two_functions_print() -> None:
    """What is printed goes through `say_result`, `say_note` or `say_error`: printable."""
    name = "stepedit_core/commands/options.py"
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
                assert path.relative_to(ROOT).as_posix() == name
                assert "printable" in ast.unparse(node.args[0])


def test_no_path_asks_for_the_folder_of_a_user_that_may_not_be() -> None:
    """`Path.expanduser` raises for ~nobody; `expanded` of registry/folders.py gives the path."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr == "expanduser":
                assert ast.unparse(node.value) == "os.path", path
