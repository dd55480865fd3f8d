"""Bring file, environment and flags together: flag > environment > file > default."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from chatserver.config import DEFAULT_MIDDLEWARES, Config
from chatserver.config.document import Document
from chatserver.config.overrides import apply_environment


class Settings:
    """Hold the typed configuration together with the document it came from.

    Args:
        document: The plain data, which knows where each value stands.

    Attributes:
        config: The typed configuration.

    Raises:
        ConfigError: A value is missing, unknown or of the wrong type.
    """

    def __init__(self, document: Document) -> None:
        if document.at(("middlewares",)) is None:
            document = document.overlay(("middlewares",), DEFAULT_MIDDLEWARES, "default")
        self.document = document
        self.config = document.convert((), Config)

    @classmethod
    def from_data(cls, data: Mapping[str, object]) -> "Settings":
        """Build from plain data, as an embedding app has it."""
        return cls(Document.from_data(data))

    @classmethod
    def load(
        cls,
        file: Path | None = None,
        env: Mapping[str, str] = os.environ,
        flags: Mapping[str, object] | None = None,
    ) -> "Settings":
        """Read a file, if there is one, and lay environment and flags over it.

        Args:
            file: A YAML file; None for the built-in defaults.
            env: Environment variables, for ``CHATSERVER_…`` and for ``${VAR}`` in values.
            flags: Dotted keys and values from the command line.
        """
        document = Document.read(file, env) if file else Document.from_data({})
        document = apply_environment(document, env)
        for key, value in (flags or {}).items():
            document = document.overlay(tuple(key.split(".")), value, f"--{key.rpartition('.')[2]}")
        return cls(document)

    def where(self, path: str | tuple[str | int, ...]) -> str:
        """Return the place of a value, such as ``config.yaml:12:5``."""
        return self.document.where((path,) if isinstance(path, str) else path)

    def path(self, value: str) -> Path:
        """Return a file named in the configuration; relative ones lie beside the file."""
        return self.document.base_dir / Path(value).expanduser()


def settings_of(source: "Settings | Config | Mapping[str, object] | str | Path | None") -> Settings:
    """Return settings from whatever an embedding app has: a file, plain data or typed sections."""
    if isinstance(source, Settings):
        return source
    if isinstance(source, str | Path):
        return Settings.load(Path(source), env=os.environ)
    if isinstance(source, Config):
        data = msgspec.to_builtins(source)
        return Settings.from_data({key: value for key, value in data.items() if value is not None})
    return Settings.from_data(source or {})
