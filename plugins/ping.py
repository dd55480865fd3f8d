"""Greet connections and answer application pings."""

from typing import Annotated

from msgspec import Meta, Raw, Struct

from chatserver import (
    ActionError,
    ConfigError,
    Context,
    ErrorCode,
    Hub,
    Identity,
    NoConfig,
    Outcome,
    Plugin,
    Reply,
    __version__,
    action,
)

from .guests import GuestTokens, load_key


class Hello(Struct, frozen=True):
    """Ask for the welcome; a guest token brings back the id of an earlier visit."""

    guest_token: Annotated[str, Meta(max_length=200)] | None = None


class Ping(Struct, frozen=True):
    """Ask for a pong; the timestamp comes back as it was sent."""

    timestamp: Raw = Raw(b"null")


class PingPlugin(Plugin[NoConfig]):
    """Offer `hello` and `ping`."""

    async def startup(self, hub: Hub) -> None:
        """Load the key that guest tokens are signed with."""
        folder = hub.data_dir
        try:
            self._guests = GuestTokens(load_key(folder))
        except ValueError as error:
            raise ConfigError(str(error)) from error
        except OSError as error:
            raise ConfigError(
                f"the key for guest tokens cannot be kept in {folder}: {error.strerror};"
                " set server.data_dir to a folder that can be written to"
            ) from error

    @action("hello")
    async def hello(self, ctx: Context, msg: Hello) -> Outcome:
        """Tell the client who it is and what the limits are."""
        session, config = ctx.session, ctx.hub.config
        if msg.guest_token is not None and session.identity.guest:
            self._resume(ctx, msg.guest_token)
        fields: dict[str, object] = {
            "session": session.id,
            "user": session.user.id,
            "server": "chatserver",
            "version": __version__,
            "limits": {
                "max_message_size": session.max_message_size,
                "max_frame_out": config.limits.max_frame_out,
                "max_rooms": 1 if config.chat.single_room else config.chat.max_rooms,
                "max_in_flight": config.limits.max_in_flight,
            },
            "ping_interval": _plain(config.limits.ping_interval),
            "time": ctx.hub.timestamp(),
        }
        if session.user.name is not None:
            fields["username"] = session.user.name
        if session.identity.guest:
            fields["guest_token"] = self._guests.sign(session.user.id)
            session.user.lasting = True
        return Reply("welcome", **fields)

    @action("ping")
    async def ping(self, ctx: Context, msg: Ping) -> Outcome:
        """Answer with the client's own timestamp and the server's time."""
        return Reply("pong", timestamp=msg.timestamp, time=ctx.hub.timestamp())

    def _resume(self, ctx: Context, token: str) -> None:
        user = self._guests.verify(token)
        if user is None:
            raise ActionError(
                ErrorCode.UNAUTHORIZED,
                "This guest token is not from this server; say hello without it",
                field="$.guest_token",
            )
        if user == ctx.session.user.id:
            return
        if ctx.session.greeted:
            raise ActionError(
                ErrorCode.CONFLICT, "A guest token is taken in the first message only"
            )
        ctx.hub.identify(ctx.session, Identity(user=user, guest=True))


def _plain(seconds: float) -> float:
    return int(seconds) if seconds == int(seconds) else seconds
