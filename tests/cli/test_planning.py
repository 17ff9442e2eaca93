"""`plan` and the forecast of `status`: from the ledger alone, in the words of a person."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from syncd.cli.planning import forecast, pace_words, plan_json, plan_lines, planned, when
from syncd.ledger.outlook import estimate
from syncd.ledger.store import set_fact
from syncd.ledger.wishes import Wishes
from syncd.model import Capture
from syncd.settings import FolderSettings, Hours, LedgerSettings, RuleSettings, Settings, UploadSettings
from syncd.upload.pace import Gate, Pause
from tests.fakes.ledgers import Ledger, make_ledger, photo, sighting

NOON = datetime(2024, 6, 1, 12)  # noqa: DTZ001 -- a camera's wall clock has no zone


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with make_ledger(tmp_path) as made:
        yield made


def settings(*rules: RuleSettings, **upload: float) -> Settings:
    return Settings(
        Path("/c.toml"),
        LedgerSettings("sqlite:////l.db"),
        upload=UploadSettings(**upload),  # type: ignore[arg-type]  # numbers alone, by name
        folders=(FolderSettings(Path("/photos")),),
        rules=rules,
    )


def see(ledger: Ledger, count: int, apart: float) -> None:
    captures = [Capture(NOON + timedelta(seconds=apart * n)) for n in range(count)]
    ledger.see(
        *(
            sighting(b"%d.jpg" % n, photo(n, size=10**6, capture=its), order_at=apart * n)
            for n, its in enumerate(captures)
        )
    )


def test_a_plan_counts_requests_and_what_a_tolerance_would_save(ledger: Ledger) -> None:
    see(ledger, 30, 20.0)
    plan = planned(settings(), ledger.store)
    assert (plan.photos, plan.bytes, plan.now.requests) == (30, 30 * 10**6, 30)
    assert [(other.tolerance.seconds, other.tolerance.metres, other.requests) for other in plan.others] == [(60, 0, 5)]
    line, other = plan_lines(plan)
    assert line.startswith("30 photos, 30 requests, 30.0 MB: done t")
    assert line.endswith(" at 1/s")
    assert other.startswith("  with time_tolerance 1m: 5 requests, t")
    told = plan_json(plan)
    assert (told["photos"], told["requests"], told["observed"], told["paused"]) == (30, 30, False, None)
    assert told["with_tolerances"][0]["requests"] == 5


def test_with_the_tolerance_set_that_is_the_plan(ledger: Ledger) -> None:
    see(ledger, 30, 20.0)
    plan = planned(settings(time_tolerance=60.0), ledger.store)
    assert (plan.now.requests, plan.others) == (5, ())


def test_what_the_rules_of_now_skip_or_tag_apart_is_planned_so(ledger: Ledger) -> None:
    ledger.see(*(sighting(b"%d.jpg" % n, photo(n), folder=b"abc"[n % 3 :][:1]) for n in range(30)))
    assert planned(settings(), ledger.store).now.requests == 3
    tags = RuleSettings("{folder}/*", tags=("{folder}",))
    assert planned(settings(tags), ledger.store).now.requests == 3
    skip = RuleSettings("a/**", skip=True)
    assert planned(settings(skip), ledger.store).photos == 20
    assert planned(settings(RuleSettings("a/*", tags=("x",))), ledger.store).now.requests == 3


def test_a_photo_at_several_places_is_planned_once(ledger: Ledger) -> None:
    ledger.see(sighting(b"a.jpg", photo(1)), sighting(b"b.jpg", photo(1)), sighting(b"c.jpg", photo(2)))
    ledger.upload(2)
    assert planned(settings(), ledger.store).photos == 1


def test_nothing_owed_is_nothing_ahead(ledger: Ledger) -> None:
    assert list(plan_lines(planned(settings(), ledger.store))) == ["nothing is owed"]
    assert forecast(settings(), ledger.store) == (
        None,
        {"photos": 0, "bytes": 0, "requests": 0, "done_at": None},
    )


def test_the_forecast_learns_from_the_observed_pace(ledger: Ledger) -> None:
    see(ledger, 40, 20.0)
    for entry_id in range(1, 12):
        ledger.now += 3.0
        ledger.upload(entry_id)
    plan = planned(settings(), ledger.store)
    assert plan.course.rate is not None
    assert plan.course.rate.interval > 3.0
    assert plan_json(plan)["observed"] is True
    assert " as observed" in next(iter(plan_lines(plan)))


def test_the_budget_of_a_day_is_a_part_of_it(ledger: Ledger) -> None:
    see(ledger, 40, 20.0)
    plan = planned(settings(daily_uploads=10), ledger.store)
    assert plan.now.done_at is not None
    assert plan.now.done_at - plan.course.now > 2 * 24 * 3600
    assert next(iter(plan_lines(plan))).endswith("at 1/s, 10 photos a day")


def test_what_the_service_makes_wait_is_not_done_before(ledger: Ledger) -> None:
    see(ledger, 2, 1000.0)
    later = time.time() + 3600
    with ledger.store.write() as connection:
        set_fact(connection, "gate", Gate(not_before=later).to_json())
    told = planned(settings(), ledger.store)
    assert told.now.done_at is not None
    assert told.now.done_at >= later


def test_a_pause_has_no_end_that_could_be_told(ledger: Ledger) -> None:
    see(ledger, 3, 20.0)
    with ledger.store.write() as connection:
        set_fact(connection, "gate", Gate(pause=Pause("no credits", 1.0, None)).to_json())
    line, _ = forecast(settings(), ledger.store)
    assert line == "3 photos, about 3 requests, 3.0 MB: paused, no credits"


def test_a_person_and_the_hours_say_until_when_nothing_is_done(ledger: Ledger) -> None:
    see(ledger, 3, 20.0)
    Wishes(ledger.store).pause(time.time(), None)
    line, fields = forecast(settings(), ledger.store)
    assert line is not None
    assert "paused by a person since" in line
    assert fields["done_at"] is None
    assert Wishes(ledger.store).resume()
    hour = time.localtime().tm_hour
    closed = Hours((hour + 2) % 24 * 60, (hour + 2) % 24 * 60 + 60)
    at_night = replace(settings(), upload=UploadSettings(hours=(closed,)))
    line, fields = forecast(at_night, ledger.store)
    assert line is not None
    assert "as [upload] hours says; done t" in line
    opens = datetime.now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=2)  # noqa: DTZ005 -- local
    done = datetime.fromisoformat(fields["done_at"]).timestamp()
    assert opens.timestamp() < done < opens.timestamp() + 10
    always = (Hours(0, 60), Hours(60, 0))
    line, _ = forecast(replace(settings(), upload=UploadSettings(hours=always)), ledger.store)
    assert line is not None
    assert line.endswith(" at 1/s, in the hours for uploads")


def test_what_the_line_may_carry_is_a_part_of_it(ledger: Ledger) -> None:
    see(ledger, 3, 20.0)
    began = time.time()
    line, fields = forecast(settings(bandwidth=10_000), ledger.store)
    assert line is not None
    assert line.endswith(" at 1/s, 10.0 KB/s at most")
    assert datetime.fromisoformat(fields["done_at"]).timestamp() - began == pytest.approx(3 * 10**6 / 10_000, abs=5)


def test_without_a_pace_nobody_knows_before_something_left(ledger: Ledger) -> None:
    see(ledger, 3, 20.0)
    unpaced = Settings(
        Path("/c.toml"), LedgerSettings("sqlite:////l.db"), upload=UploadSettings(pace=None), folders=settings().folders
    )
    line, fields = forecast(unpaced, ledger.store)
    assert line is not None
    assert line.endswith("no pace is set, and too little was sent yet to tell when that is done")
    assert fields["done_at"] is None


def test_the_estimate_asks_one_index_alone(ledger: Ledger) -> None:
    see(ledger, 25, 0.0)
    assert estimate(ledger.store, 10).requests == 3
    assert estimate(ledger.store, 100).requests == 1


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (1.0, "1/s"),
        (0.1, "10/s"),
        (60.0, "1/min"),
        (120.0, "30/h"),
        (2.4, "25/min"),
        (2.43, "a request in 2.4 s"),
        (0.0, "no limit"),
    ],
)
def test_a_pace_is_written_as_it_is_configured(interval: float, words: str) -> None:
    assert pace_words(interval) == words


def test_a_moment_is_told_as_exactly_as_it_can_be_known() -> None:
    now = datetime(2026, 11, 24, 10, 30).astimezone().timestamp()
    assert when(now + 3600, now) == "today 11:30"
    assert when(now + 24 * 3600, now) == "tomorrow about 10:00"
    assert when(now + 3 * 24 * 3600, now) == "on Friday about 10:00"
    assert when(now + 30 * 24 * 3600, now) == "on 2026-12-24"
    assert when(None, now) == ""
