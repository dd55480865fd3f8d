"""The chat server of the guide's full example on `websockets`: the 1 of every ratio.

It does what the guide's server does, in the same order and with the same calls (`json`,
`websockets.broadcast`, local timestamps), on the default event loop.
"""

import asyncio
import json
import sys
from datetime import datetime

import websockets

ROOMS: dict[str, set[websockets.ServerConnection]] = {}
USER_NAMES: dict[websockets.ServerConnection, str] = {}


def now() -> str:
    """Return the local time as the guide writes it."""
    return datetime.now().isoformat()


def notification(text: str) -> str:
    """Build the event that tells a room who came or went."""
    return json.dumps({"action": "notification", "text": text, "timestamp": now()})


def leave(websocket: websockets.ServerConnection, username: str | None, room: str | None) -> None:
    """Forget a closed connection, tell its room, and drop the room when it is empty."""
    if room and room in ROOMS:
        ROOMS[room].discard(websocket)
        if ROOMS[room] and username:
            websockets.broadcast(ROOMS[room], notification(f"{username} left {room}"))
        if not ROOMS[room]:
            del ROOMS[room]
    USER_NAMES.pop(websocket, None)


async def handler(websocket: websockets.ServerConnection) -> None:
    """Serve one connection until it closes."""
    username: str | None = None
    room: str | None = None
    try:
        async for raw in websocket:
            data = json.loads(raw)
            action = data.get("action")
            if action == "register":
                username = str(data["username"])
                USER_NAMES[websocket] = username
                await websocket.send(json.dumps({"action": "registered", "username": username}))
            elif action == "join":
                if not username:
                    error = {"action": "error", "message": "Register first"}
                    await websocket.send(json.dumps(error))
                    continue
                room = str(data["room"])
                ROOMS.setdefault(room, set()).add(websocket)
                websockets.broadcast(ROOMS[room], notification(f"{username} joined {room}"))
            elif action == "message":
                if not room or room not in ROOMS:
                    continue
                outgoing = {
                    "action": "message",
                    "username": username or "anonymous",
                    "text": data.get("text", ""),
                    "room": room,
                    "timestamp": now(),
                }
                websockets.broadcast(ROOMS[room], json.dumps(outgoing))
            elif action == "list_rooms":
                rooms = {name: len(members) for name, members in ROOMS.items()}
                await websocket.send(json.dumps({"action": "room_list", "rooms": rooms}))
    finally:
        leave(websocket, username, room)


async def main(port: int) -> None:
    """Serve on loopback until the process is ended."""
    async with websockets.serve(handler, "127.0.0.1", port):
        await asyncio.Future()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
