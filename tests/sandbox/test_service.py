from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncd.sandbox.contract import Code, Rejection
from syncd.sandbox.form import FormReader
from syncd.sandbox.service import Answer, Counts, Service
from syncd.sandbox.store import Store
from syncd.sandbox.switches import Switches
from tests.sandbox import forms
from tests.sandbox.forms import CONTENT_TYPE, Sent, picture

START = 1_780_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Service]]:
    made: list[Service] = []

    def build(**switches: object) -> Service:
        made.append(Service(Store(tmp_path), Switches(**switches), clock, "http://127.0.0.1:1/"))  # type: ignore[arg-type]  # checked by Switches' users
        return made[-1]

    yield build
    for service in made:
        service.close()


def upload(service: Service, *contents: str, fields: tuple[tuple[str, str], ...] = ()) -> Answer:
    files = [Sent(f"{content}.jpg", picture(content)) for content in contents or ("a",)]
    form = FormReader(CONTENT_TYPE, service.incoming, service.switches.batch_cap)
    form.write(forms.body(fields, files))
    answer = service.upload(form)
    form.discard()
    return answer


def code(answer: Answer) -> object:
    return answer.envelope["code"]


def ids(answer: Answer) -> list[int]:
    data = answer.envelope["data"]
    assert isinstance(data, list)
    return [row["id"] for row in data]


def search(service: Service, **asked: object) -> list[int]:
    answer = service.search(json.dumps({"search_param": "x", "search_type": "BY_IMAGE", **asked}).encode())
    data = answer.envelope["data"]
    assert isinstance(data, dict), answer
    return [row["id"] for row in data["item"]]


def test_ids_come_in_the_order_of_the_files(make: Callable[..., Service]) -> None:
    service = make()
    answer = upload(service, "b", "a", "c")
    assert [int(image.id) for image in service.images()] == ids(answer)
    assert [image.name for image in service.images()] == ["b.jpg", "a.jpg", "c.jpg"]
    assert ids(answer) == sorted(ids(answer))


def test_the_same_bytes_are_stored_and_billed_again(make: Callable[..., Service]) -> None:
    service = make(credits=5)
    assert ids(upload(service, "a")) != ids(upload(service, "a"))
    assert service.switches.credits == 3


def test_credits_are_used_up_and_a_batch_that_costs_more_is_refused_whole(make: Callable[..., Service]) -> None:
    service = make(credits=3)
    assert code(upload(service, "a", "b")) == "0000"
    refused = upload(service, "c", "d")
    assert (code(refused), refused.envelope["msg"]) == ("0402", "You don't have enough points.")
    assert len(service.images()) == 2
    assert code(upload(service, "c")) == "0000"
    assert service.switches.credits == 0


def test_a_rejected_upload_stores_nothing_and_leaves_nothing(make: Callable[..., Service]) -> None:
    service = make()
    assert code(upload(service, fields=(("colour", "red"),))) == "0003"
    assert service.images() == []
    assert not list(service.incoming.iterdir())
    assert service.counts() == Counts(rejected=1)


def test_every_third_answer_is_lost_though_stored(make: Callable[..., Service]) -> None:
    service = make(lose_every=3)
    assert [upload(service, str(n)).lost for n in range(6)] == [False, False, True, False, False, True]
    assert len(service.images()) == 6
    assert service.counts().lost == 2


def test_every_second_upload_fails_and_is_not_stored(make: Callable[..., Service]) -> None:
    service = make(fail_every=2, credits=10)
    assert [upload(service, str(n)).status for n in range(4)] == [200, 503, 200, 503]
    assert len(service.images()) == 2
    assert service.switches.credits == 8


def test_a_disk_that_fails_is_an_answer_and_nothing_is_stored(make: Callable[..., Service], tmp_path: Path) -> None:
    service = make(credits=5)
    (tmp_path / "images").rename(tmp_path / "gone")
    assert code(upload(service)) == "0500"
    assert service.switches.credits == 5
    assert service.images() == []


def test_the_rate_is_kept_and_quiet_restores_it(make: Callable[..., Service], clock: Clock) -> None:
    service = make(rate=0.5)
    assert service.admit_upload("sk-1") is None
    clock.now += 1.0
    assert service.admit_upload("sk-1") == Rejection(Code.RATE, "Request has exceeded the limit.")
    clock.now += 1.0
    assert service.admit_upload("sk-1") is None
    clock.now += 1000.0
    assert service.admit_upload("sk-1") is None
    assert service.admit_upload("sk-1") is not None, "quiet is not saved up"


def test_a_client_that_keeps_exactly_to_the_rate_is_never_punished(make: Callable[..., Service], clock: Clock) -> None:
    service = make(rate=1.0)
    for _ in range(100):
        assert service.admit_upload("sk-1") is None
        clock.now += 0.999


def test_searches_have_an_allowance_of_their_own(make: Callable[..., Service]) -> None:
    service = make(rate=1.0)
    assert service.admit_upload("sk-1") is None
    assert service.admit_search("sk-1") is None
    assert service.admit_search("sk-1") is not None


def test_a_clock_that_jumps_back_gives_no_requests_away(make: Callable[..., Service], clock: Clock) -> None:
    service = make(rate=1.0)
    assert service.admit_upload("sk-1") is None
    clock.now -= 3600
    assert service.admit_upload("sk-1") is not None


def test_a_bad_key_does_not_use_the_allowance(make: Callable[..., Service]) -> None:
    service = make(rate=1.0, key="sk-right")
    wrong = service.admit_upload("sk-wrong")
    assert wrong is not None
    assert wrong.code is Code.BAD_KEY
    assert service.admit_upload("sk-right") is None


@pytest.mark.parametrize(("statuses", "expected"), [(False, 200), (True, 400)])
def test_failures_come_with_200_unless_statuses_are_wanted(
    make: Callable[..., Service],
    statuses: bool,  # noqa: FBT001 -- a table's column
    expected: int,
) -> None:
    assert upload(make(http_statuses=statuses), fields=(("colour", "red"),)).status == expected


def test_a_marker_finds_its_request_after_the_lag(make: Callable[..., Service], clock: Clock) -> None:
    service = make(indexing_lag=60.0)
    answer = upload(service, "a", "b", fields=(("tags", "syncd-1"), ("unique_id", "F")))
    upload(service, "c", fields=(("tags", "syncd-2"), ("unique_id", "F")))
    clock.now += 59.0
    assert search(service, tag="syncd-1", unique_id="F") == []
    clock.now += 1.0
    assert search(service, tag="syncd-1", unique_id="F") == ids(answer)[::-1]
    assert search(service, tag="syncd-1") == [], "another namespace"


def test_searching_a_namespace_makes_it(make: Callable[..., Service]) -> None:
    service = make()
    search(service, unique_id="typo")
    search(service, unique_id="typo")
    assert service.namespaces().envelope["data"] == ["typo"]


def test_a_bad_search_makes_nothing(make: Callable[..., Service]) -> None:
    service = make()
    answer = service.search(b'{"search_param": "x", "search_type": "BY_IMAGE", "unique_id": "n", "top_k": 0}')
    assert code(answer) == "0003"
    assert service.namespaces().envelope["data"] == []


def test_switches_move_while_it_runs(make: Callable[..., Service]) -> None:
    service = make()
    assert isinstance(service.change_switches({"credits": 0}), Switches)
    assert code(upload(service)) == "0402"
    assert isinstance(service.change_switches({"credits": -1}), tuple)
    service.set_switches(Switches())
    assert code(upload(service)) == "0000"
