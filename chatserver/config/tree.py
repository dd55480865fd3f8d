"""Hold plain values together with the place each of them came from.

A tree never changes; `placed` makes a new one that shares what stayed the same.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from chatserver.errors import ConfigError

Path_ = tuple[str | int, ...]

MAX_DEPTH = 64
"""Mappings and lists inside each other."""

_SECRET = re.compile("token|secret|key|password", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A part of a configuration.

    `text` is set where a value was given as text without quotes that only reading turned into
    another type; it serves where a string is wanted (a password of digits).
    """

    where: str
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar(Node):
    """A value without parts."""

    value: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Array(Node):
    """A list."""

    items: list[Node]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Node):
    """A mapping; `keys` has the place of each key."""

    items: dict[str, Node]
    keys: dict[str, str]


def plain(node: Node | None) -> object:
    """Return the values without their places."""
    if isinstance(node, Table):
        return {name: plain(item) for name, item in node.items.items()}
    if isinstance(node, Array):
        return [plain(item) for item in node.items]
    return node.value if isinstance(node, Scalar) else None


def is_null(node: Node) -> bool:
    """Tell whether a part is null, as a key without a value is."""
    return isinstance(node, Scalar) and node.value is None


def dotted(path: Path_) -> str:
    """Write a path for people: ``listen[0].port``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step if step.isprintable() else ascii(step)}"
    return text.removeprefix(".")


def is_secret(path: Path_) -> bool:
    """Tell whether values at and below this path must not be shown."""
    return any(isinstance(step, str) and _SECRET.search(step) for step in path)


def below(path: Path_, name: str) -> Path_:
    """Extend a path for people by a free key, unseen where it may be a secret itself."""
    return (*path, "***" if is_secret(path) else name)


def grow(value: object, path: Path_ = (), origin: str | None = None) -> Node:
    """Make a tree of plain data: mappings with text keys, lists, tuples, and all else as it is.

    Args:
        value: The data.
        path: Where it will stand, for messages.
        origin: The place of every part; None takes each part's own path.

    Raises:
        ConfigError: A key is no string, or the data is nested deeper than `MAX_DEPTH`.
    """
    where = dotted(path) if origin is None else origin
    if len(path) > MAX_DEPTH:
        raise ConfigError(f"nested more than {MAX_DEPTH} levels deep", origin or dotted(path[:1]))
    if isinstance(value, Mapping):
        if wrong := [name for name in value if not isinstance(name, str)]:
            raise ConfigError(f"keys must be strings, not {type(wrong[0]).__name__}", where)
        nodes = {name: grow(item, below(path, name), origin) for name, item in value.items()}
        keys = {name: origin or dotted(below(path, name)) for name in nodes}
        return Table(where=where, items=nodes, keys=keys)
    if isinstance(value, list | tuple):
        parts = [grow(item, (*path, i), origin) for i, item in enumerate(value)]
        return Array(where=where, items=parts)
    return Scalar(where=where, value=value)


def find(node: Node | None, path: Path_) -> Node | None:
    """Return the part at a path, None where there is none."""
    for step in path:
        if isinstance(node, Table) and isinstance(step, str):
            node = node.items.get(step)
        elif isinstance(node, Array) and isinstance(step, int) and 0 <= step < len(node.items):
            node = node.items[step]
        else:
            return None
    return node


def key_where(root: Node, path: Path_) -> str:
    """Return the place of the key of an existing part; of the part itself if it has none."""
    parent, part = find(root, path[:-1]), find(root, path) or root
    return parent.keys[str(path[-1])] if isinstance(parent, Table) and path else part.where


def place(node: Node | None, path: Path_, new: Node) -> Node:
    """Return a tree with one part replaced or added; missing mappings on the way are made.

    Raises:
        ConfigError: The path leads through a plain value or to an index the list does not have.
    """
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(node, Array):
        index = int(step) if str(step).isdecimal() else len(node.items)
        if index >= len(node.items):
            raise ConfigError(
                f"the list at {node.where} has {len(node.items)} entries, counted from 0; "
                f"there is no {step!r}",
                new.where,
            )
        changed = [place(old, rest, new) if i == index else old for i, old in enumerate(node.items)]
        return Array(where=node.where, items=changed)
    if node is None or is_null(node):
        node = Table(where=new.where, items={}, keys={})
    if not isinstance(node, Table):
        raise ConfigError(
            f"the value at {node.where} is no mapping, so it cannot have a key {step!r}", new.where
        )
    name = str(step)
    items = {**node.items, name: place(node.items.get(name), rest, new)}
    keys = {name: new.where, **node.keys} if rest else {**node.keys, name: new.where}
    return Table(where=node.where, items=items, keys=keys)
