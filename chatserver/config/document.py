"""Read a configuration and keep in mind where each of its values stands."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self, TypeVar

from chatserver.config.compose import compose
from chatserver.config.convert import convert
from chatserver.config.tree import (
    Node,
    Path_,
    Table,
    dotted,
    find,
    grow,
    is_null,
    key_where,
    place,
    plain,
)
from chatserver.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class Document:
    """A configuration as plain data, knowing where in its file each value stands.

    Attributes:
        root: The values with their places.
        base_dir: Directory of the file, for relative paths in it; without a file the working one.
    """

    root: Table
    base_dir: Path = field(default_factory=Path.cwd)

    @classmethod
    def read(cls, file: Path, env: Mapping[str, str]) -> Self:
        """Read a YAML file in UTF-8.

        Args:
            file: The file, named in errors as it is given here.
            env: Variables for ``${VAR}`` in values.

        Raises:
            ConfigError: The file cannot be read, or see `parse`.
        """
        try:
            data = file.read_bytes()
            text = data.decode()
        except OSError as error:
            raise ConfigError(f"cannot be read: {error.strerror}", str(file)) from None
        except UnicodeDecodeError as error:
            before = data[: error.start].decode().split("\n")
            where = f"{file}:{len(before)}:{len(before[-1]) + 1}"
            raise ConfigError("not UTF-8 from here on; save the file as UTF-8", where) from None
        return cls.parse(text, str(file), env, file.absolute().parent)

    @classmethod
    def parse(
        cls, text: str, name: str, env: Mapping[str, str], base_dir: Path | None = None
    ) -> Self:
        """Read YAML; `name` stands for the file in errors.

        Raises:
            ConfigError: The text is not one mapping of plain data with unique string keys, within
                `compose.MAX_NODES` and `tree.MAX_DEPTH`, or a reference in it cannot be filled.
        """
        return cls(_top(compose(text, name, env)), base_dir or Path.cwd())

    @classmethod
    def from_data(cls, data: Mapping[str, object]) -> Self:
        """Take a program's own data; errors then name key paths only, ``${VAR}`` stays as it is.

        Raises:
            ConfigError: A key is no string, or the data is nested too deeply.
        """
        return cls(_top(grow(data)))

    @property
    def data(self) -> dict[str, object]:
        """A copy of all values."""
        return {name: plain(part) for name, part in self.root.items.items()}

    def overlay(
        self, path: Path_, value: object, origin: str, text: str | None = None
    ) -> "Document":
        """Return the document with one value set; mappings on the way are made.

        Args:
            path: Where; in a list a step is an existing index.
            value: Plain data, replaces what was there.
            origin: Where the value comes from, such as ``--port``; errors below `path` name it.
            text: What was given when `value` is only one reading of it; it serves where a string
                is wanted.

        Raises:
            ConfigError: There is no such place, or the data is nested too deeply.
        """
        new = replace(grow(value, path, origin), text=text)
        return replace(self, root=_top(place(self.root, path, new)))

    def at(self, path: Path_) -> object | None:
        """Return a copy of the part at a path, None if there is none."""
        return plain(find(self.root, path))

    def where(self, path: Path_, *, key: bool = False) -> str:
        """Tell where a part stands: ``config.yaml:12:5``, its origin, or its path without a file.

        A mapping or list stands where its key does. For a part that is missing it is the place of
        the nearest part around it.

        Args:
            path: The part.
            key: Tell the place of its key instead of its value's.
        """
        node: Node = self.root
        for i, step in enumerate(path):
            part = find(node, (step,))
            if part is None:
                return dotted(path) if node.where == dotted(path[:i]) else node.where
            node = part
        return key_where(self.root, path) if key else node.where

    def convert(self, path: Path_, type_: type[T], *, ignore: Collection[str] = ()) -> T:
        """Make an object of a type from the part at a path; missing or null counts as ``{}``.

        Args:
            path: The part.
            type_: A Struct, dataclass, TypedDict or anything else that msgspec converts to. Unknown
                keys are errors in all of them.
            ignore: Keys of the part that are not the type's business.

        Raises:
            ConfigError: The part does not fit; it names the place, the path and what is valid, but
                no value below a key that sounds like a secret.
        """
        node = find(self.root, path)
        if node is None or is_null(node):
            node = Table(where=self.where(path), items={}, keys={})
        if isinstance(node, Table):
            kept = {name: part for name, part in node.items.items() if name not in ignore}
            node = replace(node, items=kept)
        return convert(node, path, type_)


def _top(node: Node) -> Table:
    if isinstance(node, Table):
        return node
    raise ConfigError("the top level must be a mapping, such as `server: {port: 8765}`", node.where)
