"""Read YAML into a tree that knows the line and column of each value.

It works on the parser's events: libyaml's own composer recurses in C without a bound.
"""

from collections.abc import Callable, Iterator, Mapping

import yaml
from yaml.constructor import SafeConstructor
from yaml.reader import Reader
from yaml.resolver import Resolver

from chatserver.config.interpolate import interpolate
from chatserver.config.tree import MAX_DEPTH, Array, Node, Path_, Scalar, Table, is_secret
from chatserver.errors import ConfigError

MAX_NODES = 100_000
"""Values in one document; an aliased value counts as often as it is used."""

_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_TAG = "tag:yaml.org,2002:"
_resolve: Callable[[type[yaml.Node], str, tuple[bool, bool]], str] = Resolver().resolve
_CONSTRUCTOR = SafeConstructor()
_BUILDERS = {
    "null": _CONSTRUCTOR.construct_yaml_null,
    "bool": _CONSTRUCTOR.construct_yaml_bool,
    "int": _CONSTRUCTOR.construct_yaml_int,
    "float": _CONSTRUCTOR.construct_yaml_float,
    "str": _CONSTRUCTOR.construct_yaml_str,
}
_MISFITS = (ValueError, LookupError, OverflowError)  # what the builders raise for `!!int x`, `0x_`


def compose(text: str, name: str, env: Mapping[str, str] | None) -> Node:
    """Make a tree of one YAML document; an empty one is an empty mapping.

    Args:
        text: YAML 1.1 as PyYAML reads it, except that dates stay strings.
        name: What places start with, such as the name of the file.
        env: Variables for ``${VAR}`` in values; None leaves values as they are.

    Raises:
        ConfigError: Not one document of valid YAML, a duplicate key or one that is no string, a
            tag of anything but plain data, a reference that cannot be filled, more than
            `MAX_NODES` values or `MAX_DEPTH` levels.
    """
    if bad := Reader.NON_PRINTABLE.search(text):
        line, before = text.count("\n", 0, bad.start()) + 1, text.rfind("\n", 0, bad.start())
        where = f"{name}:{line}:{bad.start() - before}"
        raise ConfigError(f"the character U+{ord(bad[0]):04X} may not stand in YAML", where)
    try:
        root = _Composer(yaml.parse(text, Loader=_LOADER), name, env).document()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, name) from None
    _check_size(root)
    return root


def scalar(text: str) -> object:
    """Read text without quotes as YAML does: null, boolean, number, else a string."""
    tag = str(_resolve(yaml.ScalarNode, text, (True, False))).removeprefix(_TAG)
    try:
        return _built(tag, text) if tag in _BUILDERS else text
    except _MISFITS:
        return text


def _built(tag: str, text: str) -> object:
    return _BUILDERS[tag](yaml.ScalarNode(tag, text))


def _where(name: str, mark: object) -> str:
    return f"{name}:{getattr(mark, 'line', 0) + 1}:{getattr(mark, 'column', 0) + 1}"


