"""`sandbox` and `demo`: see syncd work without an account and without cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sandbox(  # noqa: PLR0913, PLR0917  (each is a switch of the stand-in)
    port: Annotated[int, typer.Option(help="The port on 127.0.0.1.")] = 8765,
    folder: Annotated[Path, typer.Option("--dir", help="Where it keeps what it is sent.")] = Path("syncd-sandbox"),
    rate: Annotated[float | None, typer.Option(help="Requests a second; more are refused.", show_default=False)] = None,
    latency: Annotated[float, typer.Option(help="Seconds that every answer takes longer.")] = 0.0,
    credits_: Annotated[
        int | None, typer.Option("--credits", help="Photos that can still be paid for.", show_default=False)
    ] = None,
    lose_every: Annotated[
        int | None, typer.Option(help="Every n-th upload is stored, and its answer lost.", show_default=False)
    ] = None,
    fail_every: Annotated[
        int | None, typer.Option(help="Every n-th upload is answered with 503.", show_default=False)
    ] = None,
    batch_cap: Annotated[int, typer.Option(help="Files that one request may have.")] = 10,
    lag: Annotated[float, typer.Option(help="Seconds until the search finds a new image.")] = 0.0,
    *,
    http_statuses: Annotated[bool, typer.Option(help="Failures come with HTTP statuses, not with 200.")] = False,
) -> int:
    """Run a stand-in for the service here.

    As strict as the service's own page, on this computer alone, with a page that shows what it holds.
    """
    import signal
    import threading

    from syncd.cli.output import answer, message
    from syncd.sandbox.server import Sandbox
    from syncd.sandbox.switches import Switches, check

    switches = Switches(
        rate=rate,
        latency=latency,
        credits=credits_,
        lose_every=lose_every,
        fail_every=fail_every,
        batch_cap=batch_cap,
        indexing_lag=lag,
        http_statuses=http_statuses,
    )
    for name in Switches.__dataclass_fields__:
        problem = check(name, getattr(switches, name))
        if problem is not None:
            raise typer.BadParameter(problem)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with Sandbox(folder.absolute(), port=port, switches=switches) as running:
        answer(f'the sandbox listens: base_url = "{running.base_url}"')
        answer(f"what it holds: {running.page_url} (and in {folder.absolute()}); any key that begins with sk- will do")
        message("Ctrl-C ends it; what it holds stays")
        import sys

        sys.stdout.flush()
        ended.wait()
    return 0


def demo(
    folder: Annotated[Path | None, typer.Argument(help="Your own photos instead of samples.")] = None,
    *,
    keep: Annotated[Path | None, typer.Option(help="Keep everything in this folder to look at.")] = None,
) -> int:
    """Show the whole way of a photo.

    Sandbox, sync, result: needs nothing, costs nothing.
    """
    from syncd.cli.demonstration import show

    return show(folder, keep)
