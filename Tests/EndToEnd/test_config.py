"""Settings: everything that is wrong is told at once, before anything is touched, and no secret is shown."""

import json
import os
import re
import stat
import subprocess

import pytest
from certificates import Authority, replace
from holdfast import BINARY, ROOT, keep_secret

SECRET = "marked-secret-0123456789"


def run(*arguments, check=None, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=60, env={**clean, **environment})
    if check is not None:
        assert done.returncode == check, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def directory(tmp_path):
    made = tmp_path / "store"
    made.mkdir()
    return made


def settings(directory, **members):
    keep_secret(directory / "holdfast.json", json.dumps({name.replace("_", "-"): value for name, value in members.items()}))


def untouched(directory):
    return sorted(p.name for p in directory.iterdir()) in ([], ["holdfast.json"])


def test_good_settings_are_good_and_nothing_is_made(directory):
    settings(directory, region="eu-1", workers=4)
    assert run("config", "check", directory, check=0).stdout == "the settings are good\n"
    assert lines(run("config", "check", directory, "--json", check=0)) == []
    assert untouched(directory)


def test_every_problem_is_told_and_not_only_the_first(directory, tmp_path):
    settings(directory, listne="x", workers=0, region={"a": 1}, tls_certificate=str(tmp_path / "none.pem"),
             tls_key=str(tmp_path / "none.key"), users=[{"name": "a/b", "access-key": "KEYOFAB", "secret-key": SECRET}],
             sinks=[{"name": "hook", "webhook": "http://127.0.0.1:1/", "secret-file": "missing.secret"}])
    done = run("config", "check", directory, "--json", "--set", "scrub-window=25", check=1,
               HOLDFAST_LOG_LEVEL="loud", HOLDFAST_ROOT_ACCESS_KEY="ABCDEF", HOLDFAST_WORKRES="3")
    found = {line["setting"]: line for line in lines(done)}
    assert set(found) == {"listne", "workers", "region", "tls-certificate", "users", "sinks", "scrub-window", "log-level",
                          "root-access-key", "HOLDFAST_WORKRES"}
    assert "the nearest is 'listen'" in found["listne"]["problem"]
    assert found["listne"]["source"] == str(directory / "holdfast.json")
    assert str(tmp_path / "none.pem") in found["tls-certificate"]["source"] and "cannot be read" in found["tls-certificate"]["problem"]
    assert "missing.secret" in found["sinks"]["problem"]
    assert "HOLDFAST_ROOT_SECRET_KEY go together" in found["root-access-key"]["problem"]
    assert found["HOLDFAST_WORKRES"]["severity"] == "warning" and "HOLDFAST_WORKERS" in found["HOLDFAST_WORKRES"]["problem"]
    assert {line["severity"] for name, line in found.items() if name != "HOLDFAST_WORKRES"} == {"error"}
    assert SECRET not in done.stdout + done.stderr and untouched(directory)


@pytest.mark.parametrize("members, flags, problem", [
    (dict(users=[{"name": "root", "access-key": "KEYOFROOT", "secret-key": SECRET}]), [], "root is the administrator"),
    (dict(users=[{"name": "alice", "access-key": "KEYOFALICE", "secret-key": "short"}]), [], "the secret-key of user 'alice' is shorter"),
    (dict(users=[{"name": "alice", "access-key": "KEYOFALICE", "secret-key": SECRET, "policies": {"p": {"Statement": 1}}}]), [],
     "policy 'p' of user 'alice'"),
    (dict(tls_certificate="DIR/chain.pem", tls_key="DIR/other.pem"), [], "no private key"),
    ({}, ["--set", "listen=127.0.0.1:9001"], "which is where S3 clients connect"),
    ({}, ["--set", "drain-seconds=-1"], "setting 'drain-seconds'"),
])
def test_serve_refuses_a_bad_setting_before_it_touches_a_volume(tmp_path, directory, members, flags, problem):
    chain, _ = Authority(tmp_path / "authority").leaf("leaf")
    (tmp_path / "chain.pem").write_bytes(chain)
    replace(tmp_path / "other.pem", b"no key\n")
    settings(directory, **{n: v.replace("DIR", str(tmp_path)) if isinstance(v, str) else v for n, v in members.items()})
    ports = [] if any("listen=" in flag for flag in flags) else ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    done = run("serve", directory, *ports, *flags)
    assert done.returncode == 1 and problem in done.stderr and done.stdout == ""
    assert SECRET not in done.stderr and untouched(directory)
    assert problem in run("config", "check", directory, *flags, check=1).stdout


