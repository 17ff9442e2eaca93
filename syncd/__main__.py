"""Where the program starts, as `syncd` and as `python -m syncd`.

Imports take a quarter of a second. A Ctrl-C that comes meanwhile ends the process as it ends any other, without a word.
"""

from __future__ import annotations

import signal


def start() -> None:
    """Import the program and run it."""
    # Where the parent has it ignored (nohup, a job in the background), it stays ignored.
    is_heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from syncd.cli.main import run  # noqa: PLC0415  (this is what takes so long)

    try:
        if is_heard:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run()
    except KeyboardInterrupt:
        # Before or after all that understands it: the shell is to know that it was a Ctrl-C (it says 130).
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)


if __name__ == "__main__":
    start()
