#!/usr/bin/env python3
"""Measures the installed system in the virtual machine against other tools, and prints tables.

    tests/vm/bench.py [--profile release|debug] [--rounds N] [PART…]

Parts are `arrival`, `copying`, `sixteen` (sticks) and `mtp`; without one it takes all. Everything is emulated, so the
figures compare only with each other. It judges nothing: aims stand beside the figures.
"""

import argparse
import functools
import itertools
import pathlib
import shutil
import statistics
import sys
from collections.abc import Callable
from typing import Any

from cases.support import Bench
from machine import golden, image
from measures import mtp, sticks

WATCH = pathlib.Path(__file__).resolve().parent / "guest/watch.py"
Measure = Callable[[Bench], Any]
Take = Callable[[Measure], Any]


def in_a_guest(saved: golden.Golden, measure: Measure) -> Any:
    """Takes a measure in a fresh guest."""
    work = image.CACHE / "bench"
    try:
        with golden.boot(saved, work) as guest:
            guest.check("cat >/run/watch.py", data=WATCH.read_bytes())
            return measure(Bench(guest, saved, work))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def print_arrival(take: Take, rounds: int) -> None:
    """How soon a stick is served."""
    seen = [take(sticks.arrival) for _ in range(rounds)]
    known, on_bus, first_byte = (statistics.median(column) for column in zip(*seen, strict=True))
    print("\n| measure | Tandem | against | aim |\n| --- | --- | --- | --- |")
    print(f"| from the plug to the device on the bus | {on_bus:.2f} s | kernel and udev alone {known:.2f} s | |")
    print(f"| from the plug to the first byte copied | {first_byte:.2f} s | | |", flush=True)


def print_copying(take: Take, rounds: int) -> None:
    """How fast a stick is filled."""
    print("\n| bytes to a stick, MB/s | Tandem | against | aim |\n| --- | --- | --- | --- |", flush=True)
    rows = itertools.product(sticks.SPEEDS, ("fat32", "exfat"), sticks.LOADS)
    for speed, kind, load in rows:
        (count, size), limit = sticks.LOADS[load], sticks.SPEEDS[speed]
        measure = functools.partial(sticks.copying, kind=kind, load=load, speed=limit)
        seen = [take(measure) for _ in range(rounds)]
        rates = {tool: statistics.median(rate[tool] for rate in seen) for tool in seen[0]}
        others = ", ".join(f"`{tool}` and `sync` {rate:.1f}" for tool, rate in rates.items() if tool != "tandem")
        what = f"{count * size / 1e6:.0f} MB in {load} to {kind} at {speed}"
        print(f"| {what} | {rates['tandem']:.1f} | {others} | no slower than the faster |", flush=True)


def print_sixteen(take: Take, _: int) -> None:
    """Sixteen sticks at once."""
    many = take(sticks.sixteen)
    print("\n| sixteen sticks behind hubs | Tandem | against | aim |\n| --- | --- | --- | --- |")
    print(f"| at once, MB/s in all | {many['sixteen']:.1f} | one stick {many['one']:.1f} | no lower |")
    print(f"| resident memory of the daemon, all in a run, peak | {many['memory']:.1f} MB | | 64 MB |")
    answers = f"{many['p99']:.0f} ms (median {many['median']:.0f}, longest {many['longest']:.0f}, of {many['answers']:.0f})"
    machine = f"logind's at the same time {many['machine']:.0f} ms"
    print(f"| the bus's answers meanwhile, 99th percentile | {answers} | {machine} | 50 ms |", flush=True)


def print_mtp(take: Take, rounds: int) -> None:
    """MTP players, each tool on the same one."""
    for name, measure in mtp.PLAYERS.items():
        seen = [take(measure) for _ in range(rounds)]
        print(f"\n| {name}, seconds | " + " | ".join(mtp.TOOLS) + " | peak of the daemon |")
        print("| --- " * (len(mtp.TOOLS) + 2) + "|")
        for row in seen[0]["rows"]:
            cells = []
            for tool in mtp.TOOLS:
                took = [one["rows"][row][tool] for one in seen if one["rows"][row].get(tool) is not None]
                cells.append(f"{statistics.median(took):.2f}" if took else "–")
            print(f"| {row} | " + " | ".join(cells) + f" | {max(one['memory'] for one in seen):.1f} MB |", flush=True)


PARTS = {"arrival": print_arrival, "copying": print_copying, "sixteen": print_sixteen, "mtp": print_mtp}


def main() -> int:
    """Takes the measures that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--profile", default="release", choices=["release", "debug"])
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many rounds")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"{', '.join(sorted(unknown))}: the parts are {', '.join(PARTS)}")
    saved = golden.prepare(image.build(), arguments.profile)
    for name, show in PARTS.items():
        if not arguments.parts or name in arguments.parts:
            show(lambda measure: in_a_guest(saved, measure), arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
