"""Starting and stopping a server: root key, settings, ports, SIGTERM."""

import json
import os
import re
import signal
import socket
import stat
import threading

import pytest
from holdfast import s3_client, wait_until
from signing import Raw, sha256


def end(process):
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    return output, errors


def test_serve_makes_a_root_key_prints_it_once_and_keeps_it_from_others(tmp_path, serve):
    directory = tmp_path / "store"
    ports = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    process = serve(directory, *ports)
    access, secret, ready = (process.stdout.readline().strip() for _ in range(3))
    access, secret = access.removeprefix("root access key: "), secret.removeprefix("root secret key: ")
    endpoint = re.fullmatch(r"ready: S3 on (http://127\.0\.0\.1:\d+), admin on http://127\.0\.0\.1:\d+", ready)[1]
    s3_client(endpoint, access, secret).create_bucket(Bucket="photos")
    kept = directory / "state/keys.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert secret in kept.read_text()
    output, errors = end(process)
    assert output == "" and re.fullmatch(r".* draining\n", errors)
    process = serve(directory, *ports)
    assert process.stdout.readline().startswith("ready: ")
    output, errors = end(process)
    assert secret not in output + errors


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path, serve):
    directory = tmp_path / "store"
    directory.mkdir()
    root = dict(HOLDFAST_ROOT_ACCESS_KEY="ABCDEF", HOLDFAST_ROOT_SECRET_KEY="secret-enough")
    (directory / "holdfast.json").write_text(json.dumps({"listen": "127.0.0.4:0", "admin": "127.0.0.5:0", "workers": 3}))

    def addresses(*flags, **environment):
        process = serve(directory, *flags, **root, **environment)
        line = process.stdout.readline()
        end(process)
        return re.fullmatch(r"ready: S3 on http://(.*):\d+, admin on http://(.*):\d+\n", line).groups()

    assert addresses() == ("127.0.0.4", "127.0.0.5")
    assert addresses(HOLDFAST_LISTEN="127.0.0.3:0") == ("127.0.0.3", "127.0.0.5")
    assert addresses("--listen", "127.0.0.2:0", HOLDFAST_LISTEN="127.0.0.3:0") == ("127.0.0.2", "127.0.0.5")
    assert addresses("--set", "admin=127.0.0.6:0", HOLDFAST_ADMIN="127.0.0.3:0") == ("127.0.0.4", "127.0.0.6")


@pytest.mark.parametrize("file, environment, flags, error", [
    ({}, {}, ["--listen", "nonsense"], "setting 'listen' (--listen) is 'nonsense': it must be HOST:PORT"),
    ({}, {}, ["--listen", "127.0.0.1:70000"], "setting 'listen' (--listen)"),
    ({}, {}, ["--set", "workers=0"], "setting 'workers' (--set workers) is '0': it must be a number from 1 to 256"),
    ({}, {}, ["--set", "colour=red"], "setting 'colour' (--set colour) is unknown; the nearest is 'volumes'; there are volumes, listen"),
    ({}, {"HOLDFAST_LOG_LEVEL": "loud"}, [], "setting 'log-level' (HOLDFAST_LOG_LEVEL) is 'loud'"),
    ({}, {"HOLDFAST_HISTORY_HOURS": "-1"}, [], "setting 'history-hours' (HOLDFAST_HISTORY_HOURS)"),
    ({"deadline-seconds": "soon"}, {}, [], "setting 'deadline-seconds' (DIR/holdfast.json) is 'soon'"),
    ({"colour": "red"}, {}, [], "setting 'colour' (DIR/holdfast.json) is unknown"),
    ({"workers": True}, {}, [], "setting 'workers' (DIR/holdfast.json)"),
    ({"region": {"a": 1}}, {}, [], "setting 'region' (DIR/holdfast.json) is neither"),
    ([1], {}, [], "(DIR/holdfast.json) are not one JSON object"),
    (None, {}, [], "(DIR/holdfast.json) cannot be read"),
    ({}, {"HOLDFAST_ROOT_ACCESS_KEY": "ABCDEF"}, [], "HOLDFAST_ROOT_SECRET_KEY go together"),
    ({}, {"HOLDFAST_ROOT_ACCESS_KEY": "ABCDEF", "HOLDFAST_ROOT_SECRET_KEY": "short"}, [], "HOLDFAST_ROOT_SECRET_KEY is shorter"),
], ids=lambda value: None)
def test_a_bad_setting_is_refused_by_name(tmp_path, serve, file, environment, flags, error):
    directory = tmp_path / "store"
    directory.mkdir()
    (directory / "holdfast.json").write_text("{" if file is None else json.dumps(file))
    process = serve(directory, *flags, **environment)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and output == ""
    assert error.replace("DIR", str(directory)) in errors and errors.count("\n") == 1


def test_a_port_that_is_taken_is_named(server, serve):
    process = serve(server.directory.with_name("second"), "--listen", f"127.0.0.1:{server.port}", "--admin", "127.0.0.1:0")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "ready" not in output
    assert errors == f"holdfast: cannot listen on 127.0.0.1:{server.port}: Address already in use\n"


def test_sigterm_lets_the_request_under_way_end(server):
    server.client().create_bucket(Bucket="photos")
    body = os.urandom(400_000)
    raw = Raw(server)

    halfway, told = threading.Event(), threading.Event()
    answers = []

    def pieces(_):
        """The second half goes out when the server was told to stop."""
        yield body[:200_000]
        halfway.set()
        told.wait(30)
        yield body[200_000:]

    request = threading.Thread(target=lambda: answers.append(raw.send(
        "PUT", "/photos/last", headers={"Content-Length": str(len(body))}, payload=sha256(body), framed=pieces)))
    request.start()
    assert halfway.wait(30)
    process = server.process
    process.send_signal(signal.SIGTERM)
    # It takes no new connections from then on.
    def is_refused():
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
        except OSError:
            return True
    wait_until(is_refused, what="the end of the listener")
    assert process.poll() is None
    told.set()
    request.join(30)
    assert answers[0][0] == 200
    assert process.wait(30) == 0
    server.process = None
    server.start()
    assert server.client().get_object(Bucket="photos", Key="last")["Body"].read() == body
    assert server.fsck("--deep")[::2] == ([], 0)
