"""`serve --takeover`: upgrades and roll-backs that no client notices, and what becomes of one that fails."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import urllib.parse

import pytest
from botocore.exceptions import ClientError
from certificates import Authority, replace
from holdfast import BINARY, Server, wait_until
from takeover import Kept, Load, ask, follow, receive, spawn
from test_health import get, slow_put  # noqa: F401


def some_more(load, count=60):
    """Lets the load do so many steps more."""
    target = load.count + count
    wait_until(lambda: load.count >= target, seconds=120, what="more requests")


def test_an_upgrade_and_a_roll_back_under_load_fail_no_request(server, tmp_path):
    """HOLDFAST_PREVIOUS names the binary of another release; without, it is a copy of this one."""
    previous = tmp_path / "holdfast-previous"
    shutil.copy(os.environ.get("HOLDFAST_PREVIOUS", BINARY), previous)
    with Load(server) as load:
        for binary in (BINARY, previous, BINARY, previous):
            some_more(load)
            before = server.process.pid
            follow(server, binary=binary)
            assert server.process.pid != before
        some_more(load)
    load.check()
    print(f"{load.count} steps through 4 takeovers, the longest took {load.longest:.2f} s")
    assert load.longest < 20, "nobody waits as long as a drain may take"
    assert get(server.admin + "/health/ready")[0] == 200
    server.stop()
    assert server.fsck("--deep")[::2] == ([], 0)
    server.start()


def test_the_same_with_tls(tmp_path):
    authority = Authority(tmp_path / "authority")
    chain, key = authority.leaf("leaf")
    (tmp_path / "chain.pem").write_bytes(chain)
    replace(tmp_path / "key.pem", key)
    flags = ["--set", f"tls-certificate={tmp_path}/chain.pem", "--set", f"tls-key={tmp_path}/key.pem"]
    with Server(tmp_path / "store", *flags) as server:
        with Load(server, clients=3, verify=str(authority.ca)) as load:
            for _ in range(2):
                some_more(load, 30)
                follow(server)
            some_more(load, 30)
        load.check()


@pytest.fixture
def kept(server):
    connections = [Kept(server.port) for _ in range(150)]
    yield connections
    for connection in connections:
        connection.close()


def test_connections_that_clients_keep_go_on_in_the_next_process(server, kept):
    """However long their clients are silent: most say nothing between the takeovers, and a few nothing before them."""
    kept.append(Kept(int(server.admin.rsplit(":", 1)[1]), "/health/live"))
    for connection in kept[10:]:
        assert connection.ping()
    for _ in range(2):
        follow(server)
        for connection in kept[-5:]:
            assert connection.ping()
    for connection in kept:
        assert connection.ping()
    assert server.errors.read_text().count("151 connections came from it") == 2


def test_who_asks_while_nobody_serves_is_answered_in_the_same_connection(server, kept):
    for connection in kept:
        assert connection.ping()
    new = spawn(server)
    drains(server)
    gone = kept.pop()
    gone.close()
    for connection in kept:
        connection.send()
    assert json.loads(new.stdout.readline())["ready"]
    assert all(connection.answer() for connection in kept)
    old, server.process = server.process, new
    assert old.wait(60) == 0
    old.stdout.close()
    assert kept[0].ping()


def test_a_request_that_had_begun_to_come_is_ended_where_it_began(server, slow_put):  # noqa: F811
    """What was read of it is in the old process: the beginning of a head, and one that came behind a whole request."""
    server.client().create_bucket(Bucket="photos")
    half, behind = Kept(server.port), Kept(server.port)
    slow = slow_put(server)
    half.send(0, 20)
    behind.socket.sendall(behind.request + behind.request[:20])
    assert behind.answer()
    wait_until(lambda: half.is_read, what="the half of a head in the server")
    new = spawn(server)
    drains(server)
    for connection in (half, behind):
        connection.send(20)
        assert connection.answer()
    assert server.process.poll() is None
    assert slow.finish()[0] == 200
    assert json.loads(new.stdout.readline())["ready"]
    old, server.process = server.process, new
    assert old.wait(60) == 0
    old.stdout.close()
    for connection in (half, behind):
        assert connection.ping()
        connection.close()


def test_an_answer_that_its_client_takes_late_comes_whole_and_the_connection_goes_on(server):
    s3 = server.client(signature_version="s3v4")
    s3.create_bucket(Bucket="photos")
    body = os.urandom(8_000_000)
    s3.put_object(Bucket="photos", Key="large", Body=body)
    url = urllib.parse.urlsplit(s3.generate_presigned_url("get_object", {"Bucket": "photos", "Key": "large"}))
    late = Kept(server.port, f"{url.path}?{url.query}", host=url.netloc)
    late.send()
    head = late.read.readline()
    assert head == b"HTTP/1.1 200 OK\r\n"
    new = spawn(server)
    drains(server)
    while late.read.readline() != b"\r\n":
        pass
    assert late.read.read(len(body)) == body
    assert json.loads(new.stdout.readline())["ready"]
    old, server.process = server.process, new
    assert old.wait(60) == 0
    old.stdout.close()
    assert late.ping()
    late.close()


def test_a_connection_without_tls_ends_where_the_next_process_has_it(server, kept, tmp_path):
    authority = Authority(tmp_path / "authority")
    chain, key = authority.leaf("leaf")
    (tmp_path / "chain.pem").write_bytes(chain)
    replace(tmp_path / "key.pem", key)
    for connection in kept:
        assert connection.ping()
    follow(server, "--set", f"tls-certificate={tmp_path}/chain.pem", "--set", f"tls-key={tmp_path}/key.pem")
    assert [connection.read.read() for connection in kept] == [b""] * len(kept)


def test_connections_come_back_when_the_new_process_dies_before_it_serves(server, kept):
    for connection in kept:
        assert connection.ping()
    connection, _, sockets = ask(server, takesConnections=True)
    connection.sendall(b"go\n")
    said = b""
    while b"released\n" not in said:
        data, more = receive(connection)
        assert data, said
        said += data
        sockets += more
    assert said.startswith(b'{"listener":"s3"}\n') and len(sockets) == 2 + 150
    kept[0].send()
    connection.close()
    for number in sockets:
        os.close(number)
    assert kept[0].answer()
    assert all(connection.ping() for connection in kept)
    wait_until(lambda: accepts_takeovers(server), what="the server again")
    follow(server)
    assert all(connection.ping() for connection in kept)


def test_a_process_that_knows_nothing_of_connections_gets_none(server, kept):
    """An earlier release, in a roll-back: who keeps a connection is told that it ends, or has it closed between two requests."""
    assert kept[0].ping()
    connection, _, sockets = ask(server)
    connection.sendall(b"go\n")
    wait_until(lambda: not kept[0].ping(), what="an answer that is the last")
    assert receive(connection) == (b"released\n", [])
    assert kept[0].read.read() == b""
    connection.close()
    for number in sockets:
        os.close(number)
    wait_until(lambda: accepts_takeovers(server), what="the server again")
    follow(server)


def test_a_request_under_way_is_ended_by_the_old_process_and_one_that_comes_waits_for_the_new(server, slow_put):  # noqa: F811
    server.client().create_bucket(Bucket="photos")
    slow = slow_put(server)
    new = spawn(server)
    old = server.process
    # It accepts no more when the drain has begun; the connection is taken by the kernel, not refused.
    waiting = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    waiting.sendall(b"GET /_holdfast/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert old.poll() is None
    assert slow.finish()[0] == 200
    assert json.loads(new.stdout.readline())["ready"]
    assert waiting.recv(4096).startswith(b"HTTP/1.1 200")
    waiting.close()
    assert old.wait(30) == 0
    old.stdout.close()
    server.process = new
    assert server.client().get_object(Bucket="photos", Key="slow")["Body"].read() == slow.body


@pytest.mark.parametrize("flags, reason", [
    (["--set", "workers=0"], "setting 'workers'"),
    (["--set", "listne=x"], "the nearest is 'listen'"),
    (["--listen", "127.0.0.1:1"], "a takeover keeps the addresses"),
    (["--set", "tls-certificate=/none.pem", "--set", "tls-key=/none.pem"], "/none.pem"),
])
def test_a_process_that_cannot_start_leaves_the_old_one_serving(server, flags, reason):
    s3 = server.client()
    s3.create_bucket(Bucket="photos")
    new = spawn(server, *flags)
    assert new.wait(30) == 1
    new.stdout.close()
    assert reason in server.errors.read_text()
    assert server.process.poll() is None
    s3.put_object(Bucket="photos", Key="after", Body=b"x")
    follow(server)
    assert server.client().get_object(Bucket="photos", Key="after")["Body"].read() == b"x"


@pytest.mark.parametrize("name, what", [("state/keys.json", "it has format 99, not 1 to 3"), ("volume-2/volume.json", "volume 2 has format 99")])
def test_a_store_of_a_newer_format_is_not_taken_over_and_named(server, name, what):
    server.command("key", "create", check=0)
    path = server.directory / name
    good = path.read_text()
    path.write_text(json.dumps({**json.loads(good), "format": 99}))
    try:
        new = spawn(server)
        assert new.wait(30) == 1
        new.stdout.close()
        assert what in server.errors.read_text()
        assert server.process.poll() is None
        server.client().create_bucket(Bucket="goes-on")
    finally:
        path.write_text(good)


def test_when_the_new_process_dies_before_it_serves_the_old_one_serves_again(server):
    with Load(server, clients=3) as load:
        some_more(load, 20)
        pid = server.process.pid
        connection, offer, sockets = ask(server)
        assert json.loads(offer)["listen"] == f"127.0.0.1:{server.port}" and len(sockets) == 2
        connection.sendall(b"go\n")
        assert connection.recv(100) == b"released\n"
        # The store is free now: another process may look at it.
        assert server.command("volume", "list").returncode == 0
        connection.close()
        some_more(load, 60)
        for number in sockets:
            os.close(number)
        assert server.process.poll() is None and server.process.pid == pid
        follow(server)
        some_more(load, 20)
    load.check()
    assert "serving again" in server.errors.read_text()


def test_when_the_old_process_is_killed_while_it_drains_the_new_one_serves(server, slow_put):  # noqa: F811
    server.client().create_bucket(Bucket="photos")
    server.client().put_object(Bucket="photos", Key="before", Body=b"x")
    slow = slow_put(server)
    new = spawn(server)
    drains(server)
    server.process.kill()
    server.process.wait(30)
    server.process.stdout.close()
    slow.go_on.set()
    assert json.loads(new.stdout.readline())["ready"]
    server.process = new
    assert server.client().get_object(Bucket="photos", Key="before")["Body"].read() == b"x"


def drains(server):
    """What is under way ends, and nobody is accepted any more, or not for long."""
    wait_until(lambda: "] draining" in server.errors.read_text(), what="the drain")


def accepts_takeovers(server):
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(5)
            probe.connect(str(server.directory / "state/takeover.sock"))
            return True
    except (ConnectionRefusedError, FileNotFoundError):
        return False


def test_without_a_server_it_starts_as_ever(tmp_path):
    with Server(tmp_path / "store", "--takeover") as server:
        server.client().create_bucket(Bucket="photos")
        server.kill()
        server.start()
        assert server.client().list_buckets()["Buckets"][0]["Name"] == "photos"


def test_a_server_that_is_ending_is_waited_for(tmp_path, slow_put):  # noqa: F811
    with Server(tmp_path / "store", "--set", "drain-seconds=60") as server:
        server.client().create_bucket(Bucket="photos")
        slow = slow_put(server)
        server.process.terminate()
        drains(server)
        new = spawn(server, "--listen", f"127.0.0.1:{server.port}")
        assert slow.finish()[0] == 200
        assert json.loads(new.stdout.readline())["ready"]
        assert server.process.wait(30) == 0
        server.process.stdout.close()
        server.process = new
        assert server.client().get_object(Bucket="photos", Key="slow")["Body"].read() == slow.body


def test_a_key_made_before_a_takeover_counts_after_it(server):
    _, access, secret = server.user("alice")
    follow(server)
    import boto3
    from botocore.config import Config
    s3 = boto3.client("s3", endpoint_url=server.endpoint, aws_access_key_id=access, aws_secret_access_key=secret,
                      region_name="us-east-1", config=Config(retries={"max_attempts": 0}))
    s3.create_bucket(Bucket="hers")
    # Commands reach the new process.
    assert server.command("volume", "list", "--json", check=0).stdout.count("in service") == 3


@pytest.mark.parametrize("said", [b"nonsense\n", b'{"takeover": 2, "release": "later"}\n', b"\n", b"x" * 100_000, b""])
def test_nonsense_takes_nothing_over(server, said):
    path = str(server.directory / "state/takeover.sock")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(path)
        try:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            answer, control, _, _ = connection.recvmsg(4096, 64)
        except (BrokenPipeError, ConnectionResetError):
            answer, control = b"", []
        assert control == [] and (answer == b"" or "refusal" in json.loads(answer))
    server.client().create_bucket(Bucket="goes-on")
    follow(server)


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's part")
@pytest.mark.parametrize("name, says", [("takeover.sock", '{"takeover": 1, "release": "x"}'), ("holdfast.sock", '{"listKeys": {"json": true}}')])
def test_another_user_commands_nothing_even_where_permissions_let_him(name, says):
    root = pathlib.Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        with Server(root / "store") as server:
            server.command("key", "create", check=0)
            script = (
                "import socket, sys\n"
                "s = socket.socket(socket.AF_UNIX); s.settimeout(20)\n"
                "s.connect(sys.argv[1])\n"
                "try:\n"
                "    s.sendall(sys.argv[2].encode() + b'\\n'); print(s.recv(4096))\n"
                "except OSError as error:\n"
                "    print(type(error).__name__)\n")

            def tell():
                return subprocess.run(
                    ["/usr/bin/python3", "-c", script, server.directory / "state" / name, says], user=65534, group=65534,
                    extra_groups=[], capture_output=True, text=True, timeout=60, cwd="/")

            assert "PermissionError" in tell().stderr
            for path, mode in [(root, 0o755), (server.directory, 0o755), (server.directory / "state", 0o755),
                               (server.directory / "state" / name, 0o666)]:
                path.chmod(mode)
            done = tell()
            assert done.stdout.strip() in ("b''", "ConnectionResetError", "BrokenPipeError"), done
            assert server.process.poll() is None
    finally:
        shutil.rmtree(root)


def test_sockets_of_a_service_manager_outlive_a_restart(tmp_path):
    """As systemd hands them over: who connects between two processes waits."""
    sockets = [socket.create_server(("127.0.0.1", 0), backlog=64) for _ in range(2)]
    numbers = [s.fileno() for s in sockets]
    addresses = [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]
    environment = dict(os.environ, HOLDFAST_ROOT_ACCESS_KEY="ABCDEF", HOLDFAST_ROOT_SECRET_KEY="secret-enough")

    def start(*flags, count=2):
        script = (f"exec 8<&{numbers[0]} 9<&{numbers[1]}; exec 3<&8 4<&9 8<&- 9<&-; "
                  f"export LISTEN_PID=$$ LISTEN_FDS={count}; exec \"$0\" \"$@\"")
        return subprocess.Popen(
            ["bash", "-c", script, BINARY, "serve", str(tmp_path / "store"), *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env=environment, pass_fds=numbers)

    flags = ["--listen", addresses[0], "--admin", addresses[1]]
    first = start(*flags)
    assert first.stdout.readline() == f"ready: S3 on http://{addresses[0]}, admin on http://{addresses[1]}\n"
    assert get(f"http://{addresses[0]}/_holdfast/health/ready")[0] == 200
    first.terminate()
    assert first.wait(30) == 0
    waiting = socket.create_connection(sockets[0].getsockname(), timeout=60)
    waiting.sendall(b"GET /_holdfast/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    second = start(*flags)
    assert second.stdout.readline().startswith("ready: ")
    assert waiting.recv(4096).startswith(b"HTTP/1.1 200")
    waiting.close()
    second.terminate()
    assert second.wait(30) == 0
    for bad, count, reason in [(["--listen", "127.0.0.1:1", "--admin", addresses[1]], 2, "keeps the addresses"), (flags, 1, "a server has two")]:
        refused = start(*bad, count=count)
        output, errors = refused.communicate(timeout=30)
        assert refused.returncode == 1 and reason in errors and output == ""
    for process in (first, second):
        process.stdout.close()
        process.stderr.close()
    for s in sockets:
        s.close()
