"""Answer the guide's little protocols: echo, chat, broadcast."""

from msgspec import Struct

from chatserver import ActionError, Context, ErrorCode, Outcome, Plugin, Reply, action


class EchoConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Configure the echo plugin.

    Attributes:
        broadcast: Whether anybody may send a text to every connection with `broadcast`.
    """

    broadcast: bool = False


class Echo(Struct, frozen=True):
    """Ask for a text back."""

    text: str = ""


class Chat(Struct, frozen=True):
    """Ask for a text back, with a name on it."""

    user: str | None = None
    text: str = ""


class EchoPlugin(Plugin[EchoConfig]):
    """Offer `echo`, `chat` and, where it is allowed, `broadcast`."""

    Config = EchoConfig

    @action("echo")
    async def echo(self, ctx: Context, msg: Echo) -> Outcome:
        """Send the text back."""
        return Reply("echo", text=msg.text)

    @action("chat")
    async def chat(self, ctx: Context, msg: Chat) -> Outcome:
        """Send the text back with the sender's name; a registered name cannot be made up."""
        user = ctx.session.user.name or msg.user or ctx.session.username
        return Reply("chat", user=user, text=msg.text)

    @action("broadcast")
    async def broadcast(self, ctx: Context, msg: Echo) -> Outcome:
        """Hand the text, unchanged and as plain text, to every connection."""
        if not self.config.broadcast:
            raise ActionError(
                ErrorCode.FORBIDDEN, "broadcast is off; the server's configuration can turn it on"
            )
        ctx.hub.broadcast(msg.text)
        return None
