"""Sticks as users and desktops leave them: mounted by whom, in which state, and pulled at the worst moment."""

import subprocess
import time

from cases.support import Bench, thorough
from machine.guest import Failed

SLOW = 40_000_000


def case_the_desktop_mounts_first(bench: Bench) -> None:
    """What the desktop's user has mounted is used where it is, and stays mounted."""
    bench.guest.check("systemctl mask --now --runtime tandemd")
    stick = bench.stick("stick")
    bench.guest.plug("stick", stick, serial="A1")
    bench.guest.until("test -e /dev/disk/by-label/STICK", "udev sees the stick")
    bench.guest.until("udisksctl mount -b /dev/sda", "the desktop mounts it", user="ann", session=True)
    bench.guest.check("systemctl unmask --runtime tandemd && systemctl start tandemd")
    bench.wait_for("STICK")
    bench.make_music()
    bench.partner("STICK")
    assert "/media/ann/STICK" in bench.mounts() and "/media/tandem" not in bench.mounts(), bench.mounts()
    bench.guest.check("test -f '/media/ann/STICK/Playlists/All.m3u8' && rm -f /media/ann/STICK/none", user="ann")
    bench.ctl("eject STICK")
    assert bench.mounts() == "", bench.mounts()
    bench.guest.unplug("stick")
    bench.check_in_step(stick)


@thorough
def case_the_desktop_mounts_ext4_first(bench: Bench) -> None:
    """A file system with owners, whose root belongs to another user."""
    bench.guest.check("systemctl mask --now --runtime tandemd")
    stick = bench.stick("stick", "ext4")
    bench.guest.plug("stick", stick, serial="A1")
    bench.guest.until("udisksctl mount -b /dev/sda", "the desktop mounts it", user="ann", session=True)
    bench.guest.check("systemctl unmask --runtime tandemd && systemctl start tandemd")
    bench.wait_for("STICK")
    bench.make_music()
    bench.partner("STICK")
    bench.guest.check("find /media/ann/STICK/Music -type f -exec cat {} + >/dev/null", user="ann")
    bench.ctl("eject STICK")
    bench.guest.unplug("stick")
    bench.check_in_step(stick, "ext4")


def case_the_desktop_can_mount_after_the_daemon(bench: Bench) -> None:
    """The daemon gives its mount back, so that the desktop's user gets the stick; a run then uses the user's."""
    stick = bench.stick("stick")
    bench.guest.plug("stick", stick, serial="A1")
    bench.wait_for("STICK")
    bench.guest.until("udisksctl mount -b /dev/sda", "the desktop mounts it", user="ann", session=True, limit=10)
    bench.make_music()
    bench.partner("STICK")
    bench.guest.check("test -f '/media/ann/STICK/Playlists/All.m3u8'", user="ann")
    bench.guest.check("udisksctl unmount -b /dev/sda", user="ann", session=True)
    bench.guest.unplug("stick")
    bench.check_in_step(stick)


def case_write_protected(bench: Bench) -> None:
    """A read-only stick is shown, and partnering says why it can't be."""
    bench.guest.plug("stick", bench.stick("stick"), serial="A1", read_only=True)
    bench.wait_for("STICK")
    bench.make_music(count=2)
    refused = bench.try_ctl("partner STICK --playlist All")
    assert refused.code != 0 and "write" in refused.err, refused
    bench.guest.check("systemctl is-active tandemd")


@thorough
def case_mounted_read_only(bench: Bench) -> None:
    """Mounted so by the desktop's user: partnering says why it can't be, and can once it is mounted anew."""
    stick = bench.stick("stick")
    bench.guest.plug("stick", stick, serial="A1")
    bench.wait_for("STICK")
    bench.guest.until("udisksctl mount -b /dev/sda -o ro", "it is mounted", user="ann", session=True, limit=10)
    bench.make_music()
    refused = bench.try_ctl("partner STICK --playlist All")
    assert refused.code != 0 and "write" in refused.err, refused
    bench.guest.check("udisksctl unmount -b /dev/sda && udisksctl mount -b /dev/sda", user="ann", session=True)
    bench.partner("STICK")
    bench.ctl("eject STICK")
    bench.guest.unplug("stick")
    bench.check_in_step(stick)


def case_dirty_fat(bench: Bench) -> None:
    """A stick that was pulled from a camera: marked as not cleanly unmounted. It works, and what is there stays."""
    stick = bench.stick("stick")
    with open(stick, "r+b") as file:
        file.seek(0x41)
        file.write(b"\x01")
    bench.guest.plug("stick", stick, serial="A1")
    bench.wait_for("STICK")
    bench.make_music()
    bench.partner("STICK")
    bench.ctl("eject STICK")
    bench.guest.unplug("stick")
    content = bench.on_stick(stick)
    assert {name.rpartition("/")[2]: d for name, d in content.items() if name.endswith(".mp3")} == bench.music()


def case_two_partitions(bench: Bench) -> None:
    """Each partition is a device of its own."""
    stick = bench.work / "stick.img"
    subprocess.run(["truncate", "-s", "160M", str(stick)], check=True)
    table = b"label: dos\nstart=1MiB, size=70MiB, type=c\nstart=72MiB, size=80MiB, type=c\n"
    subprocess.run(["sfdisk", "-q", str(stick)], input=table, check=True)
    for label, offset, size in (("ONE", 1, 70), ("TWO", 72, 80)):
        part = bench.stick(label.lower(), "fat32", f"{size}M", label)
        subprocess.run(["dd", f"if={part}", f"of={stick}", "bs=1M", f"seek={offset}", "conv=notrunc", "status=none"], check=True)
    bench.guest.plug("stick", stick, serial="A1")
    one, two = bench.wait_for("ONE"), bench.wait_for("TWO")
    assert one["id"] != two["id"]
    bench.make_music()
    bench.partner("ONE")
    assert bench.device("TWO")["status"] == "new-device"
    bench.ctl("eject ONE")
    bench.guest.unplug("stick")


