from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.extract.dates import Moment, read_moment, read_offset


def at(text: str, offset: int | None = None) -> Moment:
    return Moment(datetime.fromisoformat(text), offset)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024:01:02 03:04:05", at("2024-01-02 03:04:05")),
        ("2024:01:02 03:04:05\0", at("2024-01-02 03:04:05")),
        ("2024:01:02 03:04:05\0\0junk", at("2024-01-02 03:04:05")),
        ("  2024:01:02 03:04:05   ", at("2024-01-02 03:04:05")),
        ("2024-01-02 03:04:05", at("2024-01-02 03:04:05")),
        ("2024/01/02 03:04:05", at("2024-01-02 03:04:05")),
        ("2024.01.02 03:04:05", at("2024-01-02 03:04:05")),
        ("2024-01-02T03:04:05", at("2024-01-02 03:04:05")),
        ("2024:01:02T03:04:05", at("2024-01-02 03:04:05")),
        ("2024:01:02:03:04:05", at("2024-01-02 03:04:05")),
        ("2024:1:2 3:4:5", at("2024-01-02 03:04:05")),
        ("2024: 1: 2  3: 4: 5", at("2024-01-02 03:04:05")),
        ("2024-01-02T03:04", at("2024-01-02 03:04:00")),
        ("20240102T030405", at("2024-01-02 03:04:05")),
        ("20240102 030405", at("2024-01-02 03:04:05")),
        ("2024-01-02T03:04:05.987654", at("2024-01-02 03:04:05")),
        ("2024:01:02 03:04:05.99", at("2024-01-02 03:04:05")),
        ("2024-01-02T23:59:59.999Z", at("2024-01-02 23:59:59", 0)),
        ("2019-10-17T16:55:20-07:00", at("2019-10-17 16:55:20", -420)),
        ("2019:10:17 16:55:20+05:30", at("2019-10-17 16:55:20", 330)),
        ("2019-10-17T16:55:20+0530", at("2019-10-17 16:55:20", 330)),
        ("2019-10-17T16:55:20 -5:00", at("2019-10-17 16:55:20", -300)),
        ("2019-10-17T16:55:20+99:00", at("2019-10-17 16:55:20")),
        ("2024:02:29 00:00:00", at("2024-02-29 00:00:00")),
        ("1998:01:01 00:00:00", at("1998-01-01 00:00:00")),
        ("2099:09:29 10:10:10", at("2099-09-29 10:10:10")),
    ],
)
def test_e3_spellings_in_the_wild(text: str, moment: Moment) -> None:
    assert read_moment(text) == moment


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "blank"),
        ("\0\0\0", "blank"),
        ("    :  :     :  :  ", "blank"),
        ("0000:00:00 00:00:00", "all zeros"),
        ("0000-00-00T00:00:00Z", "all zeros"),
        ("2019:13:01 00:00:00", "month must be in 1..12"),
        ("2019:02:30 00:00:00", "day is out of range"),
        ("2023:02:29 00:00:00", "day is out of range"),
        ("2019:01:01 24:04:20", "hour must be in 0..23"),
        ("2019:01:01 10:61:00", "minute must be in 0..59"),
        ("2017:08:21 15:08:70", "second must be in 0..59"),
        ("2017:08:21 15:08:60", "second must be in 0..59"),
        ("0001:01:01 00:00:00", "older than photography"),
        ("2019:10:17", "no date with a time"),
        ("2019-10-17", "no date with a time"),
        ("2019", "no date with a time"),
        ("16:55:20", "no date with a time"),
        ("17.10.2019 16:55:20", "no date with a time"),
        ("2019:10:17 16:55:20 PM", "no date with a time"),
        ("Thu Oct 17 16:55:20 2019", "no date with a time"),
        ("\u0661999:01:01 00:00:00", "no date with a time"),
        ("9" * 100_000, "no date with a time"),
    ],
)
def test_e3_what_is_no_time_is_dropped_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        read_moment(text)
    assert len(str(caught.value)) < 200
    assert str(caught.value).isascii()


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("+05:30", 330),
        ("-05:00", -300),
        ("-5:00", -300),
        ("+0900", 540),
        ("+09", 540),
        ("Z", 0),
        ("+00:00", 0),
        ("+14:00", 840),
        ("-12:00\0", -720),
        ("   :  ", None),
        ("", None),
        ("\0", None),
    ],
)
def test_e3_offsets_in_the_wild(text: str, minutes: int | None) -> None:
    assert read_offset(text) == minutes


@pytest.mark.parametrize("text", ["+15:00", "+05:60", "UTC", "5", "+1:2:3", "++05:00"])
def test_e3_what_is_no_offset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no offset"):
        read_offset(text)


@settings(deadline=None)
@given(st.datetimes(min_value=datetime(1800, 1, 1), max_value=datetime(9999, 12, 31)))  # noqa: DTZ001 (wall clocks)
def test_every_time_that_exif_can_say_is_read_back(moment: datetime) -> None:
    expected = moment.replace(microsecond=0)
    assert read_moment(moment.strftime("%Y:%m:%d %H:%M:%S")).taken_at == expected
    assert read_moment(moment.isoformat()).taken_at == expected


@settings(deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_a_time_or_a_reason(text: str) -> None:
    with suppress(ValueError):
        moment = read_moment(text)
        assert moment.taken_at.tzinfo is None
        assert moment.taken_at.microsecond == 0
