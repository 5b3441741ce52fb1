"""Mixed load for a long time, and something fails every little while: a volume is gone, slow or full, replicas are damaged, a
sink does not answer, the process is killed or followed by another. Nothing acknowledged is lost, and in the end everything is
green by itself. From the middle on one process meets all that fails, and is neither killed nor followed: it has no more descriptors
and threads at the end than it had once it was warm, and its memory is about what it was, and has a bound. HOLDFAST_SOAK_SECONDS makes it as long as one likes: two hours are 7200."""

import collections
import contextlib
import hashlib
import itertools
import json
import os
import pathlib
import random
import statistics
import time
import urllib.request

from faults import inject, slow_disk, wait_confirmed
from holdfast import Server, wait_until
from load import VERSIONED, Load, seed
from mounts import MEGABYTE
from takeover import follow
from test_sinks import receiver  # noqa: F401

SECONDS = float(os.environ.get("HOLDFAST_SOAK_SECONDS", 600))
KEPT = "kept"
SLOW, FULL = 2, 3
# Those that a process lives through.
FAULTS = 5


Sample = collections.namedtuple("Sample", "blobs others deleted threads size")


def kept_body(number):
    return random.Random(number).randbytes([100, 5_000, 70_000, 300_000][number % 4])


class Soak:
    def __init__(self, server, receiver, control, number):
        self.server, self.receiver, self.control = server, receiver, control
        self.chance = random.Random(number)
        self.load = Load(server, number, tries=300, pause=0.1)
        self.damaged = self.repairs = 0
        self.samples = []  # of the process that runs
        client = server.client()
        client.create_bucket(Bucket=KEPT)
        for n in range(120):
            client.put_object(Bucket=KEPT, Key=f"k{n}", Body=kept_body(n))
        wait_confirmed(server)

    def more(self, changes=40):
        enough = self.load.acknowledged + changes
        wait_until(lambda: self.load.has_failed or self.load.acknowledged >= enough, seconds=300, what="load")

    def standing(self, volume, standing):
        """A volume that left often waits for its return, up to five minutes. The load goes on meanwhile, and what it keeps has to
        fit on the smallest volume."""
        for last in (*[False] * 30, True):
            try:
                return wait_until(
                    lambda: self.load.has_failed or self.server.standings()[volume]["standing"] == standing, seconds=20,
                    what=f"volume {volume} {standing}")
            except AssertionError:
                if last:
                    raise AssertionError(self.server.standings()[volume])
                self.load.stop()
                self.load.prove()
                self.trim()
                self.load.start()

    # What fails

    def gone(self):
        place = self.server.volume(self.chance.choice([1, SLOW]))
        aside = place.with_name("aside")
        place.rename(aside)
        self.standing(int(place.name[-1]), "set aside")
        self.more()
        aside.rename(place)

    def full(self):
        ballast = self.server.volume(FULL) / "lost+found"
        with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(MEGABYTE))
        self.standing(FULL, "set aside")
        self.more()
        ballast.unlink()

    def slow(self):
        self.control.touch()
        # It is tried again at once, and slow with that too.
        wait_until(lambda: self.load.has_failed or self.server.standings()[SLOW]["standing"] != "in service", seconds=300,
                   what="the slow volume out of service")
        self.more()
        self.control.unlink()

    def damage(self):
        planted = inject(self.server, "any", "--bucket", KEPT, "--count", 4, "--seed", self.chance.randrange(1 << 30))
        self.damaged += len(planted)
        self.more(10)
        self.repairs += 1
        if self.repairs % 2:
            self.server.command("fsck", "--deep", "--repair")
        else:
            # The scrub gives way to everything: beside load that leaves no processor idle it may take as long as that lasts.
            self.load.stop()
            self.heal()
            self.load.start()

    def heal(self):
        """What nobody reads the scrub finds, and what it finds is mended."""
        self.server.command("scrub", "start", check=0)
        found = None

        def is_whole():
            nonlocal found
            found = self.server.fsck("--deep")
            return found[::2] == ([], 0)

        try:
            wait_until(is_whole, seconds=600)
        except AssertionError:
            raise AssertionError(found, self.server.command("scrub", "status").stdout)

    def silent_sink(self):
        self.receiver.hang.clear()
        self.more(80)
        self.receiver.hang.set()

    def killed(self):
        self.load.may_end.set()
        self.server.kill()
        self.load.join()
        self.server.start()
        self.samples = []
        self.load.prove()
        self.load.start()

    def taken_over(self):
        follow(self.server)
        self.samples = []

    def round(self, fault):
        self.load.start()
        try:
            self.more(20)
            fault()
            for volume in (1, 2, 3):
                self.standing(volume, "in service")
            self.more(20)
        finally:
            self.load.stop()
        self.load.prove()
        self.trim()

    def trim(self):
        """Lets go of old versions: what is kept of them is proved, and a disk has an end."""
        for worker in self.load.workers:
            for (bucket, key), known in worker.versions.items():
                while bucket == VERSIONED and len(known) > 3:
                    worker.client.delete_object(Bucket=bucket, Key=key, VersionId=known.pop(0)[0])

    # What is left of it

    def sample(self):
        process = pathlib.Path(f"/proc/{self.server.process.pid}")
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
        names = []
        for link in (process / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                names.append(os.readlink(link))
        # Replicas that were read lately are kept open, up to 256 on a volume.
        blobs = sum("/blobs/" in name for name in names)
        self.samples.append(Sample(blobs, len(names) - blobs, sum(name.endswith("(deleted)") for name in names),
                                   int(status["Threads"]), int(status["VmRSS"].split()[0]) * 1024))

    def metric(self, name):
        text = urllib.request.urlopen(f"{self.server.admin}/metrics", timeout=60).read().decode()
        return [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name]

    def lag(self):
        return json.loads(self.server.command("sink", "status", "orders", "--json", check=0).stdout)["lag"]

    def end(self):
        """Green without anybody's doing, and nothing is left over."""
        self.damaged += len(inject(self.server, "any", "--bucket", KEPT, "--count", 4, "--seed", self.chance.randrange(1 << 30)))
        self.heal()
        wait_until(lambda: self.metric("holdfast_green") == [1], seconds=300, what="green")
        wait_until(lambda: self.lag() == 0, seconds=300, what="the sink told of everything")
        self.load.prove(whole=True)
        client = self.server.client()
        for n in range(120):
            body = client.get_object(Bucket=KEPT, Key=f"k{n}")["Body"].read()
            assert hashlib.sha256(body).digest() == hashlib.sha256(kept_body(n)).digest(), f"k{n}"
        assert self.server.fsck("--deep")[::2] == ([], 0)
        self.server.command("log", "verify", check=0)
        self.server.wait_alike()
        assert not self.server.incoming()
        left = [p.name for p in (self.server.directory / "state").iterdir() if p.name.startswith(("check-", "snapshot-"))]
        assert not left
        print(*self.samples, sep="\n")
        # Once every fault was met, caches and pools are as full as they get. Memory that is free goes back: 512 MiB is what
        # `holdfast doctor` asks for.
        warm, late = self.samples[:FAULTS], self.samples[-FAULTS:]
        for sample in self.samples:
            assert sample.blobs <= 3 * 256 and sample.size < 512 * MEGABYTE, self.samples
        # It grows less and less, as what is kept of the log's segments does, and hardly once half of the time is over.
        middle = self.samples[len(self.samples) // 2 - 2:][:FAULTS]
        assert statistics.median(s.size for s in late) <= 1.25 * statistics.median(s.size for s in middle) + 32 * MEGABYTE, self.samples
        assert max(s.others for s in late) <= max(s.others for s in warm) + 48, self.samples
        assert max(s.threads for s in late) <= max(s.threads for s in warm) + 16, self.samples
        assert max(s.deleted for s in late) <= max(s.deleted for s in warm) + 16, self.samples


def test_everything_is_green_by_itself_after_hours_of_faults(tmp_path, mounted, receiver, monkeypatch):  # noqa: F811
    number = seed()
    print(f"HOLDFAST_SEED={number}")
    control = tmp_path / "slow"
    directory = tmp_path / "store"
    directory.mkdir()
    sink = {"name": "orders", "webhook": receiver.url, "events": ["s3:*", "holdfast:*"], "deadline-seconds": 2}
    (directory / "holdfast.json").write_text(json.dumps({"sinks": [sink]}))
    mounted(directory / f"volume-{FULL}", "tmpfs", 3000)
    server = Server(directory, "--set", "test-store=true", "--set", "history-hours=0", "--set", "deadline-seconds=5",
                    "--set", "incident-seconds=5")
    for name, value in {"LD_PRELOAD": slow_disk(tmp_path), "HOLDFAST_SLOW_BELOW": f"{directory}/volume-{SLOW}/",
                        "HOLDFAST_SLOW_WHILE": control, "HOLDFAST_SLOW_SECONDS": 12}.items():
        monkeypatch.setenv(name, str(value))
    with server:
        soak = Soak(server, receiver, control, number)
        started = time.monotonic()
        rounds = 0
        for turn in itertools.count():
            faults = [soak.gone, soak.full, soak.slow, soak.damage, soak.silent_sink]
            assert len(faults) == FAULTS
            soak.chance.shuffle(faults)
            if turn == 0 or time.monotonic() - started < SECONDS / 2:
                faults = [soak.killed, soak.taken_over, *faults]
            for fault in faults:
                soak.round(fault)
                soak.sample()
                rounds += 1
            if time.monotonic() - started > SECONDS:
                break
        soak.end()
        last = 0
        for record in receiver.records:
            assert record["holdfast"]["previous"] <= last, f"nothing is missing before {record}"
            last = max(last, record["holdfast"]["sequence"])
        print(f"{rounds} rounds in {time.monotonic() - started:.0f} s, {soak.load.acknowledged} changes acknowledged, "
              f"{soak.load.retries} sent again, {soak.damaged} places damaged, {len(receiver.records)} records told")
