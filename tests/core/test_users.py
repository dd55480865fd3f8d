"""Connected users and who holds which display name."""

import pytest

from chatserver.errors import ActionError
from chatserver.names import MAX_NAME
from chatserver.session import Identity, Session, User
from chatserver.users import Users


class Door:
    """Let sessions in and out of an index of users."""

    def __init__(self, *, unique: bool = True) -> None:
        self.users = Users(unique=unique)
        self.moved: list[tuple[User, str]] = []
        self._count = 0

    def enter(
        self, user: str | None = None, name: str | None = None, *, allow_rename: bool = False
    ) -> Session:
        self._count += 1
        guest = user is None or user.startswith("guest:")
        identity = Identity(
            user=user or f"guest:{self._count}", name=name, allow_rename=allow_rename, guest=guest
        )
        session = Session(f"c{self._count}", identity, "")
        self.moved = self.users.attach(session)
        return session

    def holders(self, name: str) -> list[str]:
        return [user.id for user in self.users.holders(name, User("somebody else"))]


def test_a_user_is_there_as_long_as_a_session_is() -> None:
    door = Door()
    one, other = door.enter("alice"), door.enter("alice")
    assert one.user is other.user is door.users.get("alice")
    assert list(one.user.sessions) == [one, other]
    assert len(door.users) == 1
    door.users.detach(one)
    assert door.users.get("alice") is other.user
    door.users.detach(other)
    assert door.users.get("alice") is None
    assert len(door.users) == 0


def test_going_twice_does_no_harm() -> None:
    door = Door()
    gone, stays = door.enter("alice"), door.enter("alice")
    door.users.detach(gone)
    door.users.detach(gone)
    assert door.users.get("alice") is stays.user
    door.users.detach(stays)
    back = door.enter("alice")
    door.users.detach(stays)
    assert door.users.get("alice") is back.user


def test_the_last_session_frees_the_name() -> None:
    door = Door()
    one, other = door.enter("alice"), door.enter("alice")
    door.users.give(one.user, "Alice")
    door.users.detach(one)
    assert door.holders("Alice") == ["alice"]
    assert other.username == "Alice"
    door.users.detach(other)
    assert door.holders("Alice") == []


def test_names_are_held_by_case_fold() -> None:
    door = Door()
    alice = door.enter("alice")
    assert door.users.give(alice.user, "Straße") is None
    for name in ("straße", "STRASSE", "Strasse"):
        assert door.holders(name) == ["alice"]
        assert door.users.holders(name, alice.user) == []


def test_a_new_name_frees_the_old_one() -> None:
    door = Door()
    alice = door.enter("alice")
    door.users.give(alice.user, "Alice")
    assert door.users.give(alice.user, "Ally") == "Alice"
    assert (door.holders("Alice"), door.holders("Ally")) == ([], ["alice"])
    assert door.users.give(alice.user, "ALLY") == "Ally"
    assert (alice.username, door.holders("ally")) == ("ALLY", ["alice"])


def test_names_need_not_be_unique() -> None:
    door = Door(unique=False)
    for _ in range(2):
        door.users.give(door.enter().user, "Alice")
    assert door.holders("Alice") == []


def test_a_name_is_checked_and_normalised() -> None:
    door = Door()
    guest = door.enter()
    assert door.users.check(guest, " ａlice ") == "alice"
    with pytest.raises(ActionError) as caught:
        door.users.check(guest, "ali\u202ece")
    assert (caught.value.code, caught.value.field) == ("bad_name", "$.username")


def test_a_name_from_the_sign_in_is_given_at_once_and_stays() -> None:
    door = Door()
    alice = door.enter("alice", " Alice ")
    assert (alice.username, door.holders("ALICE")) == ("Alice", ["alice"])
    assert door.users.check(alice, "Alice") == "Alice"
    with pytest.raises(ActionError, match="set by your sign-in") as caught:
        door.users.check(alice, "Bob")
    assert caught.value.code == "forbidden"


def test_a_name_from_the_sign_in_may_be_changed_where_that_is_allowed() -> None:
    door = Door()
    alice = door.enter("alice", "Alice", allow_rename=True)
    assert door.users.check(alice, "Ally") == "Ally"
    door.users.give(alice.user, "Ally")
    again = door.enter("alice", "Alice", allow_rename=True)
    assert again.username == "Ally"


def test_two_sign_ins_may_bear_one_name() -> None:
    door = Door()
    for user in ("alice@north", "alice@south"):
        assert door.enter(user, "Alice").username == "Alice"
        assert door.moved == []
    assert door.holders("alice") == ["alice@north", "alice@south"]


def test_a_guest_gives_way_to_a_sign_in_with_its_name() -> None:
    door = Door()
    guest = door.enter()
    door.users.give(guest.user, "ALICE")
    alice = door.enter("alice", "Alice")
    assert door.moved == [(guest.user, "ALICE")]
    assert alice.username == "Alice"
    assert guest.username.startswith("Alice-")
    assert door.holders("Alice") == ["alice"]
    assert door.holders(guest.username) == [guest.user.id]


def test_a_guest_s_new_name_is_not_too_long() -> None:
    door = Door()
    guest = door.enter()
    name = "a" * MAX_NAME
    door.users.give(guest.user, name)
    door.enter("alice", name)
    assert len(guest.username) <= MAX_NAME
    assert door.users.check(guest, guest.username) == guest.username


def test_a_signed_in_user_who_chose_the_name_keeps_it() -> None:
    door = Door()
    bob = door.enter("bob")
    door.users.give(bob.user, "Alice")
    alice = door.enter("alice", "Alice")
    assert door.moved == []
    assert bob.username == alice.username == "Alice"