class _Composer:
    def __init__(
        self, events: Iterator[yaml.Event], name: str, env: Mapping[str, str] | None
    ) -> None:
        self._events = events
        self._name = name
        self._env = env
        self._anchors: dict[str | None, Node] = {}

    def document(self) -> Node:
        next(self._events)
        empty = Table(where=f"{self._name}:1:1", items={}, keys={})
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return empty
        root = self._node(next(self._parts()), ())
        next(self._events)
        if isinstance(event := next(self._events), yaml.DocumentStartEvent):
            raise self._error("a second document starts here; put everything into one", event)
        return empty if isinstance(root, Scalar) and root.value is None else root

    def _where(self, event: yaml.Event) -> str:
        return _where(self._name, event.start_mark)

    def _error(self, message: str, event: yaml.Event) -> ConfigError:
        return ConfigError(message, self._where(event))

    def _parts(self) -> Iterator[yaml.NodeEvent]:
        while isinstance(event := next(self._events), yaml.NodeEvent):
            yield event

    def _node(self, event: yaml.NodeEvent, path: Path_, where: str | None = None) -> Node:
        where = where or self._where(event)
        node: Node
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise self._error(
                    "this alias names no complete value above; put a text that starts with * in "
                    "quotes",
                    event,
                )
            return self._anchors[event.anchor]
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif len(path) >= MAX_DEPTH:
            raise self._error(f"nested more than {MAX_DEPTH} levels deep", event)
        elif isinstance(event, yaml.MappingStartEvent):
            self._check_tag(event, "map")
            node = self._table(path, where)
        else:
            self._check_tag(event, "seq")
            items = [self._node(part, (*path, i)) for i, part in enumerate(self._parts())]
            node = Array(where=where, items=items)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _check_tag(self, event: yaml.NodeEvent, *allowed: str) -> str:
        tag = str(getattr(event, "tag", None) or "!").removeprefix(_TAG)
        if tag not in ("!", *allowed):
            raise self._error(
                "this tag is not allowed here; put a text that starts with ! in quotes", event
            )
        return tag

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        where = self._where(event)
        text = event.value
        if self._env is not None:
            text = interpolate(text, self._env, where)
        if event.implicit[0]:
            written = None if text == event.value else text
            return Scalar(where=where, value=scalar(text), text=written)
        tag = self._check_tag(event, *_BUILDERS)
        try:
            return Scalar(where=where, value=text if tag == "!" else _built(tag, text))
        except _MISFITS:
            raise self._error(f"this is no {tag}, as its tag says", event) from None

    def _table(self, path: Path_, where: str) -> Table:
        items: dict[str, Node] = {}
        keys: dict[str, str] = {}
        merged: list[Table] = []
        parts = self._parts()
        for event in parts:
            if isinstance(event, yaml.ScalarEvent) and event.implicit[0] and event.value == "<<":
                merged += self._sources(next(parts), (*path, "<<"))
                continue
            name = self._key(event, path)
            if name in keys:
                which = "" if is_secret(path) else f" {name!r}"
                raise self._error(f"duplicate key{which}; the first is at {keys[name]}", event)
            keys[name] = self._where(event)
            items[name] = self._node(next(parts), (*path, name), keys[name])
        for table in merged:
            items, keys = table.items | items, table.keys | keys
        return Table(where=where, items=items, keys=keys)

    def _sources(self, event: yaml.NodeEvent, path: Path_) -> list[Table]:
        node = self._node(event, path)
        nodes = node.items if isinstance(node, Array) else [node]
        tables = [table for table in nodes if isinstance(table, Table)]
        if len(tables) < len(nodes):
            raise self._error("<< takes a mapping or a list of mappings", event)
        return tables

    def _key(self, event: yaml.NodeEvent, path: Path_) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise self._error("a key must be a string, not a list, mapping or alias", event)
        if not event.implicit[0]:
            self._check_tag(event, "str")
        elif not isinstance(value := scalar(event.value), str):
            kind = {bool: "true or false", type(None): "null"}.get(type(value), "a number")
            which = "this key" if is_secret(path) else f"the key {event.value!r}"
            raise self._error(f"YAML reads {which} as {kind}; put it in quotes", event)
        if event.anchor:
            self._anchors[event.anchor] = Scalar(where=self._where(event), value=event.value)
        return event.value


def _check_size(root: Node) -> None:
    left, stack = MAX_NODES, [(root, 0)]
    while stack:
        node, depth = stack.pop()
        left -= 1
        if left < 0:
            raise ConfigError(f"more than {MAX_NODES} values, aliases unfolded", node.where)
        if depth > MAX_DEPTH:
            raise ConfigError(f"aliases nest more than {MAX_DEPTH} levels deep", node.where)
        if isinstance(node, Table):
            stack += [(item, depth + 1) for item in node.items.values()]
        elif isinstance(node, Array):
            stack += [(item, depth + 1) for item in node.items]


def _syntax_error(error: yaml.MarkedYAMLError, text: str, name: str) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    line = "".join(text.splitlines()[mark.line : mark.line + 1]) if mark else ""
    hint = ""
    if mark and "\t" in line[: mark.column + 1]:
        hint = "; indent with spaces, not tabs"
    elif "${" in line:
        hint = "; inside braces and brackets put ${...} in quotes, or write one key per line"
    begin = error.context_mark
    within = ""
    if mark and begin and begin.line < mark.line:
        within = f" {error.context} that starts in line {begin.line + 1}"
    problem = " ".join(f"{error.problem}{within}".split())
    return ConfigError(f"not valid YAML: {problem}{hint}", _where(name, mark))
