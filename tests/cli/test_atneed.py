"""The client of the service is made when it is needed, and once."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.cli.atneed import ClientAtNeed
from syncd.errors import ConfigError
from syncd.upload.client import Client, ClientSettings
from syncd.upload.replies import SearchFailed

NOWHERE = ClientSettings("http://127.0.0.1:1", 1.0, 1.0)


def test_it_is_made_with_the_first_request_and_once() -> None:
    made: list[Client] = []

    def make() -> Client:
        made.append(Client(NOWHERE, lambda: "sk-mavi-test"))
        return made[-1]

    with ClientAtNeed(make) as client:
        client.abandon(complete=True)
        assert not made
        assert isinstance(client.client().search("syncd-0123456789abcdef", None), SearchFailed)
        assert isinstance(client.client().search("syncd-0123456789abcdef", None), SearchFailed)
        client.abandon()
        assert made == [client.client()]


def test_nothing_is_made_to_be_closed() -> None:
    def never() -> Client:
        raise AssertionError("nothing was to be sent")

    with ClientAtNeed(never):
        pass


def test_settings_that_cannot_be_used_are_said_as_soon_as_it_is_asked_for(tmp_path: Path) -> None:
    ca_file = tmp_path / "none.pem"
    reached = ClientSettings("https://127.0.0.1:1", 1.0, 1.0, ca_file=ca_file)
    with pytest.raises(ConfigError, match=r"none\.pem"):
        ClientAtNeed(lambda: Client(reached, lambda: "sk-mavi-test")).client()
