"""What goes over the guest's USB buses, told by the kernel's usbmon, and a host's side by hand. It knows no device."""

import json
from typing import Any

from .guest import Guest
from .players import PROGRAMS

MONITOR = "/sys/kernel/debug/usb/usbmon/0u"
SEEN = "/run/usbmon"
UNIT = "usb-traffic"


class Traffic:
    """All buses from now on."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        guest.check("modprobe usbmon")
        guest.check(f"systemd-run --quiet --collect --unit={UNIT} sh -c 'exec cat {MONITOR} >{SEEN}'")
        guest.until(f"pgrep -f -x 'cat {MONITOR}'", "usbmon is read")

    def of(self, properties: dict[str, str]) -> list[str]:
        """What has gone to and from a device since then, by udev's properties of it."""
        address = f":{int(properties['BUSNUM'])}:{int(properties['DEVNUM']):03}:"
        return [line for line in self._guest.check(f"cat {SEEN}").splitlines() if address in line]

    def end(self) -> None:
        """Stops reading, so that somebody else can."""
        self._guest.check(f"systemctl stop {UNIT}")


def do(guest: Guest, properties: dict[str, str], *steps: dict[str, Any]) -> list[Any]:
    """Has root take steps with a device, one after the other (`devices/usbfs.py` tells of them); what came of each."""
    guest.check("cat >/run/usbfs.py", data=(PROGRAMS / "usbfs.py").read_bytes())
    ran = guest.check(f"python3 /run/usbfs.py {properties['DEVNAME']}", data=json.dumps(steps).encode(), limit=60)
    results: list[Any] = json.loads(ran)
    return results


def hold(guest: Guest, properties: dict[str, str], user: str = "ann") -> str:
    """Has a program of a user's claim a device's first interface until the unit that is returned is stopped."""
    guest.check("cat >/run/usbfs.py", data=(PROGRAMS / "usbfs.py").read_bytes())
    unit, ready = f"hold-{properties['DEVNUM']}", f"/run/held-{properties['DEVNUM']}"
    guest.check(f"rm -f {ready} && install -o {user} -m 600 /dev/null {ready}")
    program = f"python3 /run/usbfs.py --hold {ready} {properties['DEVNAME']}"
    guest.check(f"systemd-run --quiet --collect --uid={user} --unit={unit} {program}")
    guest.until(f"test -s {ready}", "the interface is held")
    return unit
