#!/usr/bin/env python3
"""How much requests feel the scrub: the same load, again and again, with the scrub paused and with it reading.

Each pair is one stretch at rest and one beside the scrub, in turn, so that what else the machine does is in both; the ratio
of a pair is told, and the median of all. "at rest again" is the ratio of neighbouring stretches at rest: what chance makes.
"""

import time

from stage import Stage, arguments, median


def fill(stage, gigabytes):
    """Objects of 8 MiB, so that a pass over a volume takes a while."""
    wanted, prefix, size = gigabytes << 30, "fill", 8 << 20
    put = 0
    while put < wanted:
        result = stage.load("put", "--size", size, "--connections", 4, "--seconds", 5, "--bucket", "large",
                            "--prefix", f"{prefix}{put}-")
        put += result["requests"] * size


def stretch(stage, operation, seconds, options):
    flags = ["--size", 4096, "--connections", options.connections, "--seconds", seconds]
    if operation == "get":
        flags += ["--prepared", "--prefix", "get-", "--keys", 1000]
    return stage.load(operation, *flags)


def reading(stage):
    """The scrub is at it: one that has come to its end is started again."""
    stage.command("scrub", "start", stage.store)


def main():
    parser = arguments(__doc__)
    parser.add_argument("--gigabytes", type=int, default=2, help="of large objects, on each volume")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=6, help="of each stretch")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--settle", type=float, default=30, help="seconds of load in which the loop finds its share")
    options = parser.parse_args()
    with Stage(options) as stage:
        fill(stage, options.gigabytes)
        stage.load("get", "--size", 4096, "--connections", 16, "--seconds", 1, "--prefix", "get-", "--keys", 1000)
        print("| load | p99 ms at rest | beside the scrub | ratio, median (each) | at rest again | scrub share | MB/s read |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for operation in ("get", "put"):
            reading(stage)
            stretch(stage, operation, options.settle, options)
            calm, busy, shares, rates = [], [], [], []
            for _ in range(options.pairs):
                stage.command("scrub", "pause", stage.store)
                calm.append(stretch(stage, operation, options.seconds, options)["percentile99Milliseconds"])
                reading(stage)
                before, started = stage.metrics(), time.monotonic()
                busy.append(stretch(stage, operation, options.seconds, options)["percentile99Milliseconds"])
                after = stage.metrics()
                shares.append(after["holdfast_scrub_share"])
                rates.append((after["holdfast_scrub_bytes"] - before["holdfast_scrub_bytes"])
                             / (time.monotonic() - started) / 1e6)
            ratios = [b / c for b, c in zip(busy, calm)]
            again = [max(a, b) / min(a, b) for a, b in zip(calm, calm[1:])]
            print(f"| {operation} 4 KiB, {options.connections} conn. | {median(calm):.2f} | {median(busy):.2f} | "
                  f"{median(ratios):.2f} ({', '.join(f'{r:.2f}' for r in ratios)}) | {median(again):.2f} | "
                  f"{100 * median(shares):.1f} % | {median(rates):.0f} |", flush=True)


main()
