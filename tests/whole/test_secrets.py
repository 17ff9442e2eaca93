"""The API key is nowhere but in the request, and nothing of the environment leads a request astray."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

from tests.fakes import behaviours as act
from tests.fakes.fault_server import FaultServer
from tests.fakes.program import KEY, Program, eventually


def test_p2_the_key_is_in_no_output_no_file_and_no_process_but_the_one_that_sends(
    program: Program, server: FaultServer
) -> None:
    echo = act.envelope("0003", f"Parameter error near {KEY} in camera_model")
    for number in range(4):
        program.photo(f"{number}.jpg", camera_model="Canon")
    server.script(echo, act.html(502), act.redirect(302, f"{server.base_url}/?{KEY}"), default=act.OK)
    seen = [program.call("--log-level", "debug", "sync", "--json", "--wait", "3s") for _ in range(2)]
    server.script(default=act.envelope("0401", f"bad key {KEY}"))
    program.photo("one-more.jpg")
    seen.append(program.call("--log-level", "debug", "sync"))
    reading = (["status"], ["list", "--json"], ["check"], ["why", "--json", str(program.library / "0.jpg")])
    seen += [program.call(*command) for command in reading]
    for ended in seen:
        assert KEY not in ended.out + ended.err
        assert "Traceback" not in ended.err
    assert any(request.header("Authorization") == KEY for request in server.uploads)
    assert not program.leaks(), "and so after every test that starts the program: see Program"


def test_p2_the_worker_has_no_key_and_a_crash_tells_none(program: Program, server: FaultServer) -> None:
    program.key_file.unlink()
    program.write_config(api={"key_file": ""})
    program.photo("a.jpg")
    with_cores = ["sh", "-c", 'ulimit -S -c "$(ulimit -H -c)"; exec "$@"', "sh"]
    running = program.start("run", env={"SYNCD_API_KEY": KEY}, before=with_cores)
    server.wait_for_stored(1, 20)
    workers = children_of(running.pid)
    assert workers, "the extraction worker runs for a while"
    for worker in workers:
        proc = Path(f"/proc/{worker}")
        assert KEY.encode() not in (proc / "environ").read_bytes() + (proc / "cmdline").read_bytes()
    assert KEY.encode() not in Path(f"/proc/{running.pid}/cmdline").read_bytes()
    for process in (running.pid, *workers):
        limits = Path(f"/proc/{process}/limits").read_text("ascii")
        assert re.search(r"Max core file size +0 +0 ", limits), "a core would hold the key"
    running.process.kill()
    eventually(lambda: not any(alive(worker) for worker in workers))
    assert KEY not in running.said


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_h4_netrc_proxies_and_authorities_of_the_environment_are_ignored(program: Program, server: FaultServer) -> None:
    netrc = program.home / ".netrc"
    netrc.write_text("machine 127.0.0.1 login thief password stolen\n", encoding="ascii")
    netrc.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        names = ("http_proxy", "https_proxy", "all_proxy")
        env = {name: address for each in names for name in (each, each.upper())}
        env |= {"NETRC": str(netrc), "REQUESTS_CA_BUNDLE": "/nonexistent", "CURL_CA_BUNDLE": "/nonexistent"}
        program.photo("a.jpg")
        ended = program.call("sync", env=env)
        assert ended.code == 0, ended.err
        proxy.setblocking(False)
        try:
            proxy.accept()
        except BlockingIOError:
            pass
        else:
            raise AssertionError("the proxy of the environment was used")
    assert server.uploads[0].header("Authorization") == KEY
    assert server.uploads[0].header("Proxy-Authorization") is None


def test_the_ledger_and_its_companions_are_for_their_owner_alone(program: Program, server: FaultServer) -> None:
    program.photo("a.jpg")
    assert program.sync().code == 0
    listing = subprocess.run(["ls", "-la", str(program.ledger.parent)], capture_output=True, text=True, check=True)
    for path in program.ledger.parent.iterdir():
        assert path.stat().st_mode & 0o077 == 0, listing.stdout
