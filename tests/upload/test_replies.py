from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.upload.envelope import exact_ids, read_envelope
from syncd.upload.replies import (
    RETRY_AFTER_CAP,
    BadRequest,
    Doubt,
    Hit,
    NotSent,
    Paused,
    PauseReason,
    RateLimited,
    Reply,
    SearchFailed,
    Stored,
    TooMany,
    Unanswered,
    classify,
    read_search,
    retry_after,
)

IDS = (568102998803353601, 568102998803357699)
GOOD = {"code": "0000", "msg": "success", "data": [{"id": each} for each in IDS], "success": True, "failed": False}
NOW = 1_700_000_000.0


def ask(
    answer: object,
    status: int = 200,
    *,
    files: int = 2,
    complete: bool = True,
    headers: dict[str, str] | None = None,
) -> Reply:
    body = answer if answer is None or isinstance(answer, bytes) else json.dumps(answer).encode()
    return classify(status, headers or {}, body, files, complete, NOW)


def told(code: object, message: str = "failed") -> dict[str, object]:
    return {"code": code, "msg": message}


def test_exact_ids_mean_stored_in_their_order() -> None:
    assert ask(GOOD) == Stored(("568102998803353601", "568102998803357699"))
    assert ask({**GOOD, "code": 0}, status=201) == Stored(("568102998803353601", "568102998803357699"))
    assert ask({"code": "0000", "data": GOOD["data"]}) == Stored(("568102998803353601", "568102998803357699"))


@pytest.mark.parametrize(
    "data",
    [
        [], [{"id": IDS[0]}], [{"id": IDS[0]}] * 2, [{"id": each} for each in (*IDS, 7)], None, {"id": IDS[0]},
        [str(IDS[0]), str(IDS[1])],
        [{"id": float(each)} for each in IDS], [{"id": -each} for each in IDS],
        [{"id": each + 2**64} for each in IDS], [{"id": True}, {"id": 2}],
    ],
)  # fmt: skip
def test_b14_success_without_exactly_the_ids_is_unknown(data: object) -> None:
    reply = ask({**GOOD, "data": data})
    assert isinstance(reply, Unanswered)
    assert reply.cause is Doubt.IDS


