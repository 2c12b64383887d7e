"""Runs in the guest: asks the daemon again and again over one connection, as a desktop player would, and tells when
something came to be and how long the answers took. It decides nothing.

    watch.py until EXPRESSION          prints the seconds since boot at which the expression became true
    watch.py latency EXPRESSION        reads a device's properties until it is true; prints the answers' count, median, 99th
                                       percentile and maximum, in milliseconds; then the same of logind's answers to a
                                       ping meanwhile, which tell how quick the machine itself is

An expression sees `devices`, a list of the devices' properties.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import dbus

NAME = "org.tandemd.Sync1"
DEVICE = f"{NAME}.Device"
LIMIT = 600.0
# between two looks at all devices, which cost the machine more than the answers that are measured
ANSWERS = 40


def devices(manager: Any) -> dict[str, dict[str, Any]]:
    """The properties of all devices on the bus, by their paths."""
    objects = manager.GetManagedObjects(dbus_interface="org.freedesktop.DBus.ObjectManager")
    return {path: dict(interfaces[DEVICE]) for path, interfaces in objects.items() if DEVICE in interfaces}


def milliseconds(call: Callable[[], Any]) -> float:
    """How long a call took."""
    asked = time.monotonic()
    call()
    return (time.monotonic() - asked) * 1000


def answers(bus: Any, path: str) -> list[tuple[float, float]]:
    """The milliseconds that a device's properties took to come, and logind's answers to a ping, again and again."""
    device = dbus.Interface(bus.get_object(NAME, path, introspect=False), "org.freedesktop.DBus.Properties")
    logind = bus.get_object("org.freedesktop.login1", "/org/freedesktop/login1", introspect=False)
    took = []
    for _ in range(ANSWERS):
        properties = milliseconds(lambda: device.GetAll(DEVICE))
        took.append((properties, milliseconds(lambda: logind.Ping(dbus_interface="org.freedesktop.DBus.Peer"))))
        time.sleep(0.02)
    return took


def main() -> int:
    """Asks until the expression is true."""
    mode, expression = sys.argv[1:]
    wanted = compile(expression, "expression", "eval")
    bus = dbus.SystemBus()
    manager = bus.get_object(NAME, "/org/tandemd/Sync1", introspect=False)
    end = time.monotonic() + LIMIT
    took: list[tuple[float, float]] = []
    while time.monotonic() < end:
        there = devices(manager)
        if eval(wanted, {"devices": list(there.values())}):
            if mode == "until":
                print(f"{time.clock_gettime(time.CLOCK_MONOTONIC):.3f}")
            else:
                for column in map(sorted, zip(*took, strict=True)):
                    print(len(column), column[len(column) // 2], column[len(column) * 99 // 100], column[-1])
            return 0
        if mode == "latency":
            took += answers(bus, next(iter(there)))
        else:
            time.sleep(0.02)
    print(f"not within {LIMIT:.0f} s: {expression}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
