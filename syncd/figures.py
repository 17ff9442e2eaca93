"""Numbers, sizes, times and durations as a person writes and reads them. Pure, but for the machine's time zone."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache


def amount(count: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun: "1 photo", "2,385 photos"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def size(count: float) -> str:
    """Write bytes for a person, in decimal units."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """Write a duration for a person: "45 s", "2 h 17 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} days {hours % 24} h"


def local_moment(seconds: float) -> str:
    """Write a moment for a person, in the machine's time zone."""
    return _local_second(int(seconds // 1))


@lru_cache(maxsize=8)
def _local_second(second: int) -> str:
    # A busy log has many lines in a second.
    return datetime.fromtimestamp(second).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def clock_time(seconds: float, now: float) -> str:
    """Write a moment as short as it can be understood now: "14:02", or with the day where it is another one."""
    moment, today = datetime.fromtimestamp(seconds).astimezone(), datetime.fromtimestamp(now).astimezone()
    return moment.strftime("%H:%M" if moment.date() == today.date() else "%Y-%m-%d %H:%M")
