"""What is said of a file's upload, by what the ledger knows of it and where its copies are."""

from __future__ import annotations

import pytest

from syncd.card.judging import judged
from syncd.card.layout import CardFile
from syncd.card.report import Sending, Standing
from syncd.ledger.imports import Fingerprints, Known, Upload
from syncd.ledger.reports import WITHDRAWN
from syncd.lifecycle import State
from syncd.model import PlacePath

COPY = b"/photos/2024/a.jpg"
PLACE = PlacePath(b"/photos", b"2024", b"a.jpg")


@pytest.mark.parametrize(
    ("uploads", "seen", "sending"),
    [
        ((), False, Sending.OWED),
        ((), True, Sending.NOT_SENT),
        ((Upload(State.UPLOADED, "7", None),), True, Sending.UPLOADED),
        ((Upload(State.READY, None, None),), True, Sending.OWED),
        ((Upload(State.SENDING, None, None),), True, Sending.OWED),
        ((Upload(State.REFUSED, None, "too odd"),), True, Sending.HELD),
        ((Upload(State.UNANSWERED, None, "no answer"),), True, Sending.HELD),
        ((Upload(State.UNFIT, None, "damaged"),), True, Sending.NOT_SENT),
        ((Upload(WITHDRAWN, None, "rule 1 skips it"),), True, Sending.NOT_SENT),
        # Its old place is gone, and no sync has seen the copy that was just made: it will be owed again.
        ((Upload(WITHDRAWN, None, None),), False, Sending.OWED),
        ((Upload(WITHDRAWN, None, None), Upload(State.UPLOADED, "8", None)), True, Sending.UPLOADED),
    ],
)
def test_what_became_of_it_at_the_service(uploads: tuple[Upload, ...], sending: Sending, *, seen: bool) -> None:
    known = Known(places=(PLACE,) if seen else (), is_photo=bool(uploads), uploads=uploads)
    prints = Fingerprints("d", "q", "h", 1)
    found = judged(CardFile(b"", b"a.jpg", 1, 0), prints, known, Standing.KNOWN, [COPY], lambda path: path == COPY)
    assert found.sending is sending
    assert found.image_ids == tuple(one.image_id for one in uploads if one.image_id)


def test_what_lies_in_no_watched_folder_is_not_sent() -> None:
    prints = Fingerprints("d", "q", "h", 1)
    found = judged(CardFile(b"", b"a.jpg", 1, 0), prints, Known(), Standing.COPIED, [COPY], lambda _: False)
    assert found.sending is Sending.NOT_SENT
