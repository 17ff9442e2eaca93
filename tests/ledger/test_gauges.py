"""The figures of the ledger, after a few requests."""

from __future__ import annotations

from pathlib import Path

from syncd.ledger.gauges import gauges
from syncd.settings import UploadSettings
from tests.fakes.reader import photo_bytes
from tests.fakes.rig import Rig
from tests.fakes.service import Act


def test_requests_by_outcome_bytes_and_the_age_of_the_queue(tmp_path: Path) -> None:
    with Rig(tmp_path, upload=UploadSettings(pace=None, batch_files=1)) as rig:
        assert gauges(rig.store).requests == {}
        assert gauges(rig.store).oldest_owed_at is None
        content = photo_bytes("a")
        rig.write("a.jpg", content)
        rig.write("b.jpg", photo_bytes("b"))
        rig.service.acts.extend([Act.OK, Act.NO_CREDITS])
        rig.scan()
        arrived = rig.clock.now()
        rig.pump()
        rig.clock.advance(60)
        found = gauges(rig.store)
        assert found.requests == {"stored": 1, "paused": 1}
        assert found.stored_bytes == len(content)
        assert found.oldest_owed_at == arrived
        assert found.last_request_at == arrived
        assert found.ledger_bytes > 0
        assert found.wal_bytes > 0
