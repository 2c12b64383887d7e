"""Players that aren't sticks: QEMU's MTP device, umtprd on a dummy controller, our own responder and devices that a
description makes, both on the virtual host controller.

Their programs (`devices/`) are carried into the guest when the first is plugged in. What becomes of a device there,
the kernel and udev tell. It decides nothing about what is tested.
"""

import hashlib
import io
import json
import os
import pathlib
import shlex
import subprocess
import time
import zipfile
from collections.abc import Callable
from typing import Any

from .guest import Failed, Guest
from .image import HERE

PROGRAMS = HERE / "devices"
ROOT = HERE.parent.parent
# in the guest
ARCHIVE = "/run/usb_device.zip"
FOLDER = "/run/usb_device"


def find(guest: Guest, serial: str) -> str:
    """Where a device with this serial number is in sysfs; empty while it isn't."""
    found = guest.run(f"grep -lx {shlex.quote(serial)} /sys/bus/usb/devices/*/serial").out.split()
    if len(found) > 1:
        raise Failed(f"{len(found)} devices have the serial number {serial}: {found}")
    return str(pathlib.PurePosixPath(found[0]).parent) if found else ""


def properties(guest: Guest, serial: str) -> dict[str, str]:
    """What udev knows of a device, when it has settled; sysfs's path is `SYSFS`."""
    end = time.monotonic() + 60
    # the second of the two events that libmtp's rules act on comes when the device has its driver
    while not (place := find(guest, serial)) or guest.run(f"test -e {place}/driver").code:
        if time.monotonic() > end:
            raise Failed(f"the kernel has no device with the serial number {serial} after 60 s")
        time.sleep(0.1)
    guest.check("udevadm settle --timeout=60", limit=70)
    shown = guest.check(f"udevadm info -q property -p {place}")
    return {"SYSFS": place} | dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)


def gone(guest: Guest, serial: str) -> None:
    """Waits until the kernel and udev no longer have a device."""
    end = time.monotonic() + 30
    while find(guest, serial):
        if time.monotonic() > end:
            raise Failed(f"the device with the serial number {serial} is still there 30 s after it was unplugged")
        time.sleep(0.1)
    guest.check("udevadm settle --timeout=60", limit=70)


def bytes_below(guest: Guest, folder: str) -> int:
    """How many bytes lie below a folder of the guest."""
    return int(guest.check(f"du -sb {shlex.quote(folder)}").split()[0])


def files_below(guest: Guest, folder: str) -> dict[str, str]:
    """The digests of all files below a folder of the guest, by path."""
    listed = guest.check(f"cd {shlex.quote(folder)} && find . -type f -exec sha256sum {{}} +", limit=120)
    return {line[68:]: line[:64] for line in listed.splitlines()}


class QemuPlayer:
    """QEMU's `usb-mtp`, with a folder of the host. QEMU hangs when folders in it are deleted."""

    def __init__(self, guest: Guest, name: str, folder: pathlib.Path, *, port: str, serial: str) -> None:
        self._guest = guest
        self.name = name
        self.serial = serial
        self.id = f"mtp-46f4-0004-{serial}"
        self._folder = folder
        bus, _, number = port.partition("/")
        folder.mkdir(exist_ok=True)
        options: dict[str, Any] = {"rootdir": str(folder.resolve()), "readonly": False, "desc": name}
        guest.qmp("device_add", driver="usb-mtp", id=name, bus=bus, port=number, serial=serial, **options)

    def unplug(self) -> None:
        """Pulls it."""
        self._guest.qmp("device_del", awaiting="DEVICE_DELETED", id=self.name)

    def files(self) -> dict[str, str]:
        """The digests of all files on it, by path."""
        found = (path for path in self._folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self._folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}

    def stored(self) -> int:
        """How many bytes are on it."""
        return sum(path.stat().st_size for path in self._folder.rglob("*"))


class UmtpPlayer:
    """umtprd over FunctionFS on the dummy controller `number` (0 to 7), with a directory of the guest as its store."""

    def __init__(self, guest: Guest, number: int, name: str, *, serial: str) -> None:
        self._guest = guest
        self._number = number
        self.serial = serial
        self.id = f"mtp-1d6b-0100-{serial}"
        self.store = f"/var/lib/player-{number}"
        guest.check(f"mkdir -p {self.store}")
        self._script(f"plug {number} {shlex.quote(serial)} {shlex.quote(name)} {self.store}")

    def _script(self, arguments: str) -> None:
        self._guest.check(f"sh -s {arguments}", data=(PROGRAMS / "umtp_player.sh").read_bytes())

    def unplug(self) -> None:
        """Pulls it and ends its responder; the store stays."""
        self._script(f"unplug {self._number}")

    def files(self) -> dict[str, str]:
        """The digests of all files on it, by path."""
        return files_below(self._guest, self.store)

    def stored(self) -> int:
        """How many bytes are on it."""
        return bytes_below(self._guest, self.store)


