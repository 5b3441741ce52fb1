#!/usr/bin/env python3
"""Whether the completion verifier keeps up: events that wait to be confirmed while small objects are put as fast as it goes.

The lag is the difference of two metrics, looked at every quarter of a second; one confirmation covers up to 4,096 events, so
up to that many wait when nothing is behind.
"""

import threading
import time

from stage import Stage, arguments, median


def lag(stage):
    samples = stage.metrics()
    return samples["holdfast_log_sequence"] - samples["holdfast_confirmed_sequence"]


def main():
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=45)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--shares", default="25,100", help="values of verify-share, comma-separated")
    options = parser.parse_args()
    print("| verify-share | puts/s | lag, first half: median, most | second half: median, most | after the load |")
    print("| --- | --- | --- | --- | --- |")
    for share in options.shares.split(","):
        with Stage(options, "--set", f"verify-share={share}", "--set", "scrub-period-days=0") as stage:
            seen, done = [], threading.Event()

            def watch():
                while not done.wait(0.25):
                    seen.append(lag(stage))

            watcher = threading.Thread(target=watch)
            watcher.start()
            try:
                result = stage.load("put", "--size", options.size, "--connections", options.connections,
                                    "--seconds", options.seconds)
            finally:
                done.set()
                watcher.join()
            started = time.monotonic()
            while lag(stage) > 8 and time.monotonic() - started < 60:
                time.sleep(0.05)
            halves = seen[:len(seen) // 2], seen[len(seen) // 2:]
            cells = [f"{median(half):,.0f}, {max(half):,.0f}" for half in halves]
            print(f"| {share} % | {result['requestsPerSecond']:,.0f} | {cells[0]} | {cells[1]} | "
                  f"{time.monotonic() - started:.1f} s |", flush=True)


main()
