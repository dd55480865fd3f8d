"""Follow the conversations of the guide and what docs/protocol.md makes of them."""

from chatserver.testing import ChatServer


async def test_two_people_talk_in_a_room(chat: ChatServer) -> None:
    alice = await chat.connect("alice", "lobby")
    bob = await chat.connect("bob", "lobby")
    await alice.expect("notification", text="bob joined lobby")

    await bob.send("message", text="hello")

    for peer in (alice, bob):
        frame = await peer.expect("message")
        assert frame["username"] == "bob"
        assert frame["text"] == "hello"
        assert frame["room"] == "lobby"
        assert str(frame["timestamp"]).endswith("Z")


async def test_a_message_with_an_id_is_acknowledged_with_its_cid(chat: ChatServer) -> None:
    alice = await chat.connect("alice", "lobby")

    sent = await alice.request("message", text="hi", cid="c-1", reply_to=7)

    assert sent["action"] == "sent"
    assert sent["room"] == "lobby"
    assert sent["cid"] == "c-1"
    event = await alice.expect("message")
    assert event["cid"] == "c-1"
    assert event["reply_to"] == 7
    assert "id" not in event
    assert event["timestamp"] == sent["timestamp"]


async def test_a_message_without_an_id_is_not_acknowledged(chat: ChatServer) -> None:
    alice = await chat.connect("alice", "lobby")
    await alice.send("message", text="hi")
    await alice.expect("message", text="hi")
    await alice.silent()


async def test_the_sender_is_the_session_whatever_the_payload_says(chat: ChatServer) -> None:
    alice = await chat.connect("alice", "lobby")
    await alice.send("message", text="hi", username="bob", sender="user:bob", timestamp="then")

    event = await alice.expect("message")

    assert event["username"] == "alice"
    assert str(event["sender"]).startswith("guest:")
    assert event["timestamp"] != "then"


async def test_a_message_in_a_room_not_joined_is_refused(chat: ChatServer) -> None:
    await chat.connect("bob", "secret")
    alice = await chat.connect("alice", "lobby")

    refused = await alice.request("message", text="hi", room="secret")

    assert refused["code"] == "not_joined"
    stranger = await chat.connect("carol")
    assert (await stranger.request("message", text="hi"))["code"] == "not_joined"


async def test_messages_go_to_the_room_joined_last_or_named(chat: ChatServer) -> None:
    alice = await chat.connect("alice", "one", "two")
    await alice.send("message", text="to two")
    await alice.send("message", text="to one", room="one")
    assert (await alice.expect("message", text="to two"))["room"] == "two"
    assert (await alice.expect("message", text="to one"))["room"] == "one"


async def test_joining_again_makes_the_room_the_last_without_a_notice(chat: ChatServer) -> None:
    alice = await chat.connect("alice", "one", "two")

    again = await alice.request("join", room="one")

    assert again["action"] == "joined"
    assert again["members"] == 1
    await alice.silent()
    await alice.send("message", text="where")
    assert (await alice.expect("message"))["room"] == "one"


async def test_joined_is_the_first_frame_of_a_room(chat: ChatServer) -> None:
    talker = await chat.connect("talker", "lobby")
    newcomer = await chat.connect("newcomer")
    for number in range(20):
        await talker.send("message", text=str(number))
    await newcomer.send("join", room="lobby")

    first = await newcomer.receive()
    second = await newcomer.receive()

    assert first["action"] == "joined"
    assert first["room"] == "lobby"
    assert first["members"] == 2
    if second["action"] == "notification":
        assert second["text"] == "newcomer joined lobby"
    else:
        assert second["action"] == "message"


async def test_a_room_may_be_left_out(chat: ChatServer) -> None:
    alice = await chat.connect("alice")
    assert (await alice.request("join"))["room"] == "default"


async def test_names_of_rooms_differ_by_case(chat: ChatServer) -> None:
    alice = await chat.connect("alice", "Lobby", "lobby")
    assert (await alice.request("list_rooms"))["rooms"] == {"Lobby": 1, "lobby": 1}


async def test_a_client_joins_only_so_many_rooms() -> None:
    async with ChatServer({"chat": {"max_rooms": 2}}) as chat:
        alice = await chat.connect("alice", "one", "two")
        refused = await alice.request("join", room="three")
        assert refused["code"] == "forbidden"
        assert (await alice.request("join", room="one"))["action"] == "joined"
        await alice.request("leave", room="one")
        assert (await alice.request("join", room="three"))["action"] == "joined"


async def test_single_room_leaves_the_room_before_after_the_new_join() -> None:
    async with ChatServer({"chat": {"single_room": True}}) as chat:
        watcher = await chat.connect("watcher", "one")
        alice = await chat.connect("alice", "one")
        await watcher.expect("notification", text="alice joined one")

        refused = await alice.request("join", room="\u202e")
        assert refused["code"] == "bad_name"
        await watcher.silent()
        await alice.request("join", room="two")

        await watcher.expect("notification", text="alice left one", event="leave")
        assert (await watcher.request("list_rooms"))["rooms"] == {"one": 1, "two": 1}


