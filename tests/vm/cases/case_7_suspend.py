"""Suspend to RAM: the machine sleeps in the middle of a run, and the run goes on when it wakes; or the stick is pulled
or another plugged in while it sleeps.

Waking, the emulated controllers have forgotten their devices, as most real ones do: the kernel resets each and finds
out whether it is the one that was there.
"""

import time
from collections.abc import Callable

from cases.support import Bench, thorough
from machine.guest import Failed

SLOW = 40_000_000
COUNT = 5


def _nothing() -> None:
    """What happens in most sleeps."""


def _suspend(bench: Bench, seconds: float, meanwhile: Callable[[], None] = _nothing) -> None:
    """Has the machine sleep for some seconds, does something to it meanwhile, and wakes it."""
    before = bench.guest.run("dmesg | grep -c 'PM: suspend exit'").out
    bench.guest.check("systemctl suspend")
    end = time.monotonic() + 60
    while (status := bench.guest.qmp("query-status")["status"]) != "suspended":
        if time.monotonic() > end:
            raise Failed(f"the machine does not fall asleep, it is {status}")
        time.sleep(0.05)
    meanwhile()
    time.sleep(seconds)
    bench.guest.qmp("system_wakeup")
    bench.guest.until(f"test $(dmesg | grep -c 'PM: suspend exit') -gt {int(before)}", "the machine wakes")


def _until_copying(bench: Bench, least: int) -> int:
    """Waits until a run has copied so much, and returns how much that is."""
    end = time.monotonic() + 60
    while (done := int(bench.device("STICK")["bytes_done"])) < least:
        if time.monotonic() > end:
            raise Failed(f"the run does not get on: {done} bytes")
    return done


def case_in_the_middle_of_a_run(bench: Bench) -> None:
    """Two sleeps, one of them in the middle of a file; the same run ends in step, by the same process."""
    stick = bench.stick("stick", size="512M")
    bench.guest.plug("stick", stick, serial="A1")
    bench.wait_for("STICK")
    bench.make_music(count=COUNT, size=SLOW)
    daemon = bench.guest.check("systemctl show -p MainPID -p InvocationID tandemd")
    bench.ctl("partner STICK --playlist All")
    bench.ctl("sync STICK --no-wait")
    for least in (SLOW // 4, SLOW * 2):
        done = _until_copying(bench, least)
        assert done < COUNT * SLOW, f"the run was over before the machine slept: {done} bytes"
        _suspend(bench, 4)
    bench.wait_for("STICK", sync_state="stopped", safe_to_remove=True, limit=300)
    device = bench.device("STICK")
    assert device["sync_item_count"] == COUNT, device
    assert bench.guest.check("systemctl show -p MainPID -p InvocationID tandemd") == daemon
    bench.ctl("eject STICK")
    bench.guest.unplug("stick")
    bench.check_in_step(stick)


def case_with_an_idle_stick(bench: Bench) -> None:
    """A stick that is in step sleeps through, is the same device afterwards, and takes the next change."""
    stick = bench.stick("stick")
    bench.guest.plug("stick", stick, serial="A1")
    bench.wait_for("STICK")
    bench.make_music()
    bench.partner("STICK")
    before = bench.device("STICK")
    _suspend(bench, 3)
    after = bench.wait_for("STICK", sync_state="stopped", safe_to_remove=True)
    assert after["id"] == before["id"], (after["id"], before["id"])
    bench.guest.check("head -c 150000 /dev/urandom >'Music/Band 0/000 Song.mp3'", user="ann")
    bench.ctl("sync STICK")
    bench.ctl("eject STICK")
    bench.guest.unplug("stick")
    bench.check_in_step(stick)


@thorough
def case_pulled_while_asleep(bench: Bench) -> None:
    """The stick is pulled in the middle of a run while the machine sleeps, and another is plugged in: awake, the first
    is gone and the other is there. Plugged in again, the first comes in step."""
    stick, other = bench.stick("stick", size="512M"), bench.stick("other")
    bench.guest.plug("stick", stick, serial="A1")
    bench.wait_for("STICK")
    bench.make_music(count=3, size=SLOW)
    bench.ctl("partner STICK --playlist All")
    bench.ctl("sync STICK --no-wait")
    _until_copying(bench, SLOW // 2)

    def exchange() -> None:
        bench.guest.unplug("stick")
        bench.guest.plug("other", other, port="usb.0/2", serial="A2")

    _suspend(bench, 1, exchange)
    bench.wait_for("STICK", connected=False)
    bench.wait_for("OTHER", status="new-device")
    bench.guest.plug("again", stick, serial="A1")
    bench.wait_for("STICK", partnership_owner=1000)
    bench.ctl("sync STICK", limit=300)
    bench.ctl("eject STICK")
    bench.guest.unplug("again")
    content = bench.on_stick(stick)
    tracks = {name.rpartition("/")[2]: digest for name, digest in content.items() if name.endswith(".mp3")}
    assert tracks == bench.music(), sorted(content)
    assert content["mine.txt"], sorted(content)
