"""The same chat on python-socketio's own rooms, on aiohttp and the default event loop.

Rooms do not announce who joins, unlike in the other servers: half a million such events for a room
of a thousand would cost this one half a minute before each run, outside of what is measured.
"""

import sys
from datetime import datetime

import socketio  # type: ignore[import-untyped]  # the package ships no type information
from aiohttp import web

SERVER = socketio.AsyncServer(async_mode="aiohttp")


async def register(sid: str, data: dict[str, str]) -> None:
    """Remember the name of a connection."""
    await SERVER.save_session(sid, {"username": data["username"]})
    await SERVER.emit("registered", {"username": data["username"]}, to=sid)


async def join(sid: str, data: dict[str, str]) -> None:
    """Enter a room; messages of this connection go there from now on."""
    room = data["room"]
    session = await SERVER.get_session(sid)
    await SERVER.save_session(sid, session | {"room": room})
    await SERVER.enter_room(sid, room)
    await SERVER.emit("joined", {"room": room}, to=sid)


async def message(sid: str, data: dict[str, str]) -> None:
    """Hand a message to everybody in the sender's room, the sender included."""
    session = await SERVER.get_session(sid)
    event = {
        "username": session["username"],
        "text": data["text"],
        "room": session["room"],
        "timestamp": datetime.now().isoformat(),
    }
    await SERVER.emit("message", event, room=session["room"])


def main(port: int) -> None:
    """Serve on loopback until the process is ended."""
    app = web.Application()
    SERVER.attach(app)
    SERVER.on("register", register)
    SERVER.on("join", join)
    SERVER.on("message", message)
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
