from msgspec import Raw

from chatserver.client import Gap, GapReason, Position, Recovered
from chatserver.client.replies import HistoryReply, JoinReply
from chatserver.client.stream import Step, Stream

SEEN = Position("e", 5)


def answer(
    offset: int | None, epoch: str = "e", *, oldest: int = 1, missed: int | None = None
) -> JoinReply:
    """Make the answer to a join with `since`; `missed` messages make it a recovery."""
    messages = [Raw(b"{}")] * (missed or 0)
    return JoinReply("lobby", 1, offset, epoch, oldest, missed is not None, messages)


def gap(reason: GapReason, resumes: Position | None, seen: Position | None = SEEN) -> Gap:
    return Gap(room="lobby", reason=reason, seen=seen, resumes=resumes)


class TestLive:
    def test_offsets_follow_each_other(self) -> None:
        stream = Stream("lobby", SEEN)
        assert [stream.take(6), stream.take(7)] == [Step.NEXT, Step.NEXT]
        assert stream.position == Position("e", 7)

    def test_a_hole_is_noticed_and_not_stepped_over(self) -> None:
        stream = Stream("lobby", SEEN)
        assert stream.take(7) is Step.ASTRAY
        assert stream.position == SEEN
        assert stream.take(6) is Step.NEXT

    def test_what_was_seen_is_not_seen_again(self) -> None:
        assert Stream("lobby", SEEN).take(5) is Step.SEEN

    def test_events_without_an_offset_pass(self) -> None:
        stream = Stream("lobby", SEEN)
        assert stream.take(None) is Step.NEXT
        assert stream.position == SEEN
        assert Stream("lobby").take(None) is Step.NEXT

    def test_the_first_event_of_a_nameless_stream_needs_a_name(self) -> None:
        stream = Stream("lobby", Position("", 0))
        assert stream.nameless
        assert stream.take(1) is Step.ASTRAY
        assert stream.resume(answer(1, missed=1), catch_up=False) == Recovered(
            room="lobby", missed=1
        )
        assert stream.position == Position("e", 1)
        assert stream.take(2) is Step.NEXT

    def test_an_acknowledgement_names_a_nameless_stream_and_no_other(self) -> None:
        stream = Stream("lobby", Position("", 0))
        stream.name("e")
        stream.name("other")
        assert stream.take(1) is Step.NEXT
        assert stream.position == Position("e", 1)
        stream = Stream("lobby")
        stream.name("e")
        assert stream.position is None


class TestResume:
    def test_recovered(self) -> None:
        stream = Stream("lobby", SEEN)
        outcome = stream.resume(answer(8, missed=3), catch_up=False)
        assert outcome == Recovered(room="lobby", missed=3)
        assert stream.position == Position("e", 8)

    def test_more_than_a_join_brings(self) -> None:
        stream = Stream("lobby", SEEN)
        assert stream.resume(answer(999), catch_up=False) == gap(GapReason.LONG, Position("e", 999))
        assert stream.position == Position("e", 999)

    def test_more_than_a_join_brings_is_no_gap_for_who_catches_up(self) -> None:
        stream = Stream("lobby", SEEN)
        assert stream.resume(answer(999), catch_up=True) is None
        assert stream.position == SEEN

    def test_trimmed(self) -> None:
        stream = Stream("lobby", SEEN)
        reply = answer(999, oldest=900)
        assert stream.resume(reply, catch_up=False) == gap(GapReason.TRIMMED, Position("e", 999))

    def test_who_catches_up_misses_only_what_is_gone(self) -> None:
        stream = Stream("lobby", SEEN)
        resumes = Position("e", 899)
        assert stream.resume(answer(999, oldest=900), catch_up=True) == gap(
            GapReason.TRIMMED, resumes
        )
        assert stream.position == resumes

    def test_the_history_is_another_one(self) -> None:
        for reply in (answer(9, "other"), answer(4, "e")):
            stream = Stream("lobby", SEEN)
            resumes = Position(reply.epoch, reply.offset or 0)
            assert stream.resume(reply, catch_up=False) == gap(GapReason.RESET, resumes)
            stream = Stream("lobby", SEEN)
            resumes = Position(reply.epoch, 0)
            assert stream.resume(reply, catch_up=True) == gap(GapReason.RESET, resumes)

    def test_a_room_without_a_history_may_have_said_anything(self) -> None:
        for seen in (None, SEEN):
            stream = Stream("lobby", seen)
            expected = gap(GapReason.NO_HISTORY, None, seen)
            assert stream.resume(answer(None, ""), catch_up=True) == expected
            assert stream.position is None

    def test_a_room_that_keeps_a_history_from_now_on(self) -> None:
        stream = Stream("lobby")
        resumes = Position("e", 3)
        expected = gap(GapReason.NO_HISTORY, resumes, None)
        assert stream.resume(answer(3), catch_up=False) == expected
        assert stream.take(4) is Step.NEXT


class TestPages:
    def page(self, oldest: int, epoch: str = "e") -> HistoryReply:
        return HistoryReply("lobby", [], 99, epoch, oldest, more=True)

    def test_holes_within_a_page_are_normal(self) -> None:
        stream = Stream("lobby", SEEN)
        assert stream.read(self.page(1)) is None
        assert [stream.reach(offset) for offset in (5, 7, 7, 12)] == [False, True, False, True]
        assert stream.position == Position("e", 12)

    def test_what_is_trimmed_meanwhile_is_a_gap(self) -> None:
        stream = Stream("lobby", SEEN)
        resumes = Position("e", 49)
        assert stream.read(self.page(50)) == gap(GapReason.TRIMMED, resumes)
        assert stream.position == resumes
        assert stream.read(self.page(50)) is None

    def test_a_page_of_another_history_changes_nothing(self) -> None:
        stream = Stream("lobby", SEEN)
        assert stream.read(self.page(50, "other")) is None
        assert stream.position == SEEN
