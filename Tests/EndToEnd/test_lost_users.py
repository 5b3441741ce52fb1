"""Canonical ids own buckets: what happens to these when the file that knows the users is lost."""

import json
import subprocess

from holdfast import BINARY, Server, keep_secret, s3_client
from test_access import code

USER = {"name": "first", "access-key": "FIRSTKEY", "secret-key": "first-secret"}


def settings(directory, *users):
    directory.mkdir(exist_ok=True)
    keep_secret(directory / "holdfast.json", json.dumps({"users": users}))


def first(server):
    return s3_client(server.endpoint, USER["access-key"], USER["secret-key"])


def refusal(server):
    """What a server says that does not start."""
    done = subprocess.run(
        [BINARY, "serve", server.directory, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done
    return done.stderr


def test_a_user_of_the_settings_file_does_not_lose_buckets_with_the_keys(tmp_path):
    directory = tmp_path / "store"
    settings(directory, USER)
    with Server(directory) as server:
        first(server).create_bucket(Bucket="firsts")
        first(server).put_object(Bucket="firsts", Key="k", Body=b"x")
        owner = json.loads(server.command("user", "list", "--json", check=0).stdout)["canonicalID"]
        server.stop()
        keys = directory / "state/keys.json"
        kept = keys.read_bytes()
        keys.unlink()
        # Twice: what a start that is refused leaves behind changes nothing.
        for _ in range(2):
            told = refusal(server)
            assert "'first'" in told and owner in told and "firsts" in told and "canonical-id" in told, told
        settings(directory, {**USER, "canonical-id": owner})
        server.start()
        assert first(server).get_object(Bucket="firsts", Key="k")["Body"].read() == b"x"
        assert json.loads(server.command("user", "list", "--json", check=0).stdout)["canonicalID"] == owner
        server.stop()
        # The file put back is as good.
        keep_secret(keys, kept)
        server.start()
        assert code(first(server).head_bucket, Bucket="firsts") is None
        server.stop()
        settings(directory, {**USER, "canonical-id": "0" * 64})
        assert owner in refusal(server)
        for wrong in ("0" * 63, "X" * 64, 7):
            settings(directory, {"name": "second", "access-key": "SECONDKEY", "secret-key": "second-secret", "canonical-id": wrong})
            assert "canonical" in refusal(server)
        settings(directory, USER)
        server.start()


def test_a_bucket_that_is_nobodys_is_told_of_and_can_be_given_to_a_user(tmp_path):
    with Server(tmp_path / "store") as server:
        owner, access, secret = server.user("dora")
        s3_client(server.endpoint, access, secret).create_bucket(Bucket="doras")
        server.stop()
        assert "doras" not in server.errors.read_text()
        (server.directory / "state/keys.json").unlink()
        server.start()
        warning, = [line for line in server.errors.read_text().splitlines() if "doras" in line]
        assert owner in warning and f"--canonical-id {owner}" in warning
        # Root has it meanwhile.
        server.client().put_object(Bucket="doras", Key="k", Body=b"x")
        again, access, secret = server.user("dora", "--canonical-id", owner)
        assert again == owner
        assert s3_client(server.endpoint, access, secret).get_object(Bucket="doras", Key="k")["Body"].read() == b"x"
        done = server.command("user", "create", "other", "--canonical-id", owner)
        assert done.returncode == 1 and "dora" in done.stderr
        server.stop()
        told = server.errors.read_text()
        server.start()
        assert "doras" not in server.errors.read_text()[len(told):]


def test_the_root_key_is_printed_by_the_start_that_succeeds(tmp_path):
    """A port that is taken, the commonest of mistakes, does not cost the only look at the secret."""
    with Server(tmp_path / "other") as other:
        command = [BINARY, "serve", tmp_path / "store", "--admin", "127.0.0.1:0", "--listen"]
        taken = subprocess.run([*command, f"127.0.0.1:{other.port}"], capture_output=True, text=True, timeout=60)
        assert taken.returncode == 1 and str(other.port) in taken.stderr, taken
    process = subprocess.Popen([*command, "127.0.0.1:0", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        ready = json.loads(process.stdout.readline())
    finally:
        process.terminate()
        assert process.wait(60) == 0
        process.stdout.close()
    assert ready["accessKey"] and ready["secretKey"]