@pytest.mark.parametrize(
    ("answer", "status", "cause"),
    [
        ({**GOOD, "success": False}, 200, Doubt.CONTRADICTION),
        ({**GOOD, "failed": True}, 200, Doubt.CONTRADICTION),
        ({**GOOD, "code": "0003"}, 200, Doubt.CONTRADICTION),
        ({**GOOD, "code": "0429"}, 429, Doubt.CONTRADICTION),
        ({**GOOD, "code": "7777"}, 200, Doubt.CONTRADICTION),
        (GOOD, 400, Doubt.CONTRADICTION),
        (GOOD, 401, Doubt.CONTRADICTION),
        (GOOD, 500, Doubt.CONTRADICTION),
        (told("0001", "Network abnormal."), 200, Doubt.NONSENSE),
        (told("0001", "Parameter error."), 200, Doubt.NONSENSE),
        (told("0001", "the files could not be stored"), 200, Doubt.NONSENSE),
        (told("7777", "who knows"), 200, Doubt.NONSENSE),
        (told(None, "who knows"), 200, Doubt.NONSENSE),
        (told("0003", "datetime_taken"), 500, Doubt.SERVER_ERROR),
        (told("0500", "broken"), 200, Doubt.NONSENSE),
        (b"<html>Please log in</html>", 200, Doubt.NONSENSE),
        (b"", 200, Doubt.NONSENSE),
        (b"", 204, Doubt.NONSENSE),
        (None, 200, Doubt.NO_ANSWER),
        (b'{"code":"0000","data":[{"id":568', 200, Doubt.NONSENSE),
        (b"<h1>Bad gateway</h1>", 502, Doubt.SERVER_ERROR),
        (None, 503, Doubt.SERVER_ERROR),
        (b"{}", 500, Doubt.SERVER_ERROR),
        (b"", 504, Doubt.SERVER_ERROR),
        (b"", 408, Doubt.NONSENSE),
        (b"", 409, Doubt.NONSENSE),
        (b"", 410, Doubt.NONSENSE),
        (b"", 418, Doubt.NONSENSE),
        (b"", 101, Doubt.NONSENSE),
        (b"", 599, Doubt.SERVER_ERROR),
        (b"", 999, Doubt.SERVER_ERROR),
    ],
)
def test_b4_whatever_is_not_documented_is_unknown(answer: object, status: int, cause: Doubt) -> None:
    reply = ask(answer, status)
    assert isinstance(reply, Unanswered)
    assert reply.cause is cause
    assert reply.status == status


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        (told("0401"), 200, PauseReason.BAD_KEY),
        (told(401), 200, PauseReason.BAD_KEY),
        (told("9009"), 200, PauseReason.BAD_KEY),
        (b"", 401, PauseReason.BAD_KEY),
        (None, 401, PauseReason.BAD_KEY),
        (told("0003"), 401, PauseReason.BAD_KEY),
        (told("0401"), 403, PauseReason.BAD_KEY),
        (told("0403"), 200, PauseReason.DISABLED),
        (b"<h1>Forbidden</h1>", 403, PauseReason.DISABLED),
        (told("0402"), 200, PauseReason.NO_CREDITS),
        (told("0402"), 500, PauseReason.NO_CREDITS),
        (told("7777", "You don't have ENOUGH points."), 200, PauseReason.NO_CREDITS),
        (told("0402", "You don't have enough points."), 403, PauseReason.NO_CREDITS),
        (b"", 402, PauseReason.NO_CREDITS),
        (b"", 404, PauseReason.GONE),
        (b'{"status":500,"message":"No static resource serve/api/v1/upload_img."}', 500, PauseReason.GONE),
        (told("0404", "No static resource."), 200, PauseReason.GONE),
        (b"", 300, PauseReason.ELSEWHERE),
        (b"", 301, PauseReason.ELSEWHERE),
        (b"", 302, PauseReason.ELSEWHERE),
        (b"", 304, PauseReason.ELSEWHERE),
        (b"", 307, PauseReason.ELSEWHERE),
        (b"", 308, PauseReason.ELSEWHERE),
        (GOOD, 302, PauseReason.ELSEWHERE),
        (b"", 405, PauseReason.ELSEWHERE),
        (b"", 411, PauseReason.ELSEWHERE),
    ],
)
def test_b12_the_whole_queue_pauses(answer: object, status: int, reason: PauseReason, *, complete: bool) -> None:
    reply = ask(answer, status, complete=complete)
    assert isinstance(reply, Paused)
    assert reply.reason is reason
    assert reply.status == status


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (told("0429", "slower"), 200),
        (told(429, "slower"), 200),
        (told("0429", "slower"), 503),
        (told("7777", "Request has exceeded the limit."), 200),
        (told("0001", "Request has EXCEEDED the limit."), 200),
        (told("0003", "Request has exceeded the limit."), 400),
        (told("7777", "Request has exceeded the limit."), 403),
        (b"<h1>Too many requests</h1>", 429),
        (None, 429),
    ],
)
def test_too_fast_slows_down(answer: object, status: int, *, complete: bool) -> None:
    reply = ask(answer, status, complete=complete, headers={"RETRY-AFTER": "7"})
    assert isinstance(reply, RateLimited)
    assert reply.retry_after == 7.0
    silent = ask(answer, status, complete=complete)
    assert isinstance(silent, RateLimited)
    assert silent.retry_after is None


@pytest.mark.parametrize(
    ("answer", "status", "code", "field"),
    [
        (told("0003", "Parameter error."), 200, "0003", None),
        (told(3, "Parameter error."), 200, "0003", None),
        (told("0003", "datetime_taken must be yyyy-MM-dd HH:mm:ss"), 200, "0003", "datetime_taken"),
        (told("0003", "tags exceeded the limit of 50"), 200, "0003", "tags"),
        (told("0003", "File 2 exceeded the limit"), 200, "0003", None),
        (told("0001", "camera_model is too long"), 200, "0001", "camera_model"),
        (told("0001", "tags exceeded the limit of 50"), 200, "0001", "tags"),
        (told("0001", "latitude"), 400, "0001", "latitude"),
        (b"<h1>Bad request</h1>", 400, "400", None),
        (b"<h1>Too large</h1>", 413, "413", None),
        (None, 413, "413", None),
        (b"", 415, "415", None),
        (b"", 422, "422", None),
        (told("7777", "unique_id must not be empty"), 422, "7777", "unique_id"),
    ],
)
def test_a_rejection_of_the_files_names_its_field(answer: object, status: int, code: str, field: str | None) -> None:
    for complete in (True, False):
        reply = ask(answer, status, complete=complete)
        assert isinstance(reply, BadRequest)
        assert (reply.code, reply.field, reply.status) == (code, field, status)


