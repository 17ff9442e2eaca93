"""What the service manager hears, over a real socket."""

from __future__ import annotations

import os
import time

from syncd.daemon.notify import Notifier
from tests.fakes.manager import ServiceManager


def test_each_message_as_sd_notify_documents_it() -> None:
    with ServiceManager() as manager:
        env = manager.environment(watchdog=2.0) | {"PATH": "/bin"}
        notifier = Notifier.from_environment(env)
        assert env == {"PATH": "/bin"}, "no child may speak for syncd"
        assert notifier.watchdog == 2.0
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        notifier.status("starting")
        notifier.ready("at work\nWATCHDOG=1")
        notifier.reloading()
        notifier.alive()
        notifier.hung("the intake hangs")
        notifier.stopping("ending")
        manager.wait_for_key("STOPPING")
        told = manager.told
    assert told[0] == {"STATUS": "starting"}
    assert told[1] == {"READY": "1", "STATUS": "at work\\x0aWATCHDOG=1"}, "a status forges no assignment"
    assert told[2].keys() == {"RELOADING", "MONOTONIC_USEC"}
    assert int(told[2]["MONOTONIC_USEC"]) >= before
    assert told[3:] == [
        {"WATCHDOG": "1"},
        {"WATCHDOG": "trigger", "STATUS": "the intake hangs"},
        {"STOPPING": "1", "STATUS": "ending"},
    ]


def test_the_watchdog_of_another_process_is_not_ours() -> None:
    env = {"NOTIFY_SOCKET": "/run/nobody", "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}
    assert Notifier.from_environment(dict(env)).watchdog is None
    assert Notifier.from_environment(env | {"WATCHDOG_PID": str(os.getpid())}).watchdog == 1.0
    assert Notifier.from_environment({"WATCHDOG_USEC": "1000000"}).watchdog is None


def test_a_manager_that_is_not_there_or_speaks_otherwise_disturbs_nothing() -> None:
    for address in ("", "/nowhere/notify", "vsock:2:1234", "relative"):
        notifier = Notifier.from_environment({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"})
        notifier.ready("at work")
        notifier.alive()
        notifier.stopping("ending")
