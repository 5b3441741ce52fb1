"""The built binary, as a server and as commands."""

import json
import os
import pathlib
import signal
import subprocess
import time

import boto3
from botocore.config import Config

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("HOLDFAST_BINARY", str(ROOT / ".build/release/holdfast"))
CLIENTS = ROOT / ".build/test-clients/bin"
ACCESS_KEY = "TESTACCESSKEY"
SECRET_KEY = "test-secret-key-of-the-suite"
REGION = "us-east-1"


def holdfast(*arguments, check=None):
    """Runs a command; `check` is the exit status it must have."""
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    if check is not None:
        assert done.returncode == check, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def server_environment():
    """How full this machine's disk is concerns no test but those that are about it, which have a flag of their own."""
    return dict(os.environ, HOLDFAST_ROOT_ACCESS_KEY=ACCESS_KEY, HOLDFAST_ROOT_SECRET_KEY=SECRET_KEY, HOLDFAST_HEAL_FREE_PERCENT="0")


def wait_until(condition, seconds=60, what="it"):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def keep_secret(path, data):
    """Writes a file of secrets, which nobody else may open."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def s3_client(endpoint, access, secret):
    return boto3.client("s3", endpoint_url=endpoint, aws_access_key_id=access, aws_secret_access_key=secret,
                        region_name="us-east-1", config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}))


class Server:
    def __init__(self, directory, *flags):
        self.directory = pathlib.Path(directory)
        self.flags = flags
        self.process = None
        self.errors = self.directory.parent / (self.directory.name + ".stderr")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process:
            self.stop()

    def spawn(self):
        with open(self.errors, "a") as errors:
            self.process = subprocess.Popen(
                [BINARY, "serve", str(self.directory), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--json",
                 *self.flags],
                stdout=subprocess.PIPE, stderr=errors, text=True, env=server_environment())

    def start(self):
        self.spawn()
        line = self.process.stdout.readline()
        assert line, f"the server did not start: {self.errors.read_text()}"
        ready = json.loads(line)
        self.port = int(ready["listen"].rsplit(":", 1)[1])
        self.endpoint = f"{ready['scheme']}://127.0.0.1:{self.port}"
        self.admin = f"http://{ready['admin']}"

    def stop(self):
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, self.errors.read_text()
        process.stdout.close()

    def kill(self):
        process, self.process = self.process, None
        process.kill()
        process.wait(60)
        process.stdout.close()

    def kill_while_it_starts(self, seconds):
        self.spawn()
        time.sleep(seconds)
        self.kill()

    def client(self, host="127.0.0.1", **options):
        settings = dict(retries={"max_attempts": 0}, s3={"addressing_style": "path"})
        settings.update(options)
        return boto3.client(
            "s3", endpoint_url=f"http://{host}:{self.port}", aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
            region_name=REGION, config=Config(**settings))

    def environment(self):
        """For clients that read the environment."""
        return dict(
            os.environ, AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY=SECRET_KEY, AWS_DEFAULT_REGION=REGION,
            AWS_EC2_METADATA_DISABLED="true", AWS_CONFIG_FILE="/dev/null", AWS_SHARED_CREDENTIALS_FILE="/dev/null",
            PATH=f"{CLIENTS}:{os.environ['PATH']}")

    def volume(self, number):
        return self.directory / f"volume-{number}"

    def incoming(self):
        return [p for n in (1, 2, 3) for p in (self.volume(n) / "incoming").iterdir()]

    def blobs(self, number):
        return sorted(p for p in (self.volume(number) / "blobs").rglob("*") if p.is_file())

    def wait_alike(self):
        """Every volume has the same replicas; what is reclaimed at the moment goes from one after the other."""
        def alike():
            one, two, three = ({path.name for path in self.blobs(n)} for n in (1, 2, 3))
            return one == two == three
        wait_until(alike, seconds=120, what="the same replicas on every volume")

    # Commands on the directory, whether or not the server runs.

    def command(self, *arguments, check=None):
        return holdfast(arguments[0], *arguments[1:2], self.directory, *arguments[2:], check=check) \
            if arguments[0] in ("volume", "key", "user", "encryption-key", "repair", "scrub", "incident", "sink", "jobs") and arguments[1] != "policy" \
            or arguments[:2] in (("log", "verify"), ("log", "cut")) \
            else holdfast(arguments[0], self.directory, *arguments[1:], check=check)

    def user(self, name, *flags):
        """Makes a user: canonical id, access key and secret."""
        done = self.command("user", "create", name, "--json", *flags, check=0)
        made = json.loads(done.stdout)
        return made["canonicalID"], made["accessKey"], made["secretKey"]

    def fsck(self, *flags, check=None):
        """The findings, the summary and the exit status."""
        done = self.command("fsck", "--json", *flags, check=check)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines, done.stderr
        return lines[:-1], lines[-1], done.returncode

    def log(self, *flags):
        return [json.loads(line) for line in self.command("log", "--json", *flags, check=0).stdout.splitlines()]

    def standings(self):
        lines = self.command("volume", "list", "--json", check=0).stdout.splitlines()
        return {line["volume"]: line for line in map(json.loads, lines)}

    def wait_in_service(self):
        wait_until(
            lambda: all(v["standing"] == "in service" for v in self.standings().values()), what="every volume in service")
