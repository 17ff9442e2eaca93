"""The composition root: built over the settings, under the lock, and closed in reverse."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from syncd import config
from syncd.cli.signals import Signals
from syncd.cli.wiring import FreshRoots, alarm, pipeline, watching
from syncd.daemon.lock import InstanceLock, holder_of
from syncd.errors import LockedError, ReachError
from syncd.ledger.store import Store, set_fact
from syncd.model import PlacePath
from tests.cli.conftest import Home
from tests.fakes.voice import FakeVoice


def test_the_pipeline_holds_the_lock_and_gives_everything_back(home: Home) -> None:
    home.configure('[[rule]]\nmatch = "**"\ntags = ["t"]\n')
    settings = config.load(home.config, os.environ)
    ledger = home.state / "ledger.db"
    threads = set(threading.enumerate())
    with pipeline(settings, None, FakeVoice(), Signals()) as joined:
        assert holder_of(ledger) is not None
        lock = ledger.with_name("ledger.db.lock")
        lock.unlink()
        with pytest.raises(LockedError):
            InstanceLock(ledger).acquire()
        assert joined.roots == [home.root]
        assert joined.status().places == 0
        assert joined.settings is settings
    InstanceLock(ledger).acquire()
    assert set(threading.enumerate()) <= threads
    assert all(path.stat().st_mode & 0o077 == 0 for path in home.state.iterdir())


def test_where_the_ledger_cannot_be_believed_the_lock_is_given_back(home: Home) -> None:
    settings = config.load(home.config, os.environ)
    with home.ledger():
        pass
    (home.state / "ledger.db").unlink()
    with pytest.raises(Exception, match="gone"), pipeline(settings, None, FakeVoice(), Signals()):
        pass
    assert holder_of(home.state / "ledger.db") is None


def test_the_alarm_hears_of_a_ledger_that_is_a_link(home: Home, tmp_path: Path) -> None:
    settings = config.load(home.config, os.environ)
    with home.ledger():
        pass
    ledger, itself = home.state / "ledger.db", tmp_path / "large disk" / "photos.db"
    itself.parent.mkdir()
    ledger.rename(itself)
    ledger.symlink_to(itself)
    signals = Signals()
    with Store(ledger) as store, alarm(settings, signals) as written:
        with store.write() as connection:
            set_fact(connection, "before", 1)
        assert written.set()
        with store.write() as connection:
            set_fact(connection, "after", 1)
        assert signals.wake.wait(10)


def test_each_photo_is_opened_through_its_root_as_it_is_now(tmp_path: Path) -> None:
    opener = FreshRoots()
    place = PlacePath(bytes(tmp_path / "root"), b"x", b"a.jpg")
    with pytest.raises((FileNotFoundError, ReachError)):
        opener.open_photo(place)
    (tmp_path / "root" / "x").mkdir(parents=True)
    (tmp_path / "root" / "x" / "a.jpg").write_bytes(b"abc")
    fd, look = opener.open_photo(place)
    assert (os.read(fd, 9), look.size) == (b"abc", 3)
    os.close(fd)


def test_the_watcher_knows_every_folder(home: Home) -> None:
    inner = home.library / "inner"
    inner.mkdir()
    home.configure(f'[[folder]]\npath = "{inner}"\nwatch = "poll"\n')
    hints, watcher = watching(config.load(home.config, os.environ))
    assert set(watcher.polled()) <= {home.root, bytes(inner)}
    hints.rescan(home.root)
    assert hints.take(0.0).rescan