def test_a_list_has_every_setting_its_value_and_where_it_came_from(directory):
    settings(directory, region="eu-1", users=[{"name": "alice", "access-key": "KEYOFALICE", "secret-key": SECRET}])
    done = run("config", "list", directory, "--json", "--set", "workers=3", check=0, HOLDFAST_LOG_LEVEL="info",
               HOLDFAST_ROOT_ACCESS_KEY="ROOTSKEY", HOLDFAST_ROOT_SECRET_KEY=SECRET)
    found = {line["name"]: line for line in lines(done)}
    assert found["region"]["value"] == "eu-1" and found["region"]["source"] == str(directory / "holdfast.json")
    assert found["workers"] == {"name": "workers", "value": "3", "source": "--set workers", "defaultValue": "8",
                                "environment": "HOLDFAST_WORKERS"}
    assert found["log-level"]["value"] == "info" and found["log-level"]["source"] == "HOLDFAST_LOG_LEVEL"
    assert found["connections"]["source"] == "default" and found["connections"]["value"] == found["connections"]["defaultValue"]
    assert found["users"]["value"] == "alice" and "environment" not in found["users"]
    assert found["root-secret-key"]["value"] == "set, not shown"
    assert SECRET not in done.stdout and "ROOTSKEY" not in done.stdout
    assert untouched(directory)
    text = run("config", "list", directory, check=0).stdout
    assert "region = eu-1  (" in text and SECRET not in text


def test_every_value_of_a_list_is_one_that_the_setting_takes(directory):
    """What is listed can be set: it comes out the same."""
    found = lines(run("config", "list", directory, "--json", check=0))
    flags = [f for line in found if "environment" in line and not line["name"].startswith("root-") and line["value"]
             for f in ("--set", f"{line['name']}={line['value']}")]
    again = lines(run("config", "list", directory, "--json", *flags, check=0))
    assert {l["name"]: l["value"] for l in again} == {l["name"]: l["value"] for l in found}


def test_the_readme_has_every_setting_with_its_variable_and_its_default(directory):
    text = (ROOT / "README.md").read_text().split("## Settings")[1].split("\n## ")[0]
    rows = {}
    for row in re.findall(r"^\| (`.*?) \| (.*?) \| (.*?) \|", text, re.M):
        for name, variable in zip(re.findall(r"`([a-z0-9-]+)`", row[0]), re.findall(r"`(HOLDFAST_\w+)`", row[1]) or [None] * 9):
            rows[name] = variable, row[2]
    found = {l["name"]: l for l in lines(run("config", "list", directory, "--json", check=0)) if not l["name"].startswith("root-")}
    assert set(rows) == set(found)
    for name, line in found.items():
        assert rows[name][0] == line.get("environment"), name
        if re.fullmatch(r"\d+", line["defaultValue"]):
            assert rows[name][1] == line["defaultValue"], name


@pytest.mark.parametrize("name, members", [
    ("holdfast.json", dict(users=[{"name": "alice", "access-key": "KEYOFALICE", "secret-key": SECRET}])),
    ("hook.secret", dict(sinks=[{"name": "hook", "webhook": "http://127.0.0.1:1/", "secret-file": "hook.secret"}])),
    ("key.pem", dict(tls_certificate="chain.pem", tls_key="key.pem")),
])
def test_a_file_of_secrets_that_others_may_open_is_refused_with_what_to_do(tmp_path, directory, name, members):
    for path, data in zip((directory / "chain.pem", directory / "key.pem"), Authority(tmp_path / "authority").leaf("leaf")):
        replace(path, data)
    keep_secret(directory / "hook.secret", SECRET)
    settings(directory, **members)
    run("config", "check", directory, check=0)
    path = directory / name
    path.chmod(0o644)
    for command in (["config", "check", directory], ["serve", directory, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]):
        done = run(*command, check=1)
        said = done.stdout + done.stderr
        assert re.search(rf"{path} has mode 644: .*; chmod 6[04]0 {path}", said) and said.count("\n") == 1, said
        assert SECRET not in said and not (directory / "state").exists()


def test_files_of_secrets_are_their_owners_alone(server):
    server.command("key", "create", check=0)
    server.client().create_bucket(Bucket="photos")
    server.client().put_bucket_encryption(Bucket="photos", ServerSideEncryptionConfiguration={
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]})
    server.client().put_object(Bucket="photos", Key="a", Body=b"x")
    state = server.directory / "state"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    for name in ("keys.json", "master-keys.json", "holdfast.sock", "takeover.sock"):
        assert stat.S_IMODE((state / name).stat().st_mode) == 0o600, name
