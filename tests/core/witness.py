"""Watch a hub through the hooks of a plugin."""

from chatserver.extension import NoConfig
from chatserver.plugin import Plugin
from chatserver.session import Session, User


class Witness(Plugin[NoConfig]):
    """Write down the calls of all hooks, in a diary that several may share."""

    def __init__(self, diary: list[tuple[str, ...]], name: str = "witness") -> None:
        super().__init__(NoConfig())
        self.name = name
        self.diary = diary

    def on_connect(self, session: Session) -> None:
        self.diary.append((self.name, "connect", session.id))

    def on_disconnect(self, session: Session) -> None:
        self.diary.append((self.name, "disconnect", session.id, session.username))

    def on_join(self, session: Session, room: str) -> None:
        self.diary.append((self.name, "join", session.id, room))

    def on_leave(self, session: Session, room: str) -> None:
        self.diary.append((self.name, "leave", session.id, room))

    def on_rename(self, user: User, old: str) -> None:
        self.diary.append((self.name, "rename", old, str(user.name)))
