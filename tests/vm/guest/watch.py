"""Runs in the guest: asks the daemon again and again over one connection, as a desktop player would, and tells when
something came to be and how long the answers took. It decides nothing.

    watch.py until EXPRESSION          prints the seconds since boot at which the expression became true
    watch.py latency EXPRESSION        reads a device's properties until it is true; prints the answers' count, median, 99th
                                       percentile and maximum, in milliseconds

An expression sees `devices`, a list of the devices' properties.
"""

import sys
import time
from typing import Any

import dbus

NAME = "org.tandemd.Sync1"
DEVICE = f"{NAME}.Device"
LIMIT = 600.0


def devices(manager: Any) -> dict[str, dict[str, Any]]:
    """The properties of all devices on the bus, by their paths."""
    objects = manager.GetManagedObjects(dbus_interface="org.freedesktop.DBus.ObjectManager")
    return {path: dict(interfaces[DEVICE]) for path, interfaces in objects.items() if DEVICE in interfaces}


def answers(bus: Any, path: str) -> list[float]:
    """The milliseconds that a device's properties took to come, again and again."""
    device = dbus.Interface(bus.get_object(NAME, path, introspect=False), "org.freedesktop.DBus.Properties")
    took = []
    for _ in range(10):
        asked = time.monotonic()
        device.GetAll(DEVICE)
        took.append((time.monotonic() - asked) * 1000)
        time.sleep(0.02)
    return took


def main() -> int:
    """Asks until the expression is true."""
    mode, expression = sys.argv[1:]
    wanted = compile(expression, "expression", "eval")
    bus = dbus.SystemBus()
    manager = bus.get_object(NAME, "/org/tandemd/Sync1", introspect=False)
    end = time.monotonic() + LIMIT
    took: list[float] = []
    while time.monotonic() < end:
        there = devices(manager)
        if eval(wanted, {"devices": list(there.values())}):
            if mode == "until":
                print(f"{time.clock_gettime(time.CLOCK_MONOTONIC):.3f}")
            else:
                took.sort()
                print(len(took), took[len(took) // 2], took[len(took) * 99 // 100], took[-1])
            return 0
        if mode == "latency":
            took += answers(bus, next(iter(there)))
        else:
            time.sleep(0.02)
    print(f"not within {LIMIT:.0f} s: {expression}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
