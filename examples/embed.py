"""A shop with a chat inside: its own pages, its own sign-in, its own middleware.

    pip install . aiohttp-session
    python examples/embed.py --port 8080

Sign in, pay an order, and see it in the room "orders", which this page joins over the chat's
WebSocket. The chat has its own page at /chat/.
"""

import argparse
from secrets import token_bytes

import aiohttp_jinja2
import jinja2
from aiohttp import web
from aiohttp_session import get_session, session_middleware
from aiohttp_session.cookie_storage import EncryptedCookieStorage

import chatserver
from middlewares import refuse_foreign_forms

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>A shop</title>
{% if name %}
<p>Hello {{ name }}! In the room: {{ members | join(", ") or "nobody yet" }}.
<form method="post" action="/orders/7/pay"><button>Pay order 7</button></form>
<form method="post" action="/sign-out"><button>Sign out</button></form>
<p><a href="/chat/">Chat</a>
<ul id="events"></ul>
<script>
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/chat/ws");
  socket.onopen = () => socket.send(JSON.stringify({action: "join", room: "orders"}));
  socket.onmessage = ({data}) => {
    document.querySelector("#events").append(
      Object.assign(document.createElement("li"), {textContent: data}));
  };
</script>
{% else %}
<form method="post" action="/sign-in">
  <label>Your name <input name="name" required maxlength="64"></label> <button>Sign in</button>
</form>
{% endif %}
</html>
"""

CHAT = {
    "server": {"data_dir": "data/shop"},
    "middlewares": ["origin", "rate_limit", "auth", "size_limit"],
}
"""The chat's configuration, as config.yaml would have it; `auth` alone lets in only those whom
`customer` knows. Its data folder is not that of a server started here with `make run`."""

routes = web.RouteTableDef()


async def customer(request: web.Request) -> chatserver.Identity | None:
    """Tell the chat who connects; it asks before the upgrade, while there is still a request."""
    session = await get_session(request)
    name = session.get("name")
    if name is None:
        return None
    return chatserver.Identity(user=f"customer:{name}", name=name)


@routes.get("/")
@aiohttp_jinja2.template("page")
async def show(request: web.Request) -> dict[str, object]:
    """Show the shop, or the form to sign in."""
    session = await get_session(request)
    members = request.app[chatserver.CHAT].members("orders")
    return {"name": session.get("name"), "members": [member.username for member in members]}


@routes.post("/sign-in")
async def sign_in(request: web.Request) -> web.Response:
    """Believe the name; a real shop would ask for a password."""
    form = await request.post()
    try:
        name = chatserver.clean_name(str(form.get("name", "")))
    except chatserver.ActionError as error:
        raise web.HTTPBadRequest(text=f"{error.message}\n") from None
    session = await get_session(request)
    session["name"] = name
    raise web.HTTPSeeOther("/")


@routes.post("/sign-out")
async def sign_out(request: web.Request) -> web.Response:
    """End the session, and the chat connections that were opened in its name."""
    who = await signed_in(request)
    request.app[chatserver.CHAT].kick(who.user, reason="signed out")
    (await get_session(request)).invalidate()
    raise web.HTTPSeeOther("/")


@routes.post(r"/orders/{order:\d+}/pay")
async def pay(request: web.Request) -> web.Response:
    """Take the money and tell the room."""
    who = await signed_in(request)
    order = int(request.match_info["order"])
    await request.app[chatserver.CHAT].publish("orders", "order.paid", order=order, by=who.name)
    raise web.HTTPSeeOther("/")


async def signed_in(request: web.Request) -> chatserver.Identity:
    """Return who asks, or answer 403."""
    who = await customer(request)
    if who is None:
        raise web.HTTPForbidden(text="Sign in first\n")
    return who


def make_app() -> web.Application:
    """Make the shop, with the chat inside."""
    # A key of its own for each start signs everybody out at a restart; a real shop keeps one.
    sessions = EncryptedCookieStorage(token_bytes(32), samesite="Lax")
    app = web.Application(middlewares=[refuse_foreign_forms, session_middleware(sessions)])
    aiohttp_jinja2.setup(app, loader=jinja2.DictLoader({"page": PAGE}), autoescape=True)
    app.add_routes(routes)
    chatserver.setup(app, CHAT, prefix="/chat", identity=customer, pages=True)
    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A shop with a chat inside.")
    parser.add_argument("--port", type=int, default=8080)
    web.run_app(make_app(), host="localhost", port=parser.parse_args().port)
