"""The chat most people would write on bare aiohttp: one awaited send for each member.

The same protocol as the guide's server, on the default event loop.
"""

import json
import sys
from datetime import datetime

from aiohttp import WSMsgType, web

ROOMS: dict[str, set[web.WebSocketResponse]] = {}


async def broadcast(room: str, event: dict[str, str]) -> None:
    """Send one event to the members of a room, one after another."""
    text = json.dumps(event | {"timestamp": datetime.now().isoformat()})
    for member in tuple(ROOMS.get(room, ())):
        if not member.closed:
            await member.send_str(text)


async def endpoint(request: web.Request) -> web.WebSocketResponse:
    """Serve one connection until it closes."""
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    username, room = "anonymous", ""
    try:
        async for received in websocket:
            if received.type is not WSMsgType.TEXT:
                continue
            data = json.loads(received.data)
            action = data.get("action")
            if action == "register":
                username = str(data["username"])
                await websocket.send_str(json.dumps({"action": "registered", "username": username}))
            elif action == "join":
                room = str(data["room"])
                ROOMS.setdefault(room, set()).add(websocket)
                joined = {"action": "notification", "text": f"{username} joined {room}"}
                await broadcast(room, joined)
            elif action == "message":
                text = str(data.get("text", ""))
                event = {"action": "message", "username": username, "text": text, "room": room}
                await broadcast(room, event)
    finally:
        if members := ROOMS.get(room):
            members.discard(websocket)
            if not members:
                del ROOMS[room]
    return websocket


def main(port: int) -> None:
    """Serve on loopback until the process is ended."""
    app = web.Application()
    app.router.add_get("/", endpoint)
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
