"""The sandbox over HTTP, through a real socket."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from syncd.sandbox.server import Sandbox
from syncd.sandbox.switches import Switches
from tests.sandbox import forms
from tests.sandbox.forms import CONTENT_TYPE, Sent, picture

API = "/serve/api/v1"
KEY = "sk-mavi-1"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.set_switches(Switches())
    return running


def address(sandbox: Sandbox) -> tuple[str, int]:
    host, _, port = sandbox.page_url.removeprefix("http://").rstrip("/").partition(":")
    return host, int(port)


def ask(
    sandbox: Sandbox, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    host, port = address(sandbox)
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def send(sandbox: Sandbox, body: bytes, key: str | None = KEY, content_type: str = CONTENT_TYPE) -> dict[str, object]:
    headers = {"Content-Type": content_type} | ({} if key is None else {"Authorization": key})
    _, _, answer = ask(sandbox, "POST", f"{API}/upload_img", body, headers)
    envelope = json.loads(answer)
    assert isinstance(envelope, dict)
    return envelope


def search(sandbox: Sandbox, **asked: object) -> dict[str, object]:
    body = json.dumps({"search_param": "x", "search_type": "BY_IMAGE", **asked}).encode()
    headers = {"Authorization": KEY, "Content-Type": "application/json"}
    envelope = json.loads(ask(sandbox, "POST", f"{API}/search", body, headers)[2])
    assert isinstance(envelope, dict)
    return envelope


def test_an_upload_arrives_as_it_was_sent(sandbox: Sandbox) -> None:
    content = picture("arrives", "png")
    fields = [("tags", "syncd-77"), ("tags", "home"), ("camera_model", "Größe"), ("unique_id", "Family")]
    envelope = send(sandbox, forms.body(fields, [Sent("x-1.PNG", content, "image/png")]))
    image = sandbox.stored()[-1]
    assert envelope["data"] == [{"id": int(image.id)}]
    assert (envelope["code"], envelope["success"], envelope["failed"]) == ("0000", True, False)
    assert (image.name, image.size, image.unique_id) == ("x-1.PNG", len(content), "Family")
    assert (image.tags, image.camera_model) == (("syncd-77", "home"), "Größe")
    found = search(sandbox, tag="syncd-77", unique_id="Family")["data"]
    assert isinstance(found, dict)
    assert [row["name"] for row in found["item"]] == ["x-1"]


def test_http_200_carries_the_failures(sandbox: Sandbox) -> None:
    before = len(sandbox.stored())
    assert send(sandbox, forms.body(), key=None)["code"] == "0401"
    assert send(sandbox, forms.body(), key=f"Bearer {KEY}")["code"] == "0401"
    assert send(sandbox, forms.body(), content_type="text/plain")["code"] == "0003"
    assert send(sandbox, forms.body([("unknown", "1")]))["code"] == "0003"
    assert send(sandbox, forms.body()[:-20])["code"] == "0003"
    assert send(sandbox, b"")["code"] == "0003"
    sandbox.set_switches(Switches(batch_cap=2))
    too_many = send(sandbox, forms.body(files=[Sent()] * 40))
    assert too_many["code"] == "0003"
    assert "at most 2 files" in str(too_many["msg"])
    sandbox.set_switches(Switches(credits=0))
    assert send(sandbox, forms.body())["code"] == "0402"
    assert len(sandbox.stored()) == before


def test_http_statuses_when_they_are_wanted(sandbox: Sandbox) -> None:
    sandbox.set_switches(Switches(http_statuses=True, credits=0))
    headers = {"Authorization": KEY, "Content-Type": CONTENT_TYPE}
    assert ask(sandbox, "POST", f"{API}/upload_img", forms.body(), headers)[0] == 402
    assert ask(sandbox, "POST", f"{API}/upload_img", forms.body())[0] == 401


def test_a_lost_answer_is_a_closed_connection_and_a_stored_image(sandbox: Sandbox) -> None:
    sandbox.set_switches(Switches(lose_every=1))
    before = len(sandbox.stored())
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        send(sandbox, forms.body())
    assert len(sandbox.stored()) == before + 1
    sandbox.set_switches(Switches())
    assert send(sandbox, forms.body())["code"] == "0000"


def test_a_failing_service_answers_503_in_html_and_stores_nothing(sandbox: Sandbox) -> None:
    sandbox.set_switches(Switches(fail_every=1))
    before = len(sandbox.stored())
    headers = {"Authorization": KEY, "Content-Type": CONTENT_TYPE}
    status, received, _ = ask(sandbox, "POST", f"{API}/upload_img", forms.body(), headers)
    assert status == 503
    assert received["content-type"].startswith("text/html")
    assert len(sandbox.stored()) == before


@pytest.mark.parametrize("share", [0.3, 0.999])
def test_a_connection_cut_in_the_middle_of_a_body_stores_nothing(sandbox: Sandbox, share: float) -> None:
    before = len(sandbox.stored())
    body = forms.body(files=[Sent(content=picture("x" * 200_000)), Sent()])
    head = (
        f"POST {API}/upload_img HTTP/1.1\r\nHost: {':'.join(map(str, address(sandbox)))}\r\nAuthorization: {KEY}\r\n"
        f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(address(sandbox), 5) as conn:
        conn.sendall(head.encode() + body[: int(len(body) * share)])
        conn.shutdown(socket.SHUT_WR)
        conn.settimeout(5)
        while conn.recv(65536):
            pass
    assert send(sandbox, forms.body())["code"] == "0000"
    assert len(sandbox.stored()) == before + 1
    assert not list((sandbox.directory / "incoming").iterdir())


def test_uploads_at_the_same_time_all_arrive_once(sandbox: Sandbox) -> None:
    before = len(sandbox.stored())
    seen: list[int] = []

    def work(number: int) -> None:
        files = [Sent(f"t{number}.jpg", picture(str(n))) for n in range(3)]
        data = send(sandbox, forms.body(files=files))["data"]
        assert isinstance(data, list)
        seen.extend(row["id"] for row in data)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    arrived = sandbox.stored()[before:]
    assert sorted(int(image.id) for image in arrived) == sorted(seen)
    assert len(set(seen)) == 24


def test_namespaces_are_listed(sandbox: Sandbox) -> None:
    send(sandbox, forms.body([("unique_id", "Listed")]))
    envelope = json.loads(ask(sandbox, "GET", f"{API}/list_unique_ids", headers={"Authorization": KEY})[2])
    assert "Listed" in envelope["data"]
    assert json.loads(ask(sandbox, "GET", f"{API}/list_unique_ids")[2])["code"] == "0401"


def test_a_search_needs_a_key_and_json(sandbox: Sandbox) -> None:
    body = b'{"search_param": "x", "search_type": "BY_IMAGE"}'
    kind = {"Content-Type": "application/json"}
    assert json.loads(ask(sandbox, "POST", f"{API}/search", body, kind)[2])["code"] == "0401"
    assert json.loads(ask(sandbox, "POST", f"{API}/search", body, {"Authorization": KEY})[2])["code"] == "0003"
    huge = {**kind, "Authorization": KEY}
    assert json.loads(ask(sandbox, "POST", f"{API}/search", body + b" " * 200_000, huge)[2])["code"] == "0003"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", f"{API}/upload", 404), ("GET", f"{API}/upload_img", 405), ("GET", "/nowhere", 404), ("DELETE", "/", 405)],
)
def test_what_is_not_there(sandbox: Sandbox, method: str, path: str, status: int) -> None:
    got, _, body = ask(sandbox, method, path, headers={"Authorization": KEY})
    assert got == status
    assert "No static resource" in json.loads(body)["msg"]


def test_the_page_shows_what_arrived_and_its_picture(sandbox: Sandbox) -> None:
    content = picture("on the page", "gif")
    send(sandbox, forms.body([("camera_model", "<script>alert(1)</script>")], [Sent("seen.gif", content)]))
    status, headers, body = ask(sandbox, "GET", "/")
    assert status == 200
    assert b"seen.gif" in body
    assert b"<script" not in body
    assert headers["content-security-policy"].startswith("default-src 'none'; ")
    assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
    image = sandbox.stored()[-1]
    status, headers, body = ask(sandbox, "GET", f"/sandbox/images/{image.id}")
    assert (status, body, headers["content-type"]) == (200, content, "image/gif")
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


def test_the_type_of_a_picture_is_that_of_its_content(sandbox: Sandbox) -> None:
    send(sandbox, forms.body(files=[Sent("really-a.gif", picture("jpeg inside"), "image/svg+xml")]))
    assert ask(sandbox, "GET", f"/sandbox/images/{sandbox.stored()[-1].id}")[1]["content-type"] == "image/jpeg"


@pytest.mark.parametrize("name", ["0", "..", "../index.jsonl", "%2e%2e%2findex.jsonl", "1.jpg", ""])
def test_only_images_are_handed_out(sandbox: Sandbox, name: str) -> None:
    assert ask(sandbox, "GET", f"/sandbox/images/{name}")[0] == 404


def test_an_image_whose_file_is_gone_is_not_there(sandbox: Sandbox) -> None:
    send(sandbox, forms.body())
    image = sandbox.stored()[-1]
    (sandbox.directory / "images" / f"{image.id}.jpg").unlink()
    assert ask(sandbox, "GET", f"/sandbox/images/{image.id}")[0] == 404


@pytest.mark.parametrize("asked", ["1", "0", "-1", "x", "99999999999999999999", "%00"])
def test_any_page_number_is_answered(sandbox: Sandbox, asked: str) -> None:
    assert ask(sandbox, "GET", f"/?page={asked}")[0] == 200


def test_the_style_sheet_is_the_pages_own(sandbox: Sandbox) -> None:
    status, headers, _ = ask(sandbox, "GET", "/sandbox/style.css")
    assert (status, headers["content-type"]) == (200, "text/css; charset=utf-8")


def turn(sandbox: Sandbox, body: bytes, **headers: str) -> tuple[int, dict[str, object]]:
    named = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    status, _, answer = ask(sandbox, "POST", "/sandbox/switches", body, named)
    shown = json.loads(answer)
    assert isinstance(shown, dict)
    return status, shown


def test_a_newcomer_can_play_an_account_without_credits(sandbox: Sandbox) -> None:
    status, shown = turn(sandbox, b'{"credits": 0}')
    assert (status, shown["credits"]) == (200, 0)
    assert send(sandbox, forms.body())["code"] == "0402"
    assert turn(sandbox, b'{"credits": null}')[0] == 200
    assert send(sandbox, forms.body())["code"] == "0000"
    assert json.loads(ask(sandbox, "GET", "/sandbox/switches")[2])["credits"] is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"credits": -1}', b'{"nothing": 1}', b"[" * 60_000])
def test_switches_that_make_no_sense_are_named(sandbox: Sandbox, body: bytes) -> None:
    status, shown = turn(sandbox, body)
    assert status == 400
    assert shown["problems"]
    assert sandbox.switches == Switches()


def test_p1_other_sites_turn_no_switches(sandbox: Sandbox) -> None:
    host, port = address(sandbox)
    wanted = b'{"credits": 0}'
    assert turn(sandbox, wanted, Origin="http://evil.example")[0] == 403
    assert turn(sandbox, wanted, Origin="null")[0] == 403
    assert turn(sandbox, wanted, Origin=f"https://{host}:{port}")[0] == 403
    assert turn(sandbox, wanted, Sec_Fetch_Site="cross-site")[0] == 403
    assert turn(sandbox, wanted, Sec_Fetch_Site="same-site")[0] == 403
    assert turn(sandbox, wanted, Content_Type="text/plain")[0] == 400, "a form of another site can send this type"
    assert turn(sandbox, wanted, Content_Type="application/x-www-form-urlencoded")[0] == 400
    assert sandbox.switches.credits is None
    assert turn(sandbox, wanted, Origin=f"http://{host}:{port}", Sec_Fetch_Site="same-origin")[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1",
        "127.evil.com:{port}",
        "127.0.0.1:{port}.evil.com",
        "127.0.0.1:1",
        "[::1]:{port}",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/", "/sandbox/switches", f"{API}/list_unique_ids"])
def test_p1_another_host_name_is_refused(sandbox: Sandbox, host: str, path: str) -> None:
    named = host.format(port=address(sandbox)[1])
    assert ask(sandbox, "GET", path, headers={"Host": named})[0] == 403


def test_p1_its_own_names_are_answered(sandbox: Sandbox) -> None:
    port = address(sandbox)[1]
    assert ask(sandbox, "GET", "/", headers={"Host": f"localhost:{port}"})[0] == 200
    assert ask(sandbox, "GET", "/", headers={"Host": f"LocalHost:{port}"})[0] == 200


@pytest.mark.parametrize("head", ["GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"])
def test_p1_no_host_name_is_refused(sandbox: Sandbox, head: str) -> None:
    with socket.create_connection(address(sandbox), 5) as conn:
        conn.sendall(head.encode())
        assert conn.recv(100).split(b" ")[1] in {b"400", b"403"}


def test_the_counts_add_up(tmp_path: Path) -> None:
    with Sandbox(tmp_path) as sandbox:
        send(sandbox, forms.body())
        send(sandbox, forms.body([("bad", "1")]))
        send(sandbox, forms.body(), key=None)
        search(sandbox)
        ask(sandbox, "GET", "/")
        counts = sandbox.counts()
        assert (counts.requests, counts.uploads, counts.accepted, counts.rejected) == (4, 3, 1, 2)
        assert sandbox.requests() == 4
