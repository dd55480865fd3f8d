"""Sign and check the tokens by which guests keep their user id."""

import hashlib
import hmac
import os
from pathlib import Path
from secrets import token_bytes
from typing import Final

KEY_FILE: Final = "guest.key"
KEY_SIZE: Final = 32


class GuestTokens:
    """Make tokens of the form ``<user id>.<HMAC-SHA256>``; they stay valid with the key.

    Args:
        key: 32 random bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, user: str) -> str:
        """Return the token of a guest's user id."""
        return f"{user}.{self._mac(user)}"

    def verify(self, token: str) -> str | None:
        """Return the user id a token was made for, or None if this server did not make it."""
        user, _, mac = token.rpartition(".")
        genuine = hmac.compare_digest(mac.encode(), self._mac(user).encode())
        return user if genuine else None

    def _mac(self, user: str) -> str:
        return hmac.new(self._key, user.encode(), hashlib.sha256).hexdigest()


def load_key(folder: Path) -> bytes:
    """Return the key kept in a folder; the first time make one, readable by its owner only.

    Raises:
        OSError: The folder cannot be written to or the key not be read.
        ValueError: The file holds something else.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / KEY_FILE
    fresh = folder / f".{KEY_FILE}.{os.getpid()}"
    if not file.exists():
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(token_bytes(KEY_SIZE))
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(fresh, file)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    key = file.read_bytes()
    if len(key) != KEY_SIZE:
        raise ValueError(f"{file} does not hold {KEY_SIZE} bytes; delete it to have a new one made")
    return key
