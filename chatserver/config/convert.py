"""Convert a part of a configuration into a typed object, with errors for people."""

import re
from dataclasses import replace
from typing import TypeVar

import msgspec

from chatserver.config.check import check
from chatserver.config.compose import scalar
from chatserver.config.tree import (
    Array,
    Node,
    Path_,
    Scalar,
    Table,
    below,
    dotted,
    find,
    is_null,
    is_secret,
    key_where,
    place,
    plain,
)
from chatserver.errors import ConfigError

T = TypeVar("T")

# What msgspec writes; its `[...]` stands for any key of a dict.
_MESSAGE = re.compile(r"(.*?)(?: - at (`key` in )?`\$(.*)`)?", re.DOTALL)
_STEP = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]|\[\.\.\.\]")
_WRONG = re.compile(r"Expected `(?P<kinds>[^`]*)`, got `(?P<got>[^`]*)`")
_LIMIT = re.compile(r"Expected `(?P<kinds>[^`]*)` (?P<limit>.*)", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`")
_CHOICE = re.compile(r"Invalid (?:enum )?value .*", re.DOTALL)
_KINDS = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "a boolean",
    "array": "a list",
    "object": "a mapping",
}


def convert(root: Node, path: Path_, type_: type[T]) -> T:
    """Make an object of a type from a tree that stands at `path` of its document.

    Null serves where nothing but a mapping or nothing but a list is wanted, and the text of a
    value given without quotes where a string is. Nothing else is coerced.

    Raises:
        ConfigError: An unknown or missing key, or a value that does not fit.
    """
    kind = msgspec.inspect.type_info(type_)
    while True:
        check(kind, root, path)
        try:
            return msgspec.convert(plain(root), type_)
        except msgspec.ValidationError as error:
            root = _repaired(root, path, type_, str(error))


def _repaired(root: Node, path: Path_, type_: type[object], message: str) -> Node:
    """Return the tree without the fault, if it is one of the two that are none; else raise it."""
    match = _MESSAGE.fullmatch(message)
    text, of_key, steps = match.groups("") if match else (message, "", "")
    at, shown = _locate(root, steps + "[...]" if of_key else steps, message, type_)
    node = find(root, at) or root
    name = dotted((*path, *shown)) or "the configuration"
    if of_key and len(at) == len(shown):
        node = Scalar(where=key_where(root, at), value=at[-1])
        name = f"the key of {name}"
    wrong = _WRONG.fullmatch(text)
    kinds = wrong["kinds"].split(" | ") if wrong else []
    if node.text is not None and "str" in kinds:
        return place(root, at, Scalar(where=node.where, value=node.text))
    if is_null(node) and kinds == ["object"]:
        return place(root, at, Table(where=node.where, items={}, keys={}))
    if is_null(node) and kinds == ["array"]:
        return place(root, at, Array(where=node.where, items=[]))
    value = "" if is_secret((*path, *shown)) else _shown(node)
    raise ConfigError(_problem(text, node, name, value), node.where) from None


def _locate(root: Node, steps: str, message: str, type_: type[object]) -> tuple[Path_, Path_]:
    """Return the path that msgspec wrote, each `[...]` filled in: as it is, and for people.

    It ends early where no single entry is at fault, so that only the mapping can be named.
    """
    at: Path_ = ()
    shown: Path_ = ()
    for step in _STEP.finditer(steps):
        if step["name"] or step["index"]:
            at = (*at, step["name"] or int(step["index"]))
            shown = (*shown, at[-1])
        elif found := _culprit(root, at, message, type_):
            root, name = found
            at, shown = (*at, name), below(shown, name)
        else:
            shown = (*shown, "***")
            break
    return at, shown


def _culprit(root: Node, at: Path_, message: str, type_: type[object]) -> tuple[Node, str] | None:
    """Find the entry of the mapping at `at` that is refused with the same message when alone.

    Returns:
        The tree with that entry only, and its name; None if no entry is at fault by itself.
    """
    table = find(root, at)
    names = list(table.items) if isinstance(table, Table) else []
    while isinstance(table, Table) and names:
        half = names[: (len(names) + 1) // 2]
        narrowed = place(root, at, replace(table, items={n: table.items[n] for n in half}))
        try:
            msgspec.convert(plain(narrowed), type_)
            refused = False
        except msgspec.ValidationError as error:
            refused = str(error) == message
        if refused and len(half) == 1:
            return narrowed, half[0]
        names = half if refused else names[len(half) :]
    return None


def _problem(text: str, node: Node, name: str, value: str) -> str:
    """Write msgspec's message for people; where the place is the name it is not said twice."""
    subject = "" if name == node.where else f"{name} "
    if match := _WRONG.fullmatch(text):
        got = _KINDS.get(match["got"], match["got"])
        return f"{subject}must be {_kinds(match)}, not {got}{value and f' ({value})'}" + _hint(
            match["kinds"].split(" | "), node
        )
    if match := _LIMIT.fullmatch(text):
        return f"{subject}must be {_kinds(match)} {match['limit']}{value and f', not {value}'}"
    if match := _MISSING.fullmatch(text):
        return f"missing key {match['name']!r} in {name}"
    if _CHOICE.fullmatch(text):
        return f"{subject}must be one of its choices{value and f', not {value}'}"
    return " ".join(f"{subject and f'{name}: '}{text}".split())


def _kinds(match: re.Match[str]) -> str:
    *others, last = [_KINDS.get(kind, kind) for kind in match["kinds"].split(" | ")]
    return f"{', '.join(others)} or {last}" if others else last


def _hint(kinds: list[str], node: Node) -> str:
    value = plain(node)
    if value is None:
        return "; give a value or remove the key"
    if "str" in kinds and isinstance(node, Scalar):
        return "; put it in quotes"
    if isinstance(value, str) and type(scalar(value)).__name__ in kinds:
        return "; remove the quotes"
    return ""


def _shown(node: Node) -> str:
    """Show a short value; nothing for null, parts of it and numbers beyond 64 bits."""
    value = plain(node)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else f"{value[:40]}...")
    if isinstance(value, float) or (isinstance(value, int) and value.bit_length() <= 64):
        return repr(value)
    return ""
