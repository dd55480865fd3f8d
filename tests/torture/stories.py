"""Write small stories for the checker: what clients sent and got, and what the log has."""

import itertools
from dataclasses import replace

from tests.torture.checker import check
from tests.torture.checker.journals import KINDS, Entry, Frame, Journal, Way, number, text
from tests.torture.checker.streams import Row, Stream
from tests.torture.checker.violations import Rule

ROOM = "lobby"
EPOCH = "e1"
TIME = "2026-11-25T21:07:27.000Z"


def event(cid: str, **fields: object) -> Frame:
    """Return a message; its cid begins with its author's name."""
    user = cid.partition(".")[0]
    shown = {"action": "message", "room": ROOM, "text": f"I am {cid}", "timestamp": TIME}
    return {**shown, "sender": user, "username": user, "cid": cid, **fields}


def change(cid: str, target: int, kind: str, **fields: object) -> Frame:
    """Return an event that changes a message."""
    shown = event(cid, action=kind, target=target)
    del shown["text"]
    return {**shown, **fields}


def log(*cids: str, **fields: object) -> Stream:
    """Return a log of messages."""
    return log_of(*(event(cid, **fields) for cid in cids))


def log_of(*events: Frame) -> Stream:
    """Return a log of events."""
    rows = [
        Row(offset, text(each, "sender"), text(each, "cid"), target(each), each, 100, TIME)
        for offset, each in enumerate(events, 1)
    ]
    return Stream(ROOM, EPOCH, tuple(rows))


def target(frame: Frame) -> int | None:
    """Return what an event changes."""
    return number(frame, "target") if "target" in frame else None


def erased(stream: Stream, *offsets: int) -> Stream:
    """Return a log in which nothing stands any longer at these places."""
    rows = [
        replace(row, event={}, size=0, gone=True) if row.offset in offsets else row
        for row in stream.rows
    ]
    return replace(stream, rows=tuple(rows))


def live(*cids: str, first: int = 1) -> list[Frame]:
    """Return messages as they come live."""
    return [event(cid, offset=offset) for offset, cid in enumerate(cids, first)]


def say(cid: str, **fields: object) -> Frame:
    """Return a request to say something; its id is its cid."""
    asked = {"action": "message", "id": cid, "room": ROOM, "cid": cid, "text": f"I am {cid}"}
    return {**asked, **fields}


def asking(change: Frame) -> Frame:
    """Return the request that made a change; its id is its cid."""
    kinds = {kind: action for action, kind in KINDS.items()}
    given: Frame = {name: change[name] for name in ("text", "emoji", "remove") if name in change}
    action, cid = kinds[text(change, "action")], change["cid"]
    told: Frame = {"action": action, "id": cid, "room": ROOM, "cid": cid}
    return {**told, "offset": change["target"], **given}


def sent(cid: str, offset: int, **fields: object) -> Frame:
    """Return an acknowledgement."""
    told = {"action": "sent", "id": cid, "room": ROOM, "cid": cid, "timestamp": TIME}
    return {**told, "offset": offset, "epoch": EPOCH, **fields}


def join(**fields: object) -> Frame:
    """Return a request to join."""
    return {"action": "join", "id": "join", "room": ROOM, **fields}


def since(offset: int, epoch: str = EPOCH) -> Frame:
    """Return a request to join from a position on."""
    return join(since={"offset": offset, "epoch": epoch})


def joined(offset: int, *messages: Frame, **fields: object) -> Frame:
    """Return the reply to that."""
    told = {"action": "joined", "id": "join", "room": ROOM, "members": 1, "epoch": EPOCH}
    return {**told, "offset": offset, "messages": list(messages), **fields}


def page(top: int, *messages: Frame, **fields: object) -> Frame:
    """Return a page of history; there is more where `next` is given."""
    told: Frame = {"action": "history", "id": "page", "room": ROOM, "epoch": EPOCH, "oldest": 1}
    return {**told, "offset": top, "messages": [*messages], "more": "next" in fields, **fields}


def ask(**fields: object) -> Frame:
    """Return a request for a page."""
    return {"action": "history", "id": "page", "room": ROOM, **fields}


CLOCK = itertools.count(1)


def journal(client: str, *frames: Frame) -> Journal:
    """Return the journal of one connection."""
    entries = [Entry(next(CLOCK), 1, way(frame), frame) for frame in frames]
    return Journal(client, client, entries)


def way(frame: Frame) -> Way:
    """Tell requests from events and pages of the same name."""
    asks = frame["action"] in (*KINDS, "join", "history")
    return Way.SENT if asks and not {"sender", "messages"} & frame.keys() else Way.GOT


def writes(*cids: str) -> Journal:
    """Return the journal of somebody who was told nothing yet."""
    return journal(cids[0].partition(".")[0], *map(say, cids))


MODERATOR = "eve"


def found(stream: Stream, *journals: Journal) -> set[Rule]:
    return {each.rule for each in check(journals, {ROOM: stream}, {MODERATOR})}
