"""Follow a room through every interruption: ``python resilient.py [URL] [ROOM]``.

The guide's client of this name connects again without a pause, as fast as it can, when the server
closes the connection in good order. This one waits as long as the server says, or a random time
that grows; it reads what was missed, and it stops where the server does not want it back.
"""

import argparse
import asyncio
import sys

from chatserver.client import (
    ChatClient,
    ChatError,
    Gap,
    Message,
    Offline,
    Online,
    Recovered,
    Room,
    connect,
)


async def show_connection(chat: ChatClient) -> None:
    """Print when there is a connection and when there is none."""
    async for event in chat:
        match event:
            case Online():
                print("Connected")
            case Offline():
                print(f"{event.reason}. Connecting again in {event.wait:.1f} seconds...")


async def show_room(room: Room) -> None:
    """Print what is said, and what cannot be known."""
    async for event in room:
        match event:
            case Message():
                print(f"Received: [{event.room}] {event.username}: {event.text}")
            case Recovered():
                print(f"{event.missed} missed")
            case Gap():
                print(f"Something may be missing here ({event.reason})")


async def follow(url: str, name: str) -> None:
    """Stay in a room until the server ends the conversation."""
    async with connect(url, username="resilient") as chat, asyncio.TaskGroup() as group:
        group.create_task(show_connection(chat))
        group.create_task(show_room(chat.join(name, last=10)))


def main() -> None:
    """Run until Ctrl-C, or until there is no use in going on."""
    parser = argparse.ArgumentParser(description="Follow a room of a chat.")
    parser.add_argument("url", nargs="?", default="ws://localhost:8765/ws")
    parser.add_argument("room", nargs="?", default="lobby")
    arguments = parser.parse_args()
    try:
        asyncio.run(follow(arguments.url, arguments.room))
    except* ChatError as group:
        sys.exit(str(group.exceptions[0]))
    except* KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
