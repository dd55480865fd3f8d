"""Lay environment variables over a configuration: ``CHATSERVER_SERVER__PORT=9000``."""

import re
from collections.abc import Mapping

from chatserver.config.compose import compose, scalar
from chatserver.config.document import Document
from chatserver.config.interpolate import is_unicode
from chatserver.config.tree import plain
from chatserver.errors import ConfigError

PREFIX = "CHATSERVER_"

# Kubernetes sets these for a service that is named chatserver.
_KUBERNETES = re.compile(
    r"SERVICE_HOST=|SERVICE_PORT(_\w+)?=|PORT=\w+://|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?="
)


def apply_environment(document: Document, env: Mapping[str, str]) -> Document:
    """Return the document with the variables that start with `PREFIX` laid over it.

    Two underscores part the steps of a key path; letters are lowered. A value that starts like a
    YAML mapping, list or quoted string and is one is read as that. Any other is read like text
    without quotes in the file, and stays text where the configuration wants a string. ``${VAR}``
    is not filled in. Variables that Kubernetes sets for a service of this name are left out.

    Raises:
        ConfigError: A variable names no key, one below a plain value, or is not UTF-8. Unknown keys
            are found by `Document.convert`.
    """
    found = [
        (tuple(name.removeprefix(PREFIX).lower().split("__")), name, text.strip())
        for name, text in env.items()
        if name.startswith(PREFIX) and not _KUBERNETES.match(f"{name[len(PREFIX) :]}={text}")
    ]
    for path, name, text in sorted(found):  # a whole section before its parts
        if "" in path:
            raise ConfigError(f"this names no key; write {PREFIX}SECTION__KEY or unset it", name)
        if not is_unicode(text):
            raise ConfigError("the value is not valid UTF-8", name)
        document = document.overlay(path, _value(text), name, text)
    return document


def _value(text: str) -> object:
    if text.startswith(("{", "[", '"', "'")):
        try:
            return plain(compose(text, "", None))
        except ConfigError:
            return text
    return scalar(text)