class TestLeaving:
    """Every way out cleans up, and tells the others."""

    async def test_leave(self, chat: ChatServer) -> None:
        alice = await chat.connect("alice", "lobby")
        bob = await chat.connect("bob", "lobby", "den")
        await alice.expect("notification", text="bob joined lobby")
        left = await bob.request("leave", room="lobby")
        assert left["action"] == "left"
        assert left["room"] == "lobby"
        gone = await alice.expect("notification", event="leave")
        assert gone["text"] == "bob left lobby"
        assert gone["username"] == "bob"
        await alice.send("message", text="alone?")
        await alice.expect("message")
        await bob.silent()

    async def test_leave_without_a_room(self, chat: ChatServer) -> None:
        alice = await chat.connect("alice")
        left = await alice.request("leave")
        assert left["action"] == "left"
        assert "room" not in left

    async def test_the_last_one_takes_the_room_along(self, chat: ChatServer) -> None:
        alice = await chat.connect("alice", "one", "two")
        await alice.request("leave", room="one")
        assert (await alice.request("list_rooms"))["rooms"] == {"two": 1}
        await alice.request("leave")
        assert (await alice.request("list_rooms"))["rooms"] == {}

    async def test_dropping_the_connection(self, chat: ChatServer) -> None:
        alice = await chat.connect("alice", "lobby")
        bob = await chat.connect("bob", "lobby", "den")
        await bob.close()
        await alice.expect("notification", text="bob left lobby")
        assert (await alice.request("list_rooms"))["rooms"] == {"lobby": 1}
        assert len(chat.chat.members("lobby")) == 1

    async def test_being_kicked(self, chat: ChatServer) -> None:
        alice = await chat.connect("alice", "lobby")
        bob = await chat.connect("bob", "lobby")
        user = str((await bob.request("hello"))["user"])
        assert chat.chat.kick(user) == 1
        await alice.expect("notification", text="bob left lobby")
        assert await bob.closed() == 3503
        assert (await alice.request("list_rooms"))["rooms"] == {"lobby": 1}

    async def test_being_cancelled(self, chat: ChatServer) -> None:
        alice = await chat.connect("alice", "lobby")
        before = set(chat.chat.endpoint.connections)
        bob = await chat.connect("bob", "lobby")
        (connection,) = chat.chat.endpoint.connections - before
        task = connection._task
        assert task is not None
        task.cancel()
        await alice.expect("notification", text="bob left lobby")
        assert await bob.closed() == 1006
        assert (await alice.request("list_rooms"))["rooms"] == {"lobby": 1}

    async def test_the_end_of_the_server(self, chat: ChatServer) -> None:
        alice = await chat.connect("alice", "lobby")
        bob = await chat.connect("bob", "lobby")
        await chat.chat.drain()
        assert await alice.closed() == await bob.closed() == 3001
        hub = chat.chat.hub
        assert (len(hub.sessions), len(hub.users), len(hub.table)) == (0, 0, 0)
        assert chat.chat.members("lobby") == []


async def test_notifications_name_event_user_and_room(chat: ChatServer) -> None:
    alice = await chat.connect("alice")
    await alice.request("join", room="lobby")
    notice = await alice.expect("notification")
    assert notice["event"] == "join"
    assert notice["username"] == "alice"
    assert notice["room"] == "lobby"
    assert notice["text"] == "alice joined lobby"
    assert "timestamp" in notice
    assert "sender" in notice
    assert "id" not in notice


async def test_members_lists_connections(chat: ChatServer) -> None:
    alice = await chat.connect("alice", "lobby")
    await chat.connect("bob", "lobby")
    listed = await alice.request("members")
    assert isinstance(listed["members"], list)
    assert [one["username"] for one in listed["members"]] == ["alice", "bob"]
    assert all(set(one) == {"username", "sender"} for one in listed["members"])
    assert (await alice.request("members", room="elsewhere"))["code"] == "not_joined"


async def test_long_lists_are_cut_below_the_largest_frame() -> None:
    limits = {"max_frame_out": 4096}
    config = {
        "limits": limits,
        "chat": {"max_rooms": 200, "require_username": False},
        "middlewares": [],
    }
    async with ChatServer(config) as chat:
        alice = await chat.connect()
        names = {f"room-{number:03}-{'x' * 40}" for number in range(60)}
        for name in names:
            await alice.send("join", room=name)
        seen: set[str] = set()
        after = ""
        while True:
            reply = await alice.request("list_rooms", after=after)
            assert isinstance(reply["rooms"], dict)
            assert len(str(reply)) < limits["max_frame_out"]
            seen |= set(reply["rooms"])
            if not reply.get("more"):
                break
            after = str(reply["after"])
        assert seen == names


async def test_join_comes_after_register_unless_configured_otherwise(chat: ChatServer) -> None:
    stranger = await chat.connect()
    refused = await stranger.request("join", room="lobby")
    assert refused["code"] == "not_registered"
    assert refused["message"] == "Register first"
    async with ChatServer({"chat": {"require_username": False}}) as open_chat:
        anonymous = await open_chat.connect()
        await anonymous.request("join", room="lobby")
        await anonymous.send("message", text="hi")
        assert (await anonymous.expect("message"))["username"] == "anonymous"


async def test_the_server_says_nothing_unasked(chat: ChatServer) -> None:
    alice = await chat.connect()
    await alice.silent()
