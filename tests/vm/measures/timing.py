"""Clocks in the guest: what a command takes, and when something came to be. It knows no device."""

import shlex

from cases.support import Bench

CLOCK = (
    "import subprocess,sys,time; t=time.monotonic(); "
    "subprocess.run(['sh','-ec',sys.argv[1]],check=True,stdout=subprocess.DEVNULL); print(time.monotonic()-t)"
)


def timed(bench: Bench, shell: str, user: str = "root", limit: float = 900) -> float:
    """Seconds that a command takes in the guest, with cold caches."""
    bench.guest.check("sync; echo 3 >/proc/sys/vm/drop_caches")
    command = f"python3 -c {shlex.quote(CLOCK)} {shlex.quote(shell)}"
    return float(bench.guest.check(command, user=user, session=user == "ann", limit=limit).splitlines()[-1])


def start_watching(bench: Bench, expression: str) -> None:
    """Has the guest note when an expression becomes true; `guest/watch.py` tells what it may hold."""
    run = "systemd-run --quiet --unit=watch -p StandardOutput=file:/run/watched python3 /run/watch.py until"
    bench.guest.check(f'{run} "{expression}"')


def watched(bench: Bench) -> float:
    """When it became true, in seconds since the guest's boot."""
    bench.guest.until("test -s /run/watched", "the watcher has seen it", limit=300)
    return float(
        bench.guest.check("cat /run/watched; rm /run/watched; systemctl reset-failed watch 2>/dev/null || true")
    )