def case_twins(bench: Bench) -> None:
    """The same image in two sticks: two devices, and each keeps its own content."""
    _twins(bench, "A2", "-A2-")


def case_twins_with_one_serial_number(bench: Bench) -> None:
    """The same, by a maker who gives all sticks one number: where they are plugged in tells them apart."""
    _twins(bench, "A1", "-at-")


def _twins(bench: Bench, serial: str, in_its_id: str) -> None:
    first = bench.stick("first", label="TWIN")
    second = bench.work / "second.img"
    second.write_bytes(first.read_bytes())
    bench.guest.plug("first", first, port="usb.0/1", serial="A1")
    bench.wait_for("TWIN")
    bench.guest.plug("second", second, port="usb.0/2", serial=serial)
    end = time.monotonic() + 30
    while len(devices := bench.devices()) != 2:
        if time.monotonic() > end:
            raise Failed(f"two sticks are not two devices: {devices}")
    assert len({device["id"] for device in devices}) == 2, devices
    bench.make_music()
    ours = next(device["id"] for device in devices if in_its_id in device["id"])
    bench.partner(ours)
    bench.ctl(f"eject {ours}")
    bench.guest.unplug("second")
    bench.guest.unplug("first")
    bench.check_in_step(second)
    assert set(bench.on_stick(first)) == {"mine.txt"}


def case_pulled_in_the_middle_of_a_file(bench: Bench) -> None:
    """Pulled while a track is being written; plugged in again it comes in step, with no remains."""
    stick = bench.stick("stick", size="512M")
    bench.guest.plug("stick", stick, serial="A1")
    bench.wait_for("STICK")
    bench.make_music(count=5, size=SLOW)
    bench.ctl("partner STICK --playlist All")
    bench.ctl("sync STICK --no-wait")
    end = time.monotonic() + 60
    while (done := bench.device("STICK")["bytes_done"]) < SLOW:
        if time.monotonic() > end:
            raise Failed(f"the run does not get on: {done} bytes")
    bench.guest.unplug("stick")
    bench.wait_for("STICK", connected=False)
    bench.guest.until("! findmnt -rn -S /dev/sda >/dev/null", "the stale mount goes")
    bench.guest.plug("again", stick, port="usb.0/3", serial="A1")
    bench.wait_for("STICK")
    bench.ctl("sync STICK", limit=300)
    bench.ctl("eject STICK")
    bench.guest.unplug("again")
    content = bench.on_stick(stick)
    tracks = {name.rpartition("/")[2]: digest for name, digest in content.items() if name.endswith(".mp3")}
    assert tracks == bench.music(), sorted(content)
    rest = {name for name in content if not name.endswith(".mp3")} - {"WMPInfo.xml", "Playlists/All.m3u8", "mine.txt"}
    assert not {name for name in rest if not name.startswith("FSCK")}, rest


@thorough
def case_pulled_at_any_moment_of_arrival(bench: Bench) -> None:
    """Pulled before, during and after the daemon looks at it: it goes from the bus, and the next plug works."""
    stick = bench.stick("stick")
    bench.guest.check("systemctl start tandemd")
    for number, pause in enumerate((0.0, 0.3, 0.8, 1.2, 1.6, 2.0, 3.0)):
        bench.guest.plug(f"stick{number}", stick, serial="A1")
        time.sleep(pause)
        bench.guest.unplug(f"stick{number}")
    end = time.monotonic() + 30
    while bench.devices():
        if time.monotonic() > end:
            raise Failed(f"a stick that is gone is still there: {bench.devices()}")
    bench.guest.until("! grep -q ^/dev/sd /proc/mounts", "no mount is left")
    bench.guest.plug("last", stick, serial="A1")
    bench.wait_for("STICK", total_space=bench.wait_for("STICK")["total_space"])
    assert bench.device("STICK")["total_space"] > 0
    bench.make_music()
    bench.partner("STICK")
    bench.ctl("eject STICK")
    bench.guest.unplug("last")
    bench.check_in_step(stick, pulled=True)


def case_eject_while_a_program_uses_it(bench: Bench) -> None:
    """UDisks2 refuses to unmount what is in use; the user learns why, and the stick goes on working."""
    stick = bench.stick("stick")
    bench.guest.plug("stick", stick, serial="A1")
    bench.wait_for("STICK")
    bench.guest.until("udisksctl mount -b /dev/sda", "the desktop mounts it", user="ann", session=True, limit=10)
    bench.make_music()
    bench.partner("STICK")
    bench.guest.check("systemd-run --quiet --unit=holder --working-directory=/media/ann/STICK sleep 300")
    refused = bench.try_ctl("eject STICK", limit=20)
    assert refused.code not in (0, 124) and "busy" in refused.err.lower(), refused
    bench.guest.check("systemctl stop holder")
    bench.ctl("eject STICK")
    bench.guest.unplug("stick")
    bench.check_in_step(stick)
