"""Find unknown keys and choices in a configuration, and name the nearest valid ones.

msgspec does not say which ones are valid, and ignores unknown keys of dataclasses and TypedDicts;
in a configuration they are slips.
"""

from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches

from msgspec import inspect

from chatserver.config.tree import (
    Array,
    Node,
    Path_,
    Scalar,
    Table,
    below,
    dotted,
    is_secret,
    plain,
)
from chatserver.errors import ConfigError

_OBJECTS = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType)
_LISTS = (inspect.ListType, inspect.SetType, inspect.FrozenSetType, inspect.VarTupleType)
_TABLES = (*_OBJECTS, inspect.DictType)
_ARRAYS = (*_LISTS, inspect.TupleType)


def check(kind: inspect.Type, node: Node, path: Path_) -> None:
    """Compare the keys and choices of a tree with a type; all else is left to msgspec.

    Args:
        kind: The type, from `msgspec.inspect.type_info`.
        node: The tree.
        path: Where the tree stands, for messages.

    Raises:
        ConfigError: A key is none of an object's fields, or a text none of the choices.
    """
    if isinstance(kind, inspect.Metadata):
        check(kind.type, node, path)
    elif isinstance(kind, inspect.UnionType):
        fitting = [option for option in kind.types if _fits(option, node)]
        if len(fitting) == 1:
            check(fitting[0], node, path)
    elif isinstance(node, Table):
        _check_table(kind, node, path)
    elif isinstance(node, Array):
        if isinstance(kind, inspect.TupleType):
            pairs = list(zip(kind.item_types, node.items, strict=False))
        else:
            pairs = [(kind.item_type, part) for part in node.items if isinstance(kind, _LISTS)]
        for i, (inner, part) in enumerate(pairs):
            check(inner, part, (*path, i))
    elif isinstance(node, Scalar) and isinstance(node.value, str):
        choices = _choices(kind, node.value)
        if choices and node.value not in choices:
            name = dotted(path) or "the configuration"
            subject = "" if name == node.where else f"{name} "
            shown = "" if is_secret(path) else f", not {node.value!r}"
            hint = nearest(node.value, choices)
            raise ConfigError(
                f"{subject}must be one of {', '.join(choices)}{shown}{hint}", node.where
            )


def _fits(kind: inspect.Type, node: Node) -> bool:
    if isinstance(kind, inspect.Metadata):
        return _fits(kind.type, node)
    if isinstance(node, Table):
        if isinstance(kind, inspect.StructType) and kind.tag_field:
            return kind.tag == plain(node.items.get(kind.tag_field))
        return isinstance(kind, _TABLES)
    if isinstance(node, Array):
        return isinstance(kind, _ARRAYS)
    return not isinstance(kind, (*_TABLES, *_ARRAYS, inspect.NoneType))


def _check_table(kind: inspect.Type, node: Table, path: Path_) -> None:
    if isinstance(kind, inspect.DictType):
        for name, part in node.items.items():
            check(kind.value_type, part, below(path, name))
    elif isinstance(kind, _OBJECTS):
        fields = {field.encode_name: field.type for field in kind.fields}
        tag = {kind.tag_field} if isinstance(kind, inspect.StructType) else set()
        for name, part in node.items.items():
            if name in fields:
                check(fields[name], part, (*path, name))
            elif name not in tag:
                within = f" in {dotted(path)}" if path else ""
                hint = nearest(name, fields) or f"; valid: {', '.join(fields) or 'none'}"
                shown = "" if is_secret(path) else f" {name!r}"
                raise ConfigError(f"unknown key{shown}{within}{hint}", node.keys[name])


def _choices(kind: inspect.Type, value: str) -> list[str]:
    """Return the texts a type takes; nothing if it takes this one or is no set of choices."""
    choices: Iterable[object] = ()
    if isinstance(kind, inspect.LiteralType):
        choices = kind.values
    elif isinstance(kind, inspect.EnumType):
        with suppress(ValueError):
            kind.cls(value)
            return []
        choices = [member.value for member in kind.cls]
    return [choice for choice in choices if isinstance(choice, str)]


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the end of an error message that names the valid word most like a wrong one."""
    by_case = {each.lower(): each for each in valid}
    near = get_close_matches(name.lower(), by_case, n=1)
    return f"; did you mean {by_case[near[0]]!r}?" if near else ""
