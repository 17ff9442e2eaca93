"""Settings that changed are applied to what is known already: rules to places, the size limit to entries.

Without this a folder of 300,000 known photos would have to be read again for a new `skip`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, Protocol

from syncd.ledger.doubt import doubt, doubt_entry
from syncd.ledger.moves import move
from syncd.ledger.plain import Connection, text
from syncd.ledger.sightings import (
    WITHDRAWN_NOW,
    Policy,
    owe_namespace,
    owe_orphaned_edits,
    too_large,
)
from syncd.ledger.store import Store, fact, set_fact
from syncd.lifecycle import State
from syncd.model import Labels

_TOGETHER: Final = 5000
"""Photos that one transaction judges: others may write in between."""
_MOST_FOLDERS: Final = 5000
"""Folders whose judges are remembered."""


class FolderJudge(Protocol):
    """The rules for one folder."""

    def labels(self, name: bytes, camera_model: str | None) -> Labels:
        """Give namespace and skip of a photo; tags are not asked for."""
        ...


class Judge(Protocol):
    """The rules."""

    def of_folder(self, root: bytes, folder: bytes) -> FolderJudge:
        """Give those for one folder."""
        ...


def rejudge(
    store: Store, judge: Judge, policy: Policy, fingerprint: str, now: float, *, together: int = _TOGETHER
) -> int:
    """Judge every present place by the rules, if they are others than last time. Give how many places changed.

    A photo is judged as a whole: what follows for its entries is found when all of its places are judged.
    """
    with store.read() as connection:
        if fact(connection, "rules") == fingerprint:
            return 0
    judging = _Judging(judge, policy, now)
    changed = 0
    first = 1
    while True:
        with store.write() as connection:
            if first > (connection.execute(_LAST_PHOTO).scalar() or 0):
                set_fact(connection, "rules", fingerprint)
                return changed
            changed += judging.judge(connection, first, first + together - 1)
        first += together


def refit(store: Store, max_file_bytes: int, now: float) -> int:
    """Apply another size limit to the entries that wait, if it is another than last time. Give how many moved."""
    with store.write() as connection:
        if fact(connection, "max_file_bytes") == max_file_bytes:
            return 0
        moved = 0
        in_doubt = doubt(connection) is not None
        for row in connection.execute(_FIT_NOW, {"most": max_file_bytes}).all():
            moved += move(connection, row.id, State.UNFIT, State.READY, "max_file_bytes was raised", now)
            if in_doubt:
                doubt_entry(connection, row.id, now)
        for row in connection.execute(_UNFIT_NOW, {"most": max_file_bytes}).all():
            moved += move(connection, row.id, State.READY, State.UNFIT, str(too_large(row.size, max_file_bytes)), now)
        set_fact(connection, "max_file_bytes", max_file_bytes)
        return moved


class _Judging:
    """Judges the places of photos, and lets follow what follows for their entries."""

    def __init__(self, judge: Judge, policy: Policy, now: float) -> None:
        self._judge = judge
        self._policy = policy
        self._now = now
        self._folders: dict[int, FolderJudge] = {}

    def judge(self, connection: Connection, first: int, last: int) -> int:
        """Judge the photos with these numbers; give how many of their places changed."""
        changes: list[dict[str, object]] = []
        changed: set[int] = set()
        wanted: dict[int, list[str]] = {}
        rows = connection.execute(_PLACES, {"first": first, "last": last}).tuples()
        for place_id, photo_id, folder_id, name, camera_model, namespace, unwanted in rows:
            folder = self._folders.get(folder_id) or self._of_folder(connection, folder_id)
            labels = folder.labels(name, camera_model)
            if labels.namespace != namespace or labels.skipped != unwanted:
                changes.append({"place_id": place_id, "namespace": labels.namespace, "unwanted": labels.skipped})
                changed.add(photo_id)
            if self._policy.per_namespace and labels.skipped is None:
                wanted.setdefault(photo_id, []).append(labels.namespace)
        connection.execute_each(_JUDGED, changes)
        if wanted:
            self._owe_namespaces(connection, wanted, first, last)
        if changed or wanted:
            connection.execute(_REFRESH, {"first": first, "last": last})
        if changed:
            self._owe_orphans(connection, changed, wanted, first, last)
        return len(changes)

    def _of_folder(self, connection: Connection, folder_id: int) -> FolderJudge:
        if len(self._folders) >= _MOST_FOLDERS:
            self._folders.clear()
        row = connection.execute(_FOLDER, {"folder_id": folder_id}).one()
        return self._folders.setdefault(folder_id, self._judge.of_folder(row.root, row.folder))

    def _owe_namespaces(
        self, connection: Connection, wanted: Mapping[int, Collection[str]], first: int, last: int
    ) -> None:
        """Owe photos in each namespace that wants them.

        Also where the labels are the same: before, copies = "once" may have owed nothing for this namespace.
        """
        owed = set(connection.execute(_OWED, {"first": first, "last": last}).tuples())
        for photo_id, namespaces in wanted.items():
            for namespace in namespaces:
                # An entry of no namespace was made under copies = "once", and becomes that of one.
                if (photo_id, namespace) not in owed or (photo_id, "") in owed:
                    owe_namespace(connection, photo_id, namespace, self._now)

    def _owe_orphans(
        self,
        connection: Connection,
        changed: Collection[int],
        wanted: Mapping[int, Collection[str]],
        first: int,
        last: int,
    ) -> None:
        """Owe the edits of photos that the rules now keep at home, and those in each namespace that wants them."""
        edits = connection.execute(_EDITS, {"first": first, "last": last}).tuples()
        for photo_id in sorted({owner for owner, _ in edits}.intersection(changed)):
            owe_orphaned_edits(connection, photo_id, self._now)
            for edit_id in (edit_id for owner, edit_id in edits if owner == photo_id):
                for namespace in wanted.get(edit_id, ()):
                    owe_namespace(connection, edit_id, namespace, self._now)


_LAST_PHOTO = text("SELECT max(id) FROM photos")
_PLACES = text("""
    SELECT places.id, places.photo_id, places.folder_id, places.name, photos.camera_model,
           places.namespace, places.unwanted
    FROM places JOIN photos ON photos.id = places.photo_id
    WHERE places.photo_id BETWEEN :first AND :last AND places.gone_at IS NULL
    ORDER BY places.photo_id, places.id
""")
_FOLDER = text("""
    SELECT folders.path AS folder, roots.path AS root FROM folders JOIN roots ON roots.id = folders.root_id
    WHERE folders.id = :folder_id
""")
_JUDGED = text("UPDATE places SET namespace = :namespace, unwanted = :unwanted WHERE id = :place_id")
_OWED = text("SELECT photo_id, namespace FROM entries WHERE photo_id BETWEEN :first AND :last")
_REFRESH = text(f"""
    UPDATE entries SET withdrawn = {WITHDRAWN_NOW}
    WHERE photo_id BETWEEN :first AND :last AND withdrawn <> {WITHDRAWN_NOW}
""")  # noqa: S608  (no value in it)
_EDITS = text("SELECT edit_of, id FROM photos WHERE edit_of BETWEEN :first AND :last ORDER BY edit_of, id")
_FIT_NOW = text("""
    SELECT entries.id FROM entries JOIN photos ON photos.id = entries.photo_id
    WHERE entries.state = 'unfit' AND photos.unfit_code IS NULL AND entries.size <= :most
""")
_UNFIT_NOW = text("SELECT id, size FROM entries WHERE state = 'ready' AND size > :most")
