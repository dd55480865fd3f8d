"""Fill ``${VAR}`` references in configuration values from the environment."""

import re
from collections.abc import Mapping

from chatserver.errors import ConfigError

_REFERENCE = re.compile(
    r"\$\$\{"  # the escape
    r"|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::(?P<rule>[-?])(?P<word>(?:(?!\$\{)[^}])*))?\}"
    r"|\$\{"  # anything else that starts like a reference
)


def interpolate(text: str, env: Mapping[str, str], where: str) -> str:
    """Replace the references in one value; what comes in is not searched again.

    ``${VAR}`` must be set; ``${VAR:-default}`` and ``${VAR:?message}`` take an empty variable for
    an unset one; ``$${`` stands for a literal ``${``.

    Args:
        text: The value as written.
        env: Variables by name.
        where: The value's place, for errors.

    Raises:
        ConfigError: A variable is missing, or a reference is malformed or inside another one.
    """

    def fill(match: re.Match[str]) -> str:
        name, rule, word = match["name"], match["rule"], match["word"]
        if match[0] == "$${":
            return "${"
        if name is None:
            raise ConfigError(
                "cannot read a ${ in this value; write ${NAME}, ${NAME:-default} or "
                "${NAME:?message}, not one inside another, and $${ for a literal ${",
                where,
            )
        value = env.get(name)
        if value is not None and not is_unicode(value):
            raise ConfigError(f"the environment variable {name} is not valid UTF-8", where)
        if value or (value is not None and rule is None):
            return value
        if rule == "-":
            return str(word)
        hint = " ".join((word or "").split())
        hint = hint or f"set it, or give a default as in ${{{name}:-default}}"
        state = "not set" if value is None else "empty"
        raise ConfigError(f"the environment variable {name} is {state}: {hint}", where)

    return _REFERENCE.sub(fill, text)


def is_unicode(text: str) -> bool:
    """Tell whether a text has no lone surrogates, which stand for bytes that are not UTF-8."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)
