"""Keep the connected users and who holds which display name."""

from secrets import token_hex

from chatserver.errors import ActionError, ErrorCode
from chatserver.names import clean_name, fold
from chatserver.session import GUEST_PREFIX, Identity, Session, User


class Users:
    """Index users by id and by folded name; a user exists while it has a session.

    Names that users choose are unique among them. A name from an identity is given without asking:
    two identities may carry the same one, and a guest who had chosen it is renamed.

    Args:
        unique: Whether chosen names are unique at all.
    """

    def __init__(self, *, unique: bool) -> None:
        self._unique = unique
        self._by_id: dict[str, User] = {}
        self._by_name: dict[str, dict[User, None]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, id: str) -> User | None:
        """Return a connected user by id."""
        return self._by_id.get(id)

    def attach(self, session: Session) -> list[tuple[User, str]]:
        """Count a session in; return the guests who lost their name to it, with that name."""
        user = self._by_id.setdefault(session.identity.user, session.user)
        session.user = user
        user.sessions[session] = None
        return self._give_fixed(user, session.identity)

    def detach(self, session: Session) -> None:
        """Count a session out; the last one frees the user's name."""
        user = session.user
        user.sessions.pop(session, None)
        if not user.sessions and self._by_id.get(user.id) is user:
            del self._by_id[user.id]
            self._release(user)

    def check(self, session: Session, name: str) -> str:
        """Return the normalised name, if the session's identity may take it at all.

        Raises:
            ActionError: ``bad_name``, or ``forbidden`` for an identity with a fixed name.
        """
        clean = clean_name(name, "username", "$.username")
        identity = session.identity
        if identity.name is not None and not identity.allow_rename and clean != session.user.name:
            raise ActionError(
                ErrorCode.FORBIDDEN, f"Your name is {session.username}; it is set by your sign-in"
            )
        return clean

    def holders(self, name: str, user: User) -> list[User]:
        """Return the other users who hold a name."""
        if not self._unique:
            return []
        return [holder for holder in self._by_name.get(fold(name), ()) if holder is not user]

    def give(self, user: User, name: str) -> str | None:
        """Give a name to a user; return the one it had before."""
        old = user.name
        self._release(user)
        user.name = name
        self._by_name.setdefault(fold(name), {})[user] = None
        return old

    def _release(self, user: User) -> None:
        if user.name is None:
            return
        key = fold(user.name)
        holders = self._by_name.get(key, {})
        holders.pop(user, None)
        if not holders:
            self._by_name.pop(key, None)

    def _give_fixed(self, user: User, identity: Identity) -> list[tuple[User, str]]:
        if identity.name is None or user.name is not None:
            return []
        name = clean_name(identity.name, "username")
        moved: list[tuple[User, str]] = []
        for holder in self.holders(name, user):
            if holder.id.startswith(GUEST_PREFIX):
                old = self.give(holder, f"{name[:59]}-{token_hex(2)}")
                moved.append((holder, old or name))
        self.give(user, name)
        return moved
