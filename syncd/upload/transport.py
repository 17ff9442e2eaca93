"""One POST over requests and urllib3, without anything that requests does on its own account.

No session: no cookies, no redirects, no retries, no proxy, `.netrc` or CA file from the environment. An answer is read
within limits of time and size; what is left of a broken one is kept, for its status may mean something.
"""

from __future__ import annotations

import functools
import http.client
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests
import urllib3
from requests.adapters import DEFAULT_CA_BUNDLE_PATH, HTTPAdapter

from syncd.errors import ConfigError
from syncd.upload.envelope import printable
from syncd.upload.wire import POOLS, SOCKET_OPTIONS, Outgoing

TROUBLE: Final = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    UnicodeError,
)
"""Whatever the network can do to a request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is None where it was cut, too long, too slow, or cannot be decoded."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None


class Transport(HTTPAdapter):
    """Posts to a few fixed addresses, each time over a connection of its own."""

    def __init__(self, targets: Iterable[str], *, proxy: str, ca_file: Path | None) -> None:
        self._targets = frozenset(targets)
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        encrypted = proxy.startswith("https:") or any(target.startswith("https:") for target in self._targets)
        self._tls = _tls_context(ca_file) if encrypted else None
        self._pools: dict[str, Any] = {}
        self._lines: dict[str, str] = {}
        super().__init__()

    def post(
        self, url: str, headers: Mapping[str, str], body: Outgoing | bytes, *, timeout: tuple[float, float], limit: int
    ) -> Answer:
        """Send one request (TROUBLE: no answer came). `timeout`: seconds for the connection, and for the whole answer.

        A body longer than `limit` bytes counts as unreadable.
        """
        if url not in self._targets:
            raise ValueError("a request to a place that is not configured")
        request: Any = requests.PreparedRequest()
        request.method, request.url, request.body = "POST", url, body
        request.headers = {"Host": host_header(url), **headers}
        response: Any = self.send(request, timeout=timeout, proxies=self._proxies)
        try:
            return Answer(response.status, response.fields, response.read_body(limit))
        finally:
            response.close()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **_: Any) -> None:  # noqa: FBT001, FBT002 - requests' own
        """Make urllib3 use our connections and our TLS settings."""
        super().init_poolmanager(connections, maxsize, block, **self._options())
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **_: Any) -> Any:
        """Do the same behind a proxy."""
        if not proxy.lower().startswith(("http://", "https://")):
            raise requests.exceptions.InvalidProxyURL("only http:// and https:// proxies can be used")
        manager = super().proxy_manager_for(proxy, proxy_ssl_context=self._tls, **self._options())
        manager.pool_classes_by_scheme = POOLS
        return manager

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave the verification to our context: by default requests would read the CA file for each connection."""

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> Any:  # noqa: ARG002 - requests' own
        """Pass the answer on as it is, a `LastResponse`: no cookies, no guesses of an encoding."""
        return resp

    def get_connection_with_tls_context(self, request: Any, verify: Any, proxies: Any = None, cert: Any = None) -> Any:
        """Look once for each address which pool makes its connections: that takes longer than to send a photo."""
        pool = self._pools.get(request.url)
        if pool is None:
            pool = self._pools[request.url] = super().get_connection_with_tls_context(request, verify, proxies, cert)
        return pool

    def request_url(self, request: Any, proxies: Any) -> str:
        """Work out once for each address what stands in the first line of its requests."""
        target = self._lines.get(request.url)
        if target is None:
            target = self._lines[request.url] = super().request_url(request, proxies)
        return target

    def _options(self) -> dict[str, Any]:
        return {"socket_options": SOCKET_OPTIONS, "ssl_context": self._tls}


_EXPLAINED: Final[Mapping[type[Exception], str]] = {
    urllib3.exceptions.NameResolutionError: "the name of the service cannot be resolved",
    urllib3.exceptions.ConnectTimeoutError: "no connection in time",
    urllib3.exceptions.TimeoutError: "nothing came in time",
    TimeoutError: "nothing came in time",
    http.client.RemoteDisconnected: "the connection was closed without an answer",
    http.client.HTTPException: "what came back is not HTTP",
}


def explain(error: BaseException) -> str:
    """Say in a few words what the network did: the innermost reason, without addresses of objects."""
    cause = error
    for _ in range(10):
        inner = _inner(cause)
        if inner is None:
            break
        cause = inner
    words = next((words for kind, words in _EXPLAINED.items() if isinstance(cause, kind)), None)
    if words is not None:
        return words
    if isinstance(cause, ssl.SSLCertVerificationError):
        return printable(f"the certificate of the service is not trusted: {cause.verify_message}")
    if isinstance(cause, OSError) and cause.strerror:
        return printable(cause.strerror.lower())
    return printable(f"{type(cause).__name__}: {cause}")


def _inner(error: BaseException) -> BaseException | None:
    """Find what an error wraps: `reason` (urllib3), an argument (requests), else its cause."""
    found = getattr(error, "reason", None)
    if isinstance(found, BaseException):
        return found
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return None
    return next((each for each in error.args if isinstance(each, BaseException)), error.__cause__)


@functools.cache
def host_header(url: str) -> str:
    """Give what the Host header says for an address."""
    parsed = urllib3.util.parse_url(url)
    default = {"http": 80, "https": 443}.get(parsed.scheme or "")
    return parsed.host or "" if parsed.port in {None, default} else f"{parsed.host}:{parsed.port}"


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Verify host and chain. Not ssl.create_default_context: it obeys $SSLKEYLOGFILE and would leak."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=str(ca_file or DEFAULT_CA_BUNDLE_PATH))
    except OSError as error:
        raise ConfigError(
            f"the certificates in {ca_file or DEFAULT_CA_BUNDLE_PATH} cannot be used: {error.strerror or error}",
            hint="set api.ca_file to a file of PEM certificates, or leave it empty",
        ) from error
    return context
