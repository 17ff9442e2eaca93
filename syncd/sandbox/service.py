"""The account that the sandbox plays: each answer follows from the rules, the switches and what is stored. No HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from syncd.sandbox import contract, search
from syncd.sandbox.contract import Code, Rejection, StoredImage
from syncd.sandbox.form import FormError, FormReader
from syncd.sandbox.store import Store
from syncd.sandbox.switches import Switches, change

JITTER: Final = 0.05
"""The share of a token by which a request may come early: a client that keeps exactly to the rate is not punished."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. `lost`: the connection is closed instead. `broken`: a plain HTTP 503, the account untouched."""

    envelope: Mapping[str, object]
    status: int = 200
    lost: bool = False
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """How many requests came since the start, and what became of the uploads among them."""

    requests: int = 0
    uploads: int = 0
    accepted: int = 0
    rejected: int = 0
    lost: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the account is at one moment."""

    images: Sequence[StoredImage]
    """Newest first."""
    namespaces: Sequence[str]
    counts: Counts
    switches: Switches


class Allowance:
    """A bucket of requests that fills at the rate and holds at least one (one second's worth above that)."""

    def __init__(self) -> None:
        self._left = 1.0
        self._at: float | None = None

    def take(self, rate: float, now: float) -> bool:
        """Take one request out, if there is one."""
        room = max(1.0, rate)
        elapsed = 0.0 if self._at is None else max(0.0, now - self._at)
        self._left = room if self._at is None else min(room, self._left + elapsed * rate)
        self._at = now
        if self._left < 1.0 - JITTER:
            return False
        self._left = max(0.0, self._left - 1.0)
        return True


class Service:
    """One account. Thread-safe; every public method may block for a moment while something is written to disk."""

    def __init__(self, store: Store, switches: Switches, clock: Callable[[], float], page_url: str) -> None:
        self._store = store
        self._switches = switches
        self._clock = clock
        self._lock = threading.RLock()
        self._counts = Counts()
        self._uploads = Allowance()
        self._searches = Allowance()
        self._page_url = page_url

    @property
    def incoming(self) -> Path:
        """Where files lie while they arrive."""
        return self._store.incoming

    def close(self) -> None:
        """Let the folder go. What was stored can still be read."""
        with self._lock:
            self._store.close()

    @property
    def switches(self) -> Switches:
        """The switches as they are now; `credits` is what is left."""
        with self._lock:
            return self._switches

    def set_switches(self, switches: Switches) -> None:
        """Replace all switches."""
        with self._lock:
            self._switches = switches

    def change_switches(self, wanted: Mapping[str, object]) -> Switches | tuple[str, ...]:
        """Change some switches by name, or say what is wrong with them."""
        with self._lock:
            changed = change(self._switches, wanted)
            if isinstance(changed, Switches):
                self._switches = changed
            return changed

    def counts(self) -> Counts:
        """Give the counts since the start."""
        with self._lock:
            return self._counts

    def images(self) -> list[StoredImage]:
        """All images, oldest first."""
        with self._lock:
            return self._store.images()

    def image(self, image_id: str) -> tuple[StoredImage, Path] | None:
        """Give an image and where its bytes lie."""
        with self._lock:
            image = self._store.image(image_id)
            return None if image is None else (image, self._store.path(image))

    def holdings(self) -> Holdings:
        """Give everything that the page shows, as of one moment."""
        with self._lock:
            return Holdings(
                images=self._store.images()[::-1],
                namespaces=self._store.namespaces(),
                counts=self._counts,
                switches=self._switches,
            )

    def admit_upload(self, key: str | None) -> Rejection | None:
        """Judge an upload by its headers."""
        with self._lock:
            self._count(requests=1, uploads=1)
            return self._admit(key, self._uploads)

    def admit_search(self, key: str | None) -> Rejection | None:
        """Judge a search by its headers."""
        with self._lock:
            self._count(requests=1)
            return self._admit(key, self._searches)

    def reject(self, rejection: Rejection) -> Answer:
        """Answer an upload that is rejected, and count it."""
        with self._lock:
            self._count(rejected=1)
            return self.failure(rejection)

    def failure(self, rejection: Rejection) -> Answer:
        """Answer any request that is rejected."""
        status = rejection.code.status if self.switches.http_statuses else 200
        return Answer(contract.failure_envelope(rejection), status)

    def upload(self, form: FormReader) -> Answer:
        """Judge and store an upload whose body has ended. What is stored is moved out of the form's files."""
        try:
            form.finish()
        except FormError as error:
            return self.reject(contract.bad(str(error)))
        except OSError as error:
            return self.reject(not_stored(error))
        with self._lock:
            accepted = contract.check_upload(form.fields, [file.part for file in form.files], self._switches.batch_cap)
            if isinstance(accepted, Rejection):
                return self.reject(accepted)
            left = self._switches.credits
            if left is not None and left < len(form.files):
                return self.reject(Rejection(Code.NO_CREDITS, "You don't have enough points."))
            self._count(accepted=1)
            if is_turn(self._counts.accepted, self._switches.fail_every):
                self._count(failed=1)
                return Answer({}, 503, broken=True)
            return self._keep(form, accepted)

    def search(self, body: bytes) -> Answer:
        """Answer a search. A namespace that is searched exists from then on."""
        query = search.read_query(body)
        if isinstance(query, Rejection):
            return self.failure(query)
        with self._lock:
            self._store.name(query.unique_id)
            before = self._clock() - self._switches.indexing_lag
            found = search.answer(self._store.images(), query, before, self._page_url)
        return Answer(contract.success_envelope(found))

    def namespaces(self) -> Answer:
        """Answer the list of namespaces."""
        with self._lock:
            return Answer(contract.success_envelope(self._store.namespaces()))

    def _keep(self, form: FormReader, accepted: contract.Accepted) -> Answer:
        now = self._clock()
        arrived = []
        for file, kind in zip(form.files, accepted.types, strict=True):
            image = StoredImage(
                id="",
                name=file.part.name,
                type=kind,
                sha256=file.sha256,
                size=file.part.size,
                unique_id=accepted.unique_id,
                datetime_taken=accepted.datetime_taken,
                camera_model=accepted.camera_model,
                latitude=accepted.latitude,
                longitude=accepted.longitude,
                tags=accepted.tags,
                created_at=now,
            )
            arrived.append((file, image))
        try:
            images = self._store.add(arrived)
        except OSError as error:
            return self.reject(not_stored(error))
        if self._switches.credits is not None:
            self._switches = replace(self._switches, credits=self._switches.credits - len(images))
        lost = is_turn(self._counts.accepted, self._switches.lose_every)
        self._count(lost=int(lost))
        return Answer(contract.success_envelope([{"id": int(image.id)} for image in images]), lost=lost)

    def _admit(self, key: str | None, allowance: Allowance) -> Rejection | None:
        rejection = contract.check_key(key, self._switches.key)
        rate = self._switches.rate
        if rejection is None and rate is not None and not allowance.take(rate, self._clock()):
            return Rejection(Code.RATE, "Request has exceeded the limit.")
        return rejection

    def _count(self, **more: int) -> None:
        self._counts = replace(
            self._counts, **{name: getattr(self._counts, name) + number for name, number in more.items()}
        )


def not_stored(error: OSError) -> Rejection:
    """Say that the sandbox's own disk let it down."""
    return Rejection(Code.FAILED, f"The sandbox could not store the images: {error.strerror}.")


def is_turn(number: int, every: int | None) -> bool:
    """Tell whether the n-th of something is one of every so many."""
    return every is not None and number % every == 0