class SimulatedPlayer:
    """Our own responder with a profile of the project's, on the virtual host controller; `devices/mtp_device` is its
    program. Its store is a directory of the guest."""

    def __init__(self, guest: Guest, profile: str, *, serial: str) -> None:
        self._guest = guest
        self._unit = f"mtp-device-{serial}"
        self.serial = serial
        facts = json.loads((ROOT / f"daemon/tandem-mtp/profiles/{profile}.json").read_text())
        self.id = f"mtp-{facts['vendor_id']:04x}-{facts['product_id']:04x}-{serial}"
        place = f"/var/lib/simulated-{serial}"
        self.store = f"{place}/storage-{facts['storages'][0]['id']:08x}"
        program = carried(guest, "mtp_device")
        guest.check(f"modprobe vhci_hcd && mkdir -p {place}")
        guest.check(f"systemd-run --quiet --collect --unit={self._unit} {program} {profile} {place} {serial}")

    def unplug(self) -> None:
        """Pulls it and ends its responder; the store stays."""
        self._guest.check(f"systemctl stop {self._unit}")

    def files(self) -> dict[str, str]:
        """The digests of all files on it, by path."""
        return files_below(self._guest, self.store)

    def stored(self) -> int:
        """How many bytes are on it."""
        return bytes_below(self._guest, self.store)


class MadePlayer:
    """A device made of a description, on the kernel's virtual host controller; `devices/usb_device` is its program."""

    def __init__(self, guest: Guest, name: str, description: dict[str, Any]) -> None:
        self._guest = guest
        self._unit = f"usb-device-{name}"
        self._described = f"{FOLDER}/{name}.json"
        self._log = f"{FOLDER}/{name}.log"
        self.description = description
        self.serial = str(description.get("serial", ""))
        self.id = f"mtp-{description['vendor']:04x}-{description['product']:04x}-{self.serial}"
        guest.check(f"modprobe vhci_hcd && mkdir -p {FOLDER} && cat >{ARCHIVE}", data=_archive())
        guest.check(f"rm -f {self._log} && cat >{self._described}", data=json.dumps(description).encode())
        program = f"python3 -m usb_device {self._described} {self._log}"
        guest.check(f"systemd-run --quiet --collect --unit={self._unit} --setenv=PYTHONPATH={ARCHIVE} {program}")
        self.wait_for(lambda entry: entry["event"] == "plugged", "it is plugged in")

    def log(self) -> list[dict[str, Any]]:
        """What has happened at the device so far."""
        return [json.loads(line) for line in self._guest.run(f"cat {self._log}").out.splitlines()]

    def requests(self) -> list[dict[str, Any]]:
        """The control requests that have arrived, without their times."""
        return [{k: v for k, v in entry.items() if k != "time"} for entry in self.log() if entry["event"] == "control"]

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool], what: str, limit: float = 30) -> None:
        """Waits for an entry of the log."""
        end = time.monotonic() + limit
        while not any(wanted(entry) for entry in self.log()):
            if time.monotonic() > end:
                said = self._guest.run(f"journalctl --no-pager -o cat -u {self._unit}").out
                raise Failed(f"{what}: not within {limit:.0f} s; the log: {self.log()}; the program: {said}")
            time.sleep(0.1)

    def use_faults(self, faults: list[dict[str, Any]]) -> None:
        """Other faults from now on."""
        self.description = self.description | {"faults": faults}
        before = sum(entry["event"] == "faults" for entry in self.log())
        self._guest.check(f"cat >{self._described}", data=json.dumps(self.description).encode())
        self._guest.check(f"systemctl kill -s HUP {self._unit}")
        end = time.monotonic() + 10
        while sum(entry["event"] == "faults" for entry in self.log()) == before:
            if time.monotonic() > end:
                raise Failed("the device has not taken its faults within 10 s")
            time.sleep(0.05)

    def unplug(self) -> None:
        """Pulls it."""
        self._guest.check(f"systemctl stop {self._unit}")
        self.wait_for(lambda entry: entry["event"] in ("unplugged", "vanished"), "it is unplugged")


class ProviderPlayer(MadePlayer):
    """A made device that keeps files behind a protocol of its own, which `devices/usb_provider` speaks. Its store is a
    directory of the guest; unplug it and plug in another one of the same serial number, and it is the same player."""

    def __init__(self, guest: Guest, description: dict[str, Any]) -> None:
        self.store = f"/var/lib/made-{description['serial']}"
        guest.check(f"mkdir -p {self.store}")
        function = {"kind": "files", "store": self.store, "size": 512 << 20}
        super().__init__(guest, f"player-{description['serial']}", description | {"function": function})
        self.id = self.id.replace("mtp-", "pap-", 1)

    def files(self) -> dict[str, str]:
        """The digests of all files on it, by path."""
        return files_below(self._guest, f"{self.store}/files")

    def stored(self) -> int:
        """How many bytes are on it."""
        return bytes_below(self._guest, self.store)


def carried(guest: Guest, program: str, place: str = "") -> str:
    """Where one of our own programs is in the guest; it is carried there when it isn't."""
    place = place or f"/usr/local/libexec/{program}"
    if guest.run(f"test -x {place}").code:
        built = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"))
        stripped = guest.work / program
        subprocess.run(["strip", "-o", str(stripped), str(ROOT / built / "release" / program)], check=True)
        guest.check(f"cat >{place} && chmod 755 {place}", data=stripped.read_bytes())
    return place


def _archive() -> bytes:
    """The program of `MadePlayer` as Python loads it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted((PROGRAMS / "usb_device").glob("*.py")):
            archive.write(path, f"usb_device/{path.name}")
    return packed.getvalue()
