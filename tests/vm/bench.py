#!/usr/bin/env python3
"""Measures the installed system in the virtual machine against other tools, and prints a table.

    tests/vm/bench.py [--profile release|debug] [--rounds N]

Everything is emulated, so the figures compare only with each other. It judges nothing: aims stand beside the figures.
"""

import argparse
import pathlib
import shutil
import statistics
import sys
from collections.abc import Callable
from typing import Any

from cases.support import Bench
from machine import golden, image

WATCH = pathlib.Path(__file__).resolve().parent / "guest/watch.py"
FILES, SIZE = 25, 4_000_000
MEGABYTES = FILES * SIZE / 1e6
# of each player, when sixteen are filled at the same time
SMALL_FILES, SMALL_SIZE = 5, 4_000_000
IDLE = "all(d['SyncState'] == 'stopped' and d['SafeToRemove'] for d in devices)"


def _start_watching(bench: Bench, expression: str) -> None:
    bench.guest.check(f'systemd-run --quiet --unit=watch -p StandardOutput=file:/run/watched python3 /run/watch.py until "{expression}"')


def _watched(bench: Bench) -> float:
    bench.guest.until("test -s /run/watched", "the watcher has seen it", limit=120)
    return float(bench.guest.check("cat /run/watched; rm /run/watched; systemctl reset-failed watch 2>/dev/null || true"))


def _plugged_at(bench: Bench) -> float:
    """When the kernel saw the last stick arrive, in seconds since boot."""
    line = bench.guest.check("dmesg | grep -E 'new (high|Super)[^ ]* ?[Ss]peed.* USB device' | tail -1")
    return float(line.split("]")[0].lstrip("[ "))


def arrival(bench: Bench) -> tuple[float, float, float]:
    """Seconds from a plug until udev is done with it, until the player is on the bus; and, partnered, until its first
    byte is copied."""
    bench.guest.check("systemctl start tandemd")
    # the first plug loads modules and programs from the disk
    bench.guest.plug("first", bench.stick("first"), serial="A0")
    bench.wait_for("FIRST")
    bench.guest.unplug("first")
    stick = bench.stick("stick", size="256M")
    bench.guest.until("! tandemctl list | grep -q FIRST", "the first is forgotten")
    _start_watching(bench, "len(devices) == 1")
    bench.guest.plug("stick", stick, serial="A1")
    on_bus = _watched(bench) - _plugged_at(bench)
    known = "journalctl -b -o short-monotonic --no-pager -u tandemd | grep 'a device came' | tail -1"
    known_at = float(bench.guest.check(known).split("]")[0].lstrip("[ ")) - _plugged_at(bench)
    bench.make_music(count=3)
    bench.partner("STICK")
    bench.guest.unplug("stick")
    bench.wait_for("STICK", connected=False)
    bench.guest.check("head -c 3000000 /dev/urandom >'Music/Band 0/000 Song.mp3'", user="ann")
    bench.ctl("scan --wait")
    _start_watching(bench, "any(d['BytesDone'] > 0 and d['SyncState'] == 'synchronizing' for d in devices)")
    bench.guest.plug("again", stick, serial="A1")
    first_byte = _watched(bench) - _plugged_at(bench)
    return known_at, on_bus, first_byte


def _timed(bench: Bench, shell: str, user: str = "root") -> float:
    """Seconds that a command takes in the guest, with cold caches."""
    bench.guest.check("sync; echo 3 >/proc/sys/vm/drop_caches")
    timed = f"python3 -c 'import subprocess,sys,time; t=time.monotonic(); subprocess.run([\"sh\",\"-ec\",sys.argv[1]],check=True,stdout=subprocess.DEVNULL); print(time.monotonic()-t)' {_quoted(shell)}"
    return float(bench.guest.check(timed, user=user, session=user == "ann", limit=600))


def _quoted(shell: str) -> str:
    return "'" + shell.replace("'", "'\\''") + "'"


def copying(bench: Bench, kind: str) -> dict[str, float]:
    """Megabytes in a second that reach a fresh stick, by each tool: until the device has them."""
    bench.guest.check("systemctl start tandemd")
    bench.make_music(count=FILES, size=SIZE)
    bench.guest.check("systemctl stop tandemd && systemctl mask --runtime tandemd")
    rates = {}
    tools = {"rsync -a": "rsync -a Music/ /media/ann/STICK/Music/", "cp -r": "cp -r Music /media/ann/STICK/"}
    for name, shell in tools.items():
        bench.guest.plug("stick", bench.stick("stick", kind, size="256M"), serial="A1")
        bench.guest.until("udisksctl mount -b /dev/sda", "it can be mounted", user="ann", session=True)
        rates[name] = MEGABYTES / _timed(bench, f"{shell} && sync -f /media/ann/STICK", "ann")
        bench.guest.check("udisksctl unmount -b /dev/sda", user="ann", session=True)
        bench.guest.unplug("stick")
    bench.guest.check("systemctl unmask --runtime tandemd && systemctl start tandemd")
    bench.guest.plug("stick", bench.stick("stick", kind, size="256M"), serial="A2")
    bench.wait_for("STICK")
    rates["tandem"] = MEGABYTES / _timed(bench, "tandemctl partner STICK --playlist All && tandemctl sync STICK", "ann")
    bench.ctl("eject STICK")
    bench.guest.unplug("stick")
    bench.check_in_step(bench.work / "stick.img", kind)
    return rates


