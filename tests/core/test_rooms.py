"""Membership is kept in step in both directions, checked against a model."""

import gc
import weakref

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chatserver.rooms import Room, RoomTable

MEMBERS = st.sampled_from(["ann", "bob", "cat"])
ROOMS = st.sampled_from(["lobby", "tea", "work"])


def write(frames: bytes, essential: bytes | None) -> None:
    """Be a member that reads nothing."""


class Membership(RuleBasedStateMachine):
    """Compare the table with a plain list of (member, room), in the order of joining."""

    def __init__(self) -> None:
        super().__init__()
        self.table: RoomTable[str] = RoomTable()
        self.arrived: dict[str, list[str]] = {}
        self.joined: dict[str, list[str]] = {}

    @rule(member=MEMBERS, room=ROOMS)
    def add(self, member: str, room: str) -> None:
        arrived = self.arrived.setdefault(room, [])
        joined = self.joined.setdefault(member, [])
        if room in joined:
            joined.remove(room)
        else:
            arrived.append(member)
        joined.append(room)
        added = self.table.add(member, room, write)
        assert added is self.table.get(room)
        assert added.name == room

    @precondition(lambda self: any(self.joined.values()))
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        member = data.draw(st.sampled_from([name for name, rooms in self.joined.items() if rooms]))
        room = data.draw(st.sampled_from(self.joined[member]))
        self.joined[member].remove(room)
        self.arrived[room].remove(member)
        self.table.remove(member, room)

    @precondition(lambda self: any(self.joined.values()))
    @rule(member=MEMBERS)
    def remove_all(self, member: str) -> None:
        for room in list(self.table.joined(member)):
            self.table.remove(member, room)
        self.joined[member] = []
        for arrived in self.arrived.values():
            if member in arrived:
                arrived.remove(member)

    @invariant()
    def rooms_have_their_members_in_the_order_they_came(self) -> None:
        for name in ("lobby", "tea", "work"):
            room = self.table.get(name)
            assert list(room.members if room else ()) == self.arrived.get(name, [])

    @invariant()
    def members_have_their_rooms_last_joined_at_the_end(self) -> None:
        for member in ("ann", "bob", "cat"):
            assert list(self.table.joined(member)) == self.joined.get(member, [])

    @invariant()
    def both_directions_name_the_same_room(self) -> None:
        for member in ("ann", "bob", "cat"):
            for name, room in self.table.joined(member).items():
                assert room is self.table.get(name)

    @invariant()
    def no_empty_room_remains(self) -> None:
        sizes = {room: len(members) for room, members in self.arrived.items() if members}
        assert self.table.sizes() == sizes
        assert len(self.table) == len(sizes)


TestMembership = Membership.TestCase
TestMembership.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_a_room_that_became_empty_comes_back_new() -> None:
    table: RoomTable[str] = RoomTable()
    first = table.add("ann", "lobby", write)
    first.pending.append(b"late")
    table.remove("ann", "lobby")
    assert table.get("lobby") is None
    again = table.add("bob", "lobby", write)
    assert (list(again.members), again.pending) == (["bob"], [])


def test_joining_again_takes_the_new_way_to_write() -> None:
    seen: list[bytes] = []
    table: RoomTable[str] = RoomTable()
    table.add("ann", "lobby", write)
    room = table.add("ann", "lobby", lambda frames, essential: seen.append(frames))
    for deliver in room.members.values():
        deliver(b"hello", None)
    assert seen == [b"hello"]


def test_somebody_unknown_is_nowhere() -> None:
    table: RoomTable[str] = RoomTable()
    assert list(table.joined("nobody")) == []
    assert table.get("nowhere") is None


def test_who_has_left_all_rooms_is_forgotten() -> None:
    class Person:
        pass

    table: RoomTable[Person] = RoomTable()
    person = Person()
    watch = weakref.ref(person)
    for room in ("lobby", "tea"):
        table.add(person, room, write)
    for room in ("lobby", "tea"):
        table.remove(person, room)
    del person
    gc.collect()
    assert watch() is None


def test_a_new_room_has_nothing_pending() -> None:
    room: Room[str] = Room("lobby")
    assert (room.members, room.pending, room.pending_size, room.newcomers) == ({}, [], 0, {})


def test_a_newcomer_is_owed_what_comes_after_it() -> None:
    room: Room[str] = Room("lobby")
    room.add("ann", write)
    room.pending += [b"1", b"2"]
    room.droppable = [1]
    room.add("bob", write)
    room.pending += [b"3", b"4"]
    room.droppable += [3]
    assert room.owed("ann") == (b"1234", b"13")
    assert room.owed("bob") == (b"34", b"3")
    room.clear()
    assert room.owed("bob") == (b"", None)
