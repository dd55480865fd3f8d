"""Check the names of users and rooms.

A name is shown to other people, so it must look like what it is: Unicode compatibility forms are
folded (NFKC), and characters that are invisible, reorder text or mean nothing are refused.
"""

import re
import unicodedata

from chatserver.errors import ActionError, ErrorCode

MAX_NAME = 64
"""Code points a name may have, after normalisation."""

MAX_USER_ID = 255
"""Characters a user id may have."""

_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

# What is left of spaces after NFKC; several look like one.
_SPACES = re.compile("[ \u1680]+")

# Letters, marks and symbols that render as nothing (Unicode's Default_Ignorable_Code_Point beyond
# category Cf, and the blank braille pattern).
_INVISIBLE = frozenset(
    {
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    }
)


def clean_name(name: str, what: str = "name", field: str | None = None) -> str:
    """Return the normalised form of a name.

    Args:
        name: What the client sent.
        what: How the error calls it: ``username`` or ``room``.
        field: JSON path for the error.

    Raises:
        ActionError: ``bad_name`` with what is wrong.
    """
    if len(name) > 4 * MAX_NAME:
        raise _bad(f"The {what} is longer than {MAX_NAME} characters", field)
    clean = _SPACES.sub(" ", unicodedata.normalize("NFKC", name)).strip()
    if not clean:
        raise _bad(f"The {what} must not be empty", field)
    if len(clean) > MAX_NAME:
        raise _bad(f"The {what} is longer than {MAX_NAME} characters", field)
    if clean.isascii() and clean.isprintable():
        return clean
    for char in clean:
        if unicodedata.category(char) in _REFUSED_CATEGORIES or ord(char) in _INVISIBLE:
            raise _bad(
                f"The {what} contains U+{ord(char):04X}, a control, invisible or unassigned"
                " character",
                field,
            )
    return clean


def fold(name: str) -> str:
    """Return the form by which user names are compared (Unicode, D145: decomposed, then folded)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFD", name).casefold())


def _bad(message: str, field: str | None) -> ActionError:
    return ActionError(ErrorCode.BAD_NAME, message, field=field)
