#!/usr/bin/env python3
"""What a setting gains or costs: the same load on two servers with a store each, in turn, one with the setting and one without.

`cache`: GET of 4 KiB of objects that are asked for again and again, with `cache-bytes` and without. `sink`: PUT of 4 KiB with a sink
whose endpoint takes each delivery and answers none, and without; with `--silent SECONDS` it has answered none for so long before,
while something was put every second. At the peak the figures are requests and processor time;
at a third of it, p99. Ratios are of neighbouring stretches, with the bounds of their median, as in `beside_load.py`.
"""

import contextlib
import json
import socket
import threading
import time

from stage import PART_OF_PEAK, Stage, arguments, bounds, median


@contextlib.contextmanager
def silence():
    """An endpoint that accepts, reads and never answers."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    kept = []

    def accept():
        with contextlib.suppress(OSError):  # closed at the end
            while True:
                kept.append(listener.accept()[0])

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        listener.close()
        for connection in kept:
            connection.close()


@contextlib.contextmanager
def cache(options):
    with Stage(options, "--set", "cache-bytes=67108864") as changed:
        yield changed, "get"
        counts = changed.metrics()
        print(f"answered from memory: {counts['holdfast_cache_hits_total']:.0f}, "
              f"not: {counts['holdfast_cache_misses_total']:.0f}")


@contextlib.contextmanager
def sink(options):
    with silence() as url:
        sinks = [{"name": "silent", "webhook": url, "events": ["s3:*", "holdfast:*"]}]
        with Stage(options, settings=lambda _: {"sinks": sinks}) as changed:
            until = time.monotonic() + options.silent
            while time.monotonic() < until:
                changed.load("put", "--size", 4096, "--connections", 1, "--seconds", 1, "--rate", 5)
            yield changed, "put"
            status = changed.command("sink", "status", changed.store, "--json")[0]
            print(json.dumps(status))


def measure(name, plain, changed, operation, options):
    flags = ["--size", 4096]
    if operation == "get":
        flags += ["--prepared", "--prefix", "get-", "--keys", 1000]
        for stage in (plain, changed):
            stage.load("get", "--size", 4096, "--connections", 16, "--seconds", 1, "--prefix", "get-", "--keys", 1000)

    def pairs(*more):
        results = []
        for _ in range(options.pairs):
            results.append([stage.load(operation, *flags, "--connections", options.connections, "--seconds", options.seconds, *more)
                            for stage in (plain, changed)])
        return results

    peak = pairs()
    rate = PART_OF_PEAK * median([pair[0]["requestsPerSecond"] for pair in peak])
    steady = pairs("--rate", rate)
    for what, results, figure in (("requests/s at the peak", peak, "requestsPerSecond"),
                                  ("server CPU s per 1,000", peak, "serverSecondsPer1000"),
                                  (f"p99 ms at {rate:,.0f}/s", steady, "percentile99Milliseconds")):
        columns = [[pair[index][figure] for pair in results] for index in (0, 1)]
        ratios = [pair[1][figure] / pair[0][figure] for pair in results]
        print(f"| {name} | {operation} 4 KiB, {what} | {median(columns[0]):,.3f} | {median(columns[1]):,.3f} | "
              f"{median(ratios):.2f} ({bounds(ratios)[0]:.2f} to {bounds(ratios)[1]:.2f}) |", flush=True)


def main():
    parser = arguments(__doc__)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=4, help="of each stretch")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--settings", default="cache,sink", help="comma-separated")
    parser.add_argument("--silent", type=float, default=0, help="seconds for which the sink has hung before")
    options = parser.parse_args()
    print("| setting | load | without | with | ratio of pairs, median |")
    print("|" + " --- |" * 5)
    for setting in options.settings.split(","):
        with Stage(options) as plain, {"cache": cache, "sink": sink}[setting](options) as (changed, operation):
            measure(setting, plain, changed, operation, options)


main()
