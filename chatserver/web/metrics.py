"""Show the counters as Prometheus metrics; docs/deploy.md lists them."""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from chatserver.stats import BUCKETS, StoreStats, Timing

if TYPE_CHECKING:
    from chatserver.chat import Chat

OTHER: Final = "(other)"
"""The action label of bad frames and actions that nobody offers."""


class ChatCollector(Collector):
    """Read a chat's counters when the metrics are asked for.

    Args:
        chat: The chat; several of them do not share anything.
    """

    def __init__(self, chat: "Chat") -> None:
        self._chat = chat

    def collect(self) -> Iterable[Metric]:
        """Return all metrics."""
        chat, stats = self._chat, self._chat.stats
        yield _gauge("connections", "Open connections", len(chat.hub.sessions))
        yield _gauge("users", "Connected users", len(chat.hub.users))
        yield _gauge("rooms", "Rooms with members", len(chat.hub.table))
        yield _gauge("draining", "1 while the server shuts down", int(chat.hub.draining))
        yield _gauge(
            "loop_lag_seconds", "Longest block of the event loop since the last look", stats.lag
        )
        stats.lag = 0.0
        yield _counter("accepted", "Connections accepted", stats.accepted)
        yield _counter("messages_in", "Messages received", stats.messages_in)
        yield _counter("received_bytes", "Payload received", stats.bytes_in)
        yield _counter("sent_bytes", "Bytes handed to transports", stats.bytes_out)
        yield _counter("events", "Events published", stats.events)
        yield _counter("messages_out", "Events handed to members", stats.deliveries)
        yield _counter("replies", "Replies sent, errors included", stats.replies)
        yield _counter("slow_closes", "Connections cut off because they did not read", stats.slow)
        yield _counters("refusals", "Handshakes refused", "reason", stats.refusals)
        yield _counters("errors", "Error replies", "code", stats.errors)
        closes = {str(int(code)): number for code, number in stats.closes.items()}
        yield _counters("closes", "Connections closed by the server", "code", closes)
        yield _histogram({**stats.handled, OTHER: stats.unknown})
        if (stored := chat.broker.stats) is not None:
            yield from _store(stored, failed=chat.broker.failure is not None)


def metrics_routes(chat: "Chat", prefix: str = "") -> list[web.RouteDef]:
    """Return the ``/metrics`` page of a chat, with a registry of its own."""
    registry = CollectorRegistry()
    registry.register(ChatCollector(chat))

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    return [web.get(f"{prefix}/metrics", metrics)]


def _store(stats: StoreStats, *, failed: bool) -> Iterable[Metric]:
    yield _gauge("store_failed", "1 once nothing is stored any more", int(failed))
    yield _gauge("store_queued", "Messages that wait to be stored", stats.queued)
    yield _gauge("store_bytes", "Size of the store's files", stats.size)
    yield _counter("stored", "Messages stored", stats.stored)
    yield _counter("store_refused", "Messages refused at a bound of the store", stats.refused)
    commits = HistogramMetricFamily(
        "chatserver_store_commit_seconds", "Time a batch took to be committed"
    )
    commits.add_metric([], *_buckets(stats.commits))
    yield commits


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"chatserver_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"chatserver_{name}", text, value=value)


def _counters(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"chatserver_{name}", text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _histogram(timings: Mapping[str, Timing]) -> Metric:
    family = HistogramMetricFamily(
        "chatserver_handler_seconds", "Time a message took in the pipeline", labels=["action"]
    )
    for action, timing in timings.items():
        family.add_metric([action], *_buckets(timing))
    return family


def _buckets(timing: Timing) -> tuple[list[tuple[str, int]], float]:
    bounds = [*map(str, BUCKETS), "+Inf"]
    return list(zip(bounds, accumulate(timing.counts), strict=True)), timing.total