def test_too_many_files_tell_the_cap() -> None:
    words = "The number of files exceeds the limit. At most 3 files."
    for status, code in ((200, "0003"), (400, "0003"), (422, "7777"), (200, "0001"), (200, "7777")):
        reply = ask(told(code, words), status, files=5)
        assert isinstance(reply, TooMany)
        assert reply.cap == 3
    unnamed = ask(told("0003", "Too many files."), files=5)
    assert isinstance(unnamed, TooMany)
    assert unnamed.cap is None
    assert isinstance(ask(told("0003", words), files=1), BadRequest)
    assert isinstance(ask(told("0001", "Too many files."), files=5), Unanswered)
    assert isinstance(ask(told("0003", "The number of files per request exceeded the limit of 3"), files=5), TooMany)


def test_h1_too_large_with_a_time_means_later() -> None:
    assert isinstance(ask(b"", 413, complete=False), BadRequest)
    later = ask(b"", 413, complete=False, headers={"Retry-After": "30"})
    assert isinstance(later, RateLimited)
    assert later.retry_after == 30.0


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"<html>Please log in</html>", 200),
        (b"", 200),
        (None, 200),
        (b"", 502),
        (b"", 408),
        (told("0001"), 200),
        (told("7777"), 500),
    ],
)
def test_an_incomplete_request_without_a_rejection_was_not_sent(answer: object, status: int) -> None:
    reply = ask(answer, status, complete=False)
    assert isinstance(reply, NotSent)
    assert str(status) in reply.cause or "failed" in reply.cause
    assert reply.status == status


def test_a_claim_of_success_before_the_end_is_unknown() -> None:
    reply = ask(GOOD, complete=False)
    assert isinstance(reply, Unanswered)
    assert reply.cause is Doubt.CONTRADICTION


def test_b5_a_redirect_says_where_to() -> None:
    reply = ask(b"", 302, headers={"Location": "https://login.invalid/\x1b[31m" + "x" * 500})
    assert isinstance(reply, Paused)
    assert "https://login.invalid/\\x1b[31m" in reply.message
    assert len(reply.message) < 200


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0), ("7", 7.0), (" 7 ", 7.0), ("007", 7.0), ("86400", RETRY_AFTER_CAP),
        ("9" * 5000, RETRY_AFTER_CAP), ("5, 10", 10.0),
        ("-5", None), ("1e9", None), ("soon", None), ("", None), (None, None), ("1.5", None),
        ("\N{ARABIC-INDIC DIGIT SEVEN}", None),
        (",", None), ("5,", None),
        ("inf", None), ("nan", None), ("Mon, 99 Foo 2024 00:00:00 GMT", None),
        ("Mon, 01 Jan 99999 00:00:00 GMT", None),
    ],
)  # fmt: skip
def test_h2_retry_after_is_bounded(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


@pytest.mark.parametrize(("distance", "seconds"), [(-3600, 0.0), (0, 0.0), (90, 90.0), (10**9, RETRY_AFTER_CAP)])
def test_h2_retry_after_may_be_a_date(distance: int, seconds: float) -> None:
    date = format_datetime(datetime.fromtimestamp(NOW + distance, UTC), usegmt=True)
    assert retry_after(date, NOW) == seconds


@given(st.text(max_size=40))
def test_h2_any_retry_after_is_bounded_or_nothing(value: str) -> None:
    seconds = retry_after(value, NOW)
    assert seconds is None or 0.0 <= seconds <= RETRY_AFTER_CAP


SOME_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(IDS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["id", "x"]), inner, max_size=2),
    max_leaves=8,
)
SOME_DATA = SOME_JSON | st.lists(
    st.builds(lambda each: {"id": each}, st.sampled_from([*IDS, str(IDS[0]), 0, "x", 1.0])), max_size=3
)
SOME_WORDS = st.text(max_size=30) | st.sampled_from(
    [
        "Request has exceeded the limit.",
        "At most 2 files.",
        "tags",
        "You don't have enough points.",
        "No static resource",
    ]
)
SOME_CODE = st.sampled_from(["0000", 0, "0001", "0003", "0401", "0402", "0403", "0429", "9009"]) | SOME_JSON
SOME_ANSWER = (
    st.binary(max_size=60)
    | st.none()
    | st.fixed_dictionaries(
        {},
        optional={"code": SOME_CODE, "msg": SOME_WORDS, "data": SOME_DATA, "success": SOME_JSON, "failed": SOME_JSON},
    ).map(lambda answer: json.dumps(answer).encode())
)
SOME_STATUS = st.sampled_from(
    [200, 200, 200, 201, 204, 302, 400, 401, 402, 404, 408, 413, 429, 500, 503]
) | st.integers(100, 999)