def sixteen(bench: Bench) -> dict[str, float]:
    """One stick filled, then sixteen at the same time: rates, the daemon's memory, and the bus's answers meanwhile."""
    bench.guest.check("systemctl start tandemd")
    bench.make_music(count=SMALL_FILES, size=SMALL_SIZE)
    megabytes = SMALL_FILES * SMALL_SIZE / 1e6

    def plug(numbers: range, playlist: str) -> None:
        bench.ctl(f"playlist create {playlist}")
        for number in numbers:
            stick = bench.stick(f"s{number:02}", size="64M", label=f"S{number:02}")
            bus = "usb" if number < 9 else "more"
            bench.guest.plug(f"s{number:02}", stick, port=f"{bus}.0/{number % 9 + 1}", serial=f"N{number:02}")
        for number in numbers:
            bench.wait_for(f"S{number:02}", limit=180)
            bench.ctl(f"partner S{number:02} --playlist {playlist}")
        bench.ctl("sync --all")

    def fill(playlist: str) -> float:
        return _timed(bench, f"tandemctl playlist add {playlist} Music/*/*.mp3 && tandemctl sync --all", "ann")

    plug(range(1), "One")
    one = megabytes / fill("One")
    bench.ctl("unpartner S00")
    bench.ctl("eject S00")
    bench.guest.unplug("s00")
    plug(range(1, 17), "Many")
    full = f"{IDLE} and sum(d['SyncItemCount'] for d in devices) >= {16 * SMALL_FILES}"
    bench.guest.check(
        f'systemd-run --quiet --unit=latency -p StandardOutput=file:/run/latency python3 /run/watch.py latency "{full}"'
    )
    all_of_them = 16 * megabytes / fill("Many")
    bench.guest.until("test -s /run/latency", "the answers are counted", limit=120)
    count, median, most, longest = map(float, bench.guest.check("cat /run/latency").split())
    memory = bench.guest.check("grep VmHWM /proc/$(pidof tandemd)/status").split()[1]
    return {
        "one": one, "sixteen": all_of_them, "memory": int(memory) / 1024,
        "answers": count, "median": median, "p99": most, "longest": longest,
    }  # fmt: skip


def in_a_guest(saved: golden.Golden, measure: Callable[[Bench], Any]) -> Any:
    """Takes a measure in a fresh guest."""
    work = image.CACHE / "bench"
    try:
        with golden.boot(saved, work) as guest:
            guest.check("cat >/run/watch.py", data=WATCH.read_bytes())
            return measure(Bench(guest, saved, work))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main() -> int:
    """Measures everything and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="release", choices=["release", "debug"])
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many rounds")
    arguments = parser.parse_args()
    saved = golden.prepare(image.build(), arguments.profile)
    rounds = range(arguments.rounds)
    print("| measure | Tandem | against | aim |\n| --- | --- | --- | --- |", flush=True)
    arrivals = [in_a_guest(saved, arrival) for _ in rounds]
    known, on_bus, first_byte = (statistics.median(column) for column in zip(*arrivals, strict=True))
    print(f"| from the plug to the device on the bus | {on_bus:.2f} s | kernel and udev alone {known:.2f} s | |")
    print(f"| from the plug to the first byte copied | {first_byte:.2f} s | | |", flush=True)
    for kind in ("fat32", "exfat"):
        seen = [in_a_guest(saved, lambda bench, kind=kind: copying(bench, kind)) for _ in rounds]
        rates = {tool: statistics.median(rate[tool] for rate in seen) for tool in seen[0]}
        others = ", ".join(f"`{tool}` and `sync` {rate:.1f}" for tool, rate in rates.items() if tool != "tandem")
        print(f"| {MEGABYTES:.0f} MB to {kind}, MB/s | {rates['tandem']:.1f} | {others} | no slower than the faster |", flush=True)
    many = in_a_guest(saved, sixteen)
    print(f"| sixteen sticks at once, MB/s in all | {many['sixteen']:.1f} | one stick {many['one']:.1f} | no lower |")
    print(f"| resident memory of the daemon, sixteen players in a run, peak | {many['memory']:.1f} MB | | 64 MB |")
    answers = f"{many['p99']:.0f} ms (median {many['median']:.0f}, longest {many['longest']:.0f}, of {many['answers']:.0f})"
    print(f"| the bus's answers meanwhile, 99th percentile | {answers} | | 50 ms |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
