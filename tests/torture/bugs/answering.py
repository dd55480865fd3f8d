"""Bugs of a server that answers something else than what it has."""

import asyncio
from collections.abc import Callable
from typing import Final

from chatserver_plugins import recovery
from msgspec import structs

from chatserver import Hub
from chatserver.broker import embedded, tail
from chatserver.envelope import Envelope
from chatserver.outlet import Outlet
from chatserver.pending import Pending
from chatserver.positions import Position
from chatserver.publications import Page, Publication, Published, RoomState
from tests.torture.planting import plant

LATE: Final = 0.01
"""Seconds that an acknowledgement is late."""

Read = Callable[[int | None, Page], Page]
"""Change a page that was read from behind an offset, or backwards if that is None."""


def wrong_offset_acknowledged() -> None:
    """Acknowledge one message in ten with the offset behind its own."""

    def shifted(published: Published) -> Published:
        position = published.position
        if position is None or position.offset % 10:
            return published
        return structs.replace(published, position=_behind(position))

    _acknowledge(shifted)


def retry_moved() -> None:
    """Answer a retry with another position than the first time."""

    def shifted(published: Published) -> Published:
        if published.position is None or not published.duplicate:
            return published
        return structs.replace(published, position=_behind(published.position))

    _acknowledge(shifted)


def retry_called_new() -> None:
    """Acknowledge a retry as if it had been stored just now."""
    _acknowledge(lambda published: structs.replace(published, duplicate=False))


def acknowledgements_swapped() -> None:
    """Send one acknowledgement in ten a little late, after the one behind it."""
    acknowledge = Outlet.acknowledge

    def swapped(outlet: Outlet, envelope: Envelope, published: Published) -> None:
        late = published.position is not None and published.position.offset % 10 == 0
        loop = asyncio.get_running_loop()
        loop.call_later(LATE if late else 0, acknowledge, outlet, envelope, published)

    plant(Outlet, "acknowledge", swapped)


def acknowledgement_lost() -> None:
    """Never acknowledge one message in fifty, nor any retry of it."""
    acknowledge = Outlet.acknowledge

    def lossy(outlet: Outlet, envelope: Envelope, published: Published) -> None:
        if published.position is None or published.position.offset % 50:
            acknowledge(outlet, envelope, published)

    plant(Outlet, "acknowledge", lossy)


def seen_again_on_resume() -> None:
    """Begin a recovery with what the client has seen last."""

    class Broker(embedded.EmbeddedBroker):
        def publications(
            self,
            room: str,
            *,
            after: int | None = None,
            before: int | None = None,
            limit: int,
            max_bytes: int,
        ) -> Pending[Page | None]:
            if after:
                after -= 1
            return super().publications(
                room, after=after, before=before, limit=limit, max_bytes=max_bytes
            )

    plant(embedded, "EmbeddedBroker", Broker)


def gap_in_recovery() -> None:
    """Leave out the first message that was missed, and call it recovered."""

    def gapped(after: int | None, page: Page) -> Page:
        if after is None or len(page.publications) < 2:
            return page
        return Page(page.state, page.first + 1, page.publications[1:], page.more)

    _read(gapped)


def nothing_recovered() -> None:
    """Say of every page that there is more, so that no join has all that was missed."""

    def unfinished(after: int | None, page: Page) -> Page:
        return page if after is None else Page(page.state, page.first, page.publications, True)

    _read(unfinished)


def hole_after_the_newest() -> None:
    """Join with what were the newest messages at the join before, and go on with those of now."""
    before: dict[str, recovery.Stream] = {}
    read = recovery._newest

    async def newest(hub: Hub, room: str, count: int) -> recovery.Stream:
        now = await read(hub, room, count)
        stale = before.get(room, now)
        before[room] = now
        return stale

    plant(recovery, "_newest", newest)


def trimmed_is_recovered() -> None:
    """Say that all was recovered, though the history does not reach back that far."""
    read = tail.Tail.after

    def within(state: RoomState, since: recovery.Since, limit: int) -> bool:
        return since.offset <= state.top

    def after(kept: tail.Tail, offset: int, limit: int, max_bytes: int) -> Page | None:
        return read(kept, max(offset, kept.first - 1), limit, max_bytes)

    plant(recovery, "_within", within)
    plant(tail.Tail, "after", after)


def newest_left_out() -> None:
    """Say that a room ends before its last message."""

    def shorter(state: RoomState) -> RoomState:
        return structs.replace(state, top=max(0, state.top - 1))

    class Broker(embedded.EmbeddedBroker):
        def position(self, room: str) -> Pending[RoomState | None]:
            return super().position(room).then(lambda state: state and shorter(state))

    def shortened(after: int | None, page: Page) -> Page:
        state = shorter(page.state)
        left = max(0, state.top - page.first + 1)
        return Page(state, page.first, page.publications[:left], page.more)

    plant(embedded, "EmbeddedBroker", Broker)
    _read(shortened)


def _behind(position: Position) -> Position:
    return Position(position.epoch, position.offset + 1)


def _acknowledge(change: Callable[[Published], Published]) -> None:
    class Broker(embedded.EmbeddedBroker):
        def publish(self, publication: Publication) -> Pending[Published]:
            return super().publish(publication).then(change)

    plant(embedded, "EmbeddedBroker", Broker)


def _read(change: Read) -> None:
    class Broker(embedded.EmbeddedBroker):
        def publications(
            self,
            room: str,
            *,
            after: int | None = None,
            before: int | None = None,
            limit: int,
            max_bytes: int,
        ) -> Pending[Page | None]:
            read = super().publications(
                room, after=after, before=before, limit=limit, max_bytes=max_bytes
            )
            return read.then(lambda page: page and change(after, page))

    plant(embedded, "EmbeddedBroker", Broker)