@given(status=SOME_STATUS, body=SOME_ANSWER, files=st.integers(1, 4), complete=st.booleans(), wait=st.text(max_size=10))
def test_any_answer_is_classified_and_only_exact_ids_are_stored(
    status: int,
    body: bytes | None,
    files: int,
    wait: str,
    *,
    complete: bool,
) -> None:
    reply = classify(status, {"Retry-After": wait}, body, files, complete, NOW)
    envelope = read_envelope(body)
    if isinstance(reply, Stored):
        assert complete
        assert 200 <= status < 300
        assert envelope is not None
        assert envelope.code == "0000"
        assert exact_ids(envelope.data, files) == reply.ids
        assert len(set(reply.ids)) == files
        return
    words = reply.cause if isinstance(reply, NotSent) else getattr(reply, "message", "")
    assert words
    assert words.isprintable()
    assert len(words) <= 400
    if isinstance(reply, NotSent):
        assert not complete
    if envelope is not None and (envelope.code == "0000" or envelope.gives_ids) and not 300 <= status < 400:
        assert isinstance(reply, Unanswered), "what may have been stored is never sent again"


def found(*items: object) -> bytes:
    return json.dumps({"code": "0000", "msg": "ok", "data": {"current_page": 1, "item": list(items)}}).encode()


def test_a_search_gives_its_proper_hits() -> None:
    good = {"id": IDS[0], "name": "a-0123456789ab", "score": 0.5}
    body = found(
        good, {"id": 1.5, "name": "x"}, {"id": 5}, {"name": "x"}, {"id": 5, "name": ""}, None, {"id": "7", "name": "b"}
    )
    assert read_search(200, {}, body) == (Hit(str(IDS[0]), "a-0123456789ab"), Hit("7", "b"))


@pytest.mark.parametrize(
    "data",
    [
        [{"id": 7, "name": "b"}],
        {"item": [{"id": 7, "name": "b"}]},
        {"total_count": 1, "item": [{"id": "7", "name": "b"}]},
    ],
)
def test_a_search_may_answer_with_a_bare_list(data: object) -> None:
    assert read_search(200, {}, json.dumps({"code": "0000", "data": data}).encode()) == (Hit("7", "b"),)


@pytest.mark.parametrize("data", [None, [], {}, {"item": None}, {"item": []}])
def test_a_search_may_miss(data: object) -> None:
    assert read_search(200, {}, json.dumps({"code": "0000", "data": data}).encode()) == ()


@pytest.mark.parametrize(
    ("status", "body", "failed"),
    [
        (200, b"", SearchFailed("HTTP 200 without a message")),
        (200, None, SearchFailed("HTTP 200, and the rest of the answer was cut or cannot be read")),
        (502, b"<title>Bad gateway</title>", SearchFailed("HTTP 502: Bad gateway")),
        (200, b'{"code":"0401","msg":"no"}', SearchFailed("no", paused=PauseReason.BAD_KEY)),
        (404, b"", SearchFailed("HTTP 404 without a message", paused=PauseReason.GONE)),
        (429, b"", SearchFailed("HTTP 429 without a message", limited=True, retry_after=9.0)),
        (200, b'{"code":"0000","msg":"odd","data":"x"}', SearchFailed("odd")),
        (200, b'{"code":"0003","msg":"top_k"}', SearchFailed("top_k")),
        (500, found({"id": 7, "name": "b"}), SearchFailed("ok")),
    ],
)
def test_a_search_may_fail(status: int, body: bytes | None, failed: SearchFailed) -> None:
    assert read_search(status, {"Retry-After": "9"}, body) == failed


@given(SOME_STATUS, SOME_ANSWER)
def test_any_search_is_read(status: int, body: bytes | None) -> None:
    answer = read_search(status, {}, body)
    if isinstance(answer, tuple):
        assert all(hit.id.isdigit() and hit.name for hit in answer)
