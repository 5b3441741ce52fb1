#!/usr/bin/env python3
"""How fast a check goes: a quick one over many small objects, a deep one over large objects against the disk itself; and
the server's memory at two sizes of store.
"""

import os
import threading
import time

from stage import Stage, arguments, median


def put(stage, count, size, connections, bucket):
    """At least so many objects."""
    made = 0
    while made < count:
        made += stage.load("put", "--size", size, "--connections", connections, "--seconds", 5, "--bucket", bucket)["requests"]
    return made


def settle(stage):
    """Until everything that was put is confirmed."""
    while True:
        samples = stage.metrics()
        if samples["holdfast_log_sequence"] - samples["holdfast_confirmed_sequence"] <= 8:
            return
        time.sleep(0.2)


def raw_read(stage):
    """Bytes a second of reading every blob file, a thread for each volume, past the page cache."""
    paths = [[p for p in (stage.store / f"volume-{n}/blobs").rglob("*") if p.is_file()] for n in (1, 2, 3)]
    total = sum(p.stat().st_size for part in paths for p in part)

    def read(part):
        import mmap
        buffer = mmap.mmap(-1, 1 << 20)
        for path in part:
            file = os.open(path, os.O_RDONLY | os.O_DIRECT)
            try:
                offset = 0
                while True:
                    count = os.preadv(file, [buffer], offset)
                    offset += count
                    if count < len(buffer):
                        break
            finally:
                os.close(file)

    threads = [threading.Thread(target=read, args=(part,)) for part in paths]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return total, total / (time.monotonic() - started)


def check(stage, *flags):
    lines, seconds = stage.command("fsck", stage.store, "--json", *flags)
    if lines[-1]["findings"]:
        raise SystemExit(f"fsck found {lines[:-1]}")
    return seconds


def main():
    parser = arguments(__doc__)
    parser.add_argument("--objects", type=int, default=200_000)
    parser.add_argument("--gigabytes", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print("| check | figure | goal |\n| --- | --- | --- |")
    peaks = []
    for count in (options.objects // 10, options.objects):
        with Stage(options, "--set", "scrub-period-days=0") as stage:
            made = put(stage, count, 4096, 64, "small")
            settle(stage)
            first = check(stage)
            print(f"| the first check, {made:,} objects of 4 KiB | {made / first:,.0f} objects/s ({first:.1f} s) | |", flush=True)
            quick = median([check(stage) for _ in range(options.rounds)])
            deep = median([check(stage, "--deep") for _ in range(options.rounds)])
            peaks.append((made, stage.peak_bytes()))
            print(f"| quick, {made:,} objects of 4 KiB | {made / quick:,.0f} objects/s ({quick:.1f} s) | 200,000/s |", flush=True)
            print(f"| deep, {made:,} objects of 4 KiB | {made / deep:,.0f} objects/s ({deep:.1f} s) | |", flush=True)
    with Stage(options, "--set", "scrub-period-days=0") as stage:
        put(stage, (options.gigabytes << 30) // (64 << 20), 64 << 20, 2, "large")
        settle(stage)
        ratios, rates = [], []
        for _ in range(options.rounds):
            stage.drop_cache()
            total, raw = raw_read(stage)
            stage.drop_cache()
            rates.append(total / check(stage, "--deep"))
            ratios.append(rates[-1] / raw)
        print(f"| deep, {total / 3e9:.1f} GB a volume of 64 MiB objects | {median(rates) / 1e6:,.0f} MB/s, {median(ratios):.2f} × "
              f"reading the files alone | 0.8 × |")
    for made, peak in peaks:
        print(f"| the server's peak memory, {made:,} objects | {peak / 2**20:.0f} MiB | |")


main()
