#!/usr/bin/env python3
"""How much requests feel what the server does by itself: the same load, again and again, with and without it.

Requests come at a steady rate, a part of what the server can do, as applications send them: at the peak any p99 is the length
of a queue, and the load generator needs processors, too (the table tells how busy they are at rest). Each pair is one stretch at rest and one beside the work, every other
pair the other way round, so that what else the machine does is in both; each begins when the last one's uploads are confirmed.
"chance" is the same ratio between neighbouring stretches at rest: what would be told if nothing was done. In brackets stand the
bounds between which the median of the pairs is, in nineteen of twenty measurements, whatever the distribution (order
statistics of the sign test).

The goals: p99 grows by a tenth at most, beside snapshots by a fifth; no transaction of maintenance holds the catalog for more than 20 ms.
A goal is met when the median of the pairs is within it, not shown when only its lower bound is, and else missed: then, and when
a transaction was longer, the exit status is 1.
"""

import contextlib
import subprocess
import threading
import time

from stage import PART_OF_PEAK, Stage, arguments, bounds, median

REPOSITORY = "kept"
GOALS = {"nothing": 1.1, "scrub": 1.1, "snapshots": 1.2, "checks": 1.1, "everything": 1.1}


def fill(stage, gigabytes):
    """Objects of 8 MiB, so that reading them takes a while."""
    wanted, size, put = gigabytes << 30, 8 << 20, 0
    while put < wanted:
        result = stage.load("put", "--size", size, "--connections", 4, "--seconds", 5, "--bucket", "large", "--prefix", f"{put}-")
        put += result["requests"] * size


class Again(contextlib.AbstractContextManager):
    """Does something again and again, until it is left."""

    def __init__(self, body):
        self.body, self.count, self.failures = body, 0, []

    def __enter__(self):
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def run(self):
        while not self.end.is_set():
            try:
                self.body(self.count)
                self.count += 1
            except BaseException as error:
                self.failures.append(error)
                return

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()
        if self.failures:
            raise self.failures[0]


class Work:
    """What may be done beside the load, begun and ended for each stretch."""

    def __init__(self, stage):
        self.stage, self.number = stage, 0

    @contextlib.contextmanager
    def scrub(self):
        self.stage.ask({"scrub": {"_0": {"start": {}}, "json": False}})
        yield
        self.stage.ask({"scrub": {"_0": {"pause": {}}, "json": False}})

    def snapshot(self, _=0):
        """Each into a repository of its own: a first copy, of everything."""
        self.number += 1
        repository = self.stage.directory / f"repository-{self.number}"
        self.stage.ask({"createSnapshot": {"repository": str(repository), "json": False}})

    @contextlib.contextmanager
    def snapshots(self):
        with Again(self.snapshot):
            yield
        for repository in self.stage.directory.glob("repository-*"):
            subprocess.run(["rm", "-r", repository], check=True)
        subprocess.run(["sync"], check=True)

    @contextlib.contextmanager
    def checks(self):
        with Again(lambda _: self.stage.ask({"fsck": {"deep": False, "repair": False, "json": False}})):
            yield

    def nothing(self):
        """What the measurement itself says where there is nothing to feel."""
        return contextlib.nullcontext()

    def jobs(self, action):
        for name in ("lifecycle", "reclaim", "history", *(f"{kind}:{REPOSITORY}" for kind in ("snapshot", "verify", "drill", "prune"))):
            self.stage.ask({"jobs": {"_0": {action: {"_0": name}}, "json": False}})

    def run_jobs(self, _):
        """Each order costs, too: fourteen in a second half as much again of the p99 of GETs."""
        self.jobs("run")
        time.sleep(2)

    @contextlib.contextmanager
    def everything(self):
        """All that the server does by itself: the scrub, and each other job as soon as it has ended, or two seconds later."""
        self.jobs("resume")
        with self.scrub(), Again(self.run_jobs):
            yield
        self.jobs("pause")


