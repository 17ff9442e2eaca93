"""Joins the metrics with what they are read from, where the configuration wants any."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from syncd.cli.around import waiting_now
from syncd.cli.wiring import Assembly
from syncd.daemon.clock import SystemClock, local_midnight
from syncd.daemon.exporter import MetricsServer, TextFile
from syncd.daemon.metrics import Snapshot, render
from syncd.daemon.moderator import Moderator
from syncd.daemon.outside import WatchHealth
from syncd.daemon.voice import Said
from syncd.ledger.gauges import gauges


@contextmanager
def exporting(parts: Assembly, moderator: Moderator, health: WatchHealth, started_at: float) -> Iterator[None]:
    """Give metrics while the block runs. An address that cannot be had is said, and the uploads go on without it."""
    settings = parts.pipeline.settings.metrics
    read = _reading(parts, moderator, health, started_at)
    with ExitStack() as stack:
        if settings.address is not None:
            try:
                stack.enter_context(MetricsServer(settings.address.host, settings.address.port, read))
            except OSError as error:
                where = f"{settings.address.host}:{settings.address.port}"
                moderator.say(Said.METRICS, None, f"{where} cannot be listened at: {error.strerror}")
        if settings.textfile is not None:
            stack.enter_context(TextFile(settings.textfile, read, moderator))
        yield


def _reading(parts: Assembly, moderator: Moderator, health: WatchHealth, started_at: float) -> Callable[[], str]:
    pipeline, clock = parts.pipeline, SystemClock()

    def read() -> str:
        now = clock.now()
        status = pipeline.status()
        snapshot = Snapshot(
            now=now,
            started_at=started_at,
            status=status,
            gauges=gauges(pipeline.store),
            upload=pipeline.settings.upload,
            sent_today=pipeline.queue.sent_since(local_midnight(now)),
            waiting=waiting_now(pipeline.settings, pipeline.store, status, now, is_metered=parts.metered.is_metered),
            events=dict(moderator.counts),
            problems=health.problems,
            polled=health.polled,
        )
        return render(snapshot)

    return read
