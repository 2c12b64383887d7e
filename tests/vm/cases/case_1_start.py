"""Cold starts: what starts the daemon, and what it then knows."""

import pathlib
from collections.abc import Callable
from typing import Any

from cases.support import Bench, thorough
from machine import sticks
from machine.golden import LOGGED_IN
from machine.guest import Failed, Guest, make_overlay


def case_a_plug_starts_the_daemon(bench: Bench) -> None:
    """udev's rule has systemd start the unit, and the stick is on the bus."""
    guest = bench.guest
    assert guest.run("systemctl is-active tandemd").out.strip() == "inactive"
    guest.plug("stick", bench.stick("stick"), serial="A1")
    guest.until("systemctl is-active --quiet tandemd", "the rule starts the daemon")
    device = bench.wait_for("STICK")
    assert device["kind"] == "mass-storage" and device["status"] == "new-device", device
    assert guest.check("ps -o user= -C tandemd").split() == ["tandem"]


def case_a_call_starts_the_daemon(bench: Bench) -> None:
    """D-Bus activation, also by a user without a session."""
    assert "No devices" in bench.try_ctl("list", user="ben", session=False).text
    bench.guest.check("systemctl is-active tandemd")


def case_other_disks_do_not_start_it(bench: Bench) -> None:
    """A stick without a file system is none of the daemon's business."""
    bench.guest.plug("blank", sticks.blank(bench.work / "blank.img"))
    bench.guest.until("test -b /dev/sda && udevadm settle", "the kernel sees the stick")
    assert bench.guest.run("systemctl is-active tandemd").out.strip() == "inactive"
    assert bench.devices() == []


def _after_boot(bench: Bench, look: Callable[[Bench], Any], stick: pathlib.Path | None = None) -> None:
    """Boots the machine, with a stick in it or none, and has a look at it."""
    bench.guest.check("sync")
    bench.guest.kill()
    disk = bench.work / "cold.qcow2"
    make_overlay(disk, bench.golden.disk, "qcow2")
    with Guest(bench.golden.image, disk, bench.golden.payload, bench.work / "cold") as guest:
        if stick:
            guest.plug("stick", stick)
        guest.until("systemctl is-system-running --wait", "the guest has booted", limit=300)
        guest.until(LOGGED_IN, "ann has logged in")
        look(Bench(guest, bench.golden, bench.work))
        failed = guest.check("systemctl --failed --no-legend")
        if failed.strip():
            raise Failed(f"units failed at boot: {failed}")


def case_boot_with_a_stick_plugged_in(bench: Bench) -> None:
    """A cold boot: the daemon finds what was there before it."""
    _after_boot(bench, lambda cold: cold.wait_for("STICK", status="new-device"), bench.stick("stick"))


@thorough
def case_boot_without_a_player(bench: Bench) -> None:
    """The daemon is there, as it is enabled, and has nothing; a stick that comes then is found."""

    def look(cold: Bench) -> None:
        cold.guest.check("systemctl is-active tandemd")
        assert cold.devices() == []
        cold.guest.plug("late", cold.stick("late"))
        cold.wait_for("LATE", status="new-device")

    _after_boot(bench, look)