class Processors:
    """The part of the machine's time in which its processors are busy, while the context is open."""

    def __enter__(self):
        self.before = self.read()
        return self

    def __exit__(self, *_):
        idle, total = (after - before for before, after in zip(self.before, self.read()))
        self.busy = 1 - idle / total

    @staticmethod
    def read():
        with open("/proc/stat") as file:
            ticks = [int(word) for word in file.readline().split()[1:9]]
        return ticks[3] + ticks[4], sum(ticks)


def measure(stage, work, operation, options):
    flags = ["--size", 4096]
    if operation == "get":
        flags += ["--prepared", "--prefix", "get-", "--keys", 1000]
    peak = stage.load(operation, *flags, "--connections", 16, "--seconds", 4)["requestsPerSecond"]
    rate = peak * PART_OF_PEAK

    def stretch():
        return stage.load(operation, *flags, "--connections", options.connections, "--seconds", options.seconds,
                          "--rate", rate)["percentile99Milliseconds"]

    with work():
        stage.load(operation, *flags, "--connections", options.connections, "--seconds", options.settle, "--rate", rate)
    calm, busy, used = [], [], []

    def rest():
        with Processors() as processors:
            calm.append(stretch())
        used.append(processors.busy)

    def beside():
        with work():
            busy.append(stretch())

    for pair in range(options.pairs):
        for half in (rest, beside) if pair % 2 == 0 else (beside, rest):
            stage.wait_confirmed()
            half()
    ratios = [b / c for b, c in zip(busy, calm)]
    chance = [b / a for a, b in zip(calm, calm[1:])]
    low, high = bounds(ratios)
    goal = GOALS[work.__name__]
    verdict = "met" if median(ratios) <= goal else "not shown" if low <= goal else "missed"
    print(f"| {work.__name__} | {operation} 4 KiB, {rate:,.0f}/s of {peak:,.0f}, {median(used):.0%} | {median(calm):.2f} | "
          f"{median(busy):.2f} | {median(busy) / median(calm):.2f} | {median(ratios):.2f} ({low:.2f} to {high:.2f}) | "
          f"{median(chance):.2f} ({bounds(chance)[0]:.2f} to {bounds(chance)[1]:.2f}) | {verdict} |", flush=True)
    return verdict == "missed"


def main():
    parser = arguments(__doc__)
    parser.add_argument("--gigabytes", type=int, default=2, help="of large objects, on each volume")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=8, help="of each stretch")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--settle", type=float, default=30, help="seconds of load in which the loop finds its share")
    parser.add_argument("--work", default="scrub,snapshots,everything", help="comma-separated, of nothing, scrub, snapshots, checks, everything")
    parser.add_argument("--operations", default="get,put")
    options = parser.parse_args()
    def settings(directory):
        return {"repositories": {REPOSITORY: {"directory": str(directory / REPOSITORY), "keep-last": 2, "drill-sample": 20,
                                              "verify-percent": 100}}}

    with Stage(options, settings=settings) as stage:
        fill(stage, options.gigabytes)
        stage.load("get", "--size", 4096, "--connections", 16, "--seconds", 1, "--prefix", "get-", "--keys", 1000)
        stage.command("scrub", "pause", stage.store)
        print("| beside | load, processors at rest | p99 ms at rest | p99 ms beside | ratio of medians | ratio of pairs, median | chance | goal |")
        print("|" + " --- |" * 8)
        failed = False
        for name in options.work.split(","):
            for operation in options.operations.split(","):
                failed |= measure(stage, getattr(Work(stage), name), operation, options)
        holds = stage.histogram("holdfast_catalog_hold_seconds")
        within = dict(holds)[0.02]
        print(f"transactions of maintenance that held the catalog: {holds[-1][1]:.0f}, of them {within:.0f} for 20 ms at most")
    raise SystemExit(1 if failed or within < holds[-1][1] else 0)


main()
