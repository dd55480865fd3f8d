"""Hold the configuration as types; config.yaml in the project's root documents each option."""

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from chatserver.publications import Durability

Seconds = Annotated[float, Meta(gt=0, le=86400)]
Bytes = Annotated[int, Meta(ge=1024, le=2**30)]
Count = Annotated[int, Meta(ge=1, le=10**9)]
Port = Annotated[int, Meta(ge=0, le=65535)]

DEFAULT_MIDDLEWARES: list[str | dict[str, dict[str, object] | None]] = [
    "origin",
    "rate_limit",
    {"auth": {"anonymous": True}},
    "size_limit",
]
"""What stands before the actions when the configuration says nothing."""

DEFAULT_PLUGINS = (
    "rooms",
    "chat",
    "direct",
    "history",
    "changes",
    "search",
    "cursors",
    "ping",
    "echo",
    "typing",
    "presence",
)
"""Plugins that are on unless the configuration turns them off with ``name: false``."""


class Tls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Serve TLS with a certificate chain and its key, both PEM files; read again on SIGHUP."""

    certificate: str
    key: str


class ServerConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say where to listen and how the process behaves."""

    host: str | list[str] = "localhost"
    port: Port = 8765
    unix: str | None = None
    tls: Tls | None = None
    trusted_proxies: list[str] = []
    data_dir: str = "data"
    loop: Literal["auto", "asyncio", "uvloop"] = "auto"
    backlog: Count = 1024
    request_timeout: Seconds = 15
    shutdown_grace: Seconds = 15
    max_connections: Count = 10_000
    max_connections_per_user: Count = 100
    console: bool = True


class PlainText(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take frames that are no JSON object for an action with a `text` field."""

    action: str = "echo"
    prefix: str = ""


class ChatConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how the chat behaves towards its users."""

    require_username: bool = True
    unique_names: bool = True
    single_room: bool = False
    default_room: str = "default"
    max_rooms: Count = 100
    plain_text: PlainText | None = None


class LimitsConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bound what one connection can cost; every queue has its verdict in docs/message_path.md."""

    max_frame_out: Bytes = 512 * 1024
    max_bad_frames: Count = 20
    max_in_flight: Count = 64
    ping_interval: Seconds = 20
    ping_timeout: Seconds = 10
    action_timeout: Seconds = 10
    name_timeout: Seconds = 2
    slow_soft: Bytes = 256 * 1024
    slow_hard: Bytes = 1024 * 1024
    slow_timeout: Seconds = 10
    recovery_limit: Count = 300
    recovery_bytes: Bytes = 384 * 1024


class Anybody(StrEnum):
    """Stand for users that nobody can list; guests are no `USERS`."""

    EVERYONE = "everyone"
    USERS = "users"
    NOBODY = "nobody"


Who = list[str] | Anybody | None
"""User ids, or a word for them; None leaves it to each user's own rights."""


class RoomConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say how the rooms whose names match keep their histories, and who may do what there.

    Attributes:
        match: A room name; ``*`` stands for any number of characters.
        durability: What the acknowledgement of a message promises.
        length: Messages kept at least; None keeps all.
        age: Seconds a message is kept at least; None keeps it for ever. Not for rooms in memory.
        recovery_limit: Missed messages that `join` brings at once; None takes `limits`'.
        recovery_bytes: Bytes of them; None takes `limits`'.
        join: Who may join, of those whose own rights allow it.
        read: Who may read, of those whose own rights allow it.
        write: Who may write, of those whose own rights allow it.
        moderate: Who may moderate, beside those whose own rights allow it.
    """

    match: Annotated[str, Meta(min_length=1)]
    durability: Durability = Durability.FULL
    length: Count | None = None
    age: Annotated[float, Meta(gt=0, le=10**9)] | None = None
    recovery_limit: Count | None = None
    recovery_bytes: Bytes | None = None
    join: Who = None
    read: Who = None
    write: Who = None
    moderate: Who = None

    def __post_init__(self) -> None:
        """Refuse what would not be kept to."""
        if self.age is not None and self.durability is Durability.MEMORY:
            raise ValueError(
                "rooms of durability `memory` are trimmed by length, not by age; give a `length`"
                " instead of `age`, or another durability"
            )


class StoreConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bound what users can have stored; None is no bound.

    Attributes:
        max_rooms: Rooms with a history.
        max_rooms_per_user: Those of them that one user's messages have made.
        max_store_bytes: Bytes of the store's file that are in use.
        max_memory_bytes: Bytes that rooms of durability `memory` take; at least a mebibyte.
    """

    max_rooms: Count | None = 100_000
    max_rooms_per_user: Count | None = 1000
    max_store_bytes: Annotated[int, Meta(ge=2**20)] | None = 16 * 2**30
    max_memory_bytes: Annotated[int, Meta(ge=2**20)] | None = 256 * 2**20


class LogConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Say what is logged, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "human", "json"] = "auto"
    access: bool = False


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hold the whole configuration.

    `middlewares` and `plugins` are raw here: each extension's part is converted into its own
    `Config` type when the extension is loaded.
    """

    server: ServerConfig = ServerConfig()
    chat: ChatConfig = ChatConfig()
    limits: LimitsConfig = LimitsConfig()
    log: LogConfig = LogConfig()
    broker: str = "embedded"
    store: StoreConfig = StoreConfig()
    rooms: list[RoomConfig] = []
    middlewares: list[str | dict[str, dict[str, object] | None]] = field(
        default_factory=DEFAULT_MIDDLEWARES.copy
    )
    plugins: dict[str, dict[str, object] | bool | None] = {}
