"""Runs in the guest: asks the daemon again and again over one connection, as a desktop player would, and tells when
something came to be and how long the answers took. It decides nothing.

    watch.py until EXPRESSION          prints the seconds since boot at which the expression became true
    watch.py latency EXPRESSION        asks until it is true; prints the answers' count, median, 99th percentile, maximum

An expression sees `devices`, a list of the devices' properties.
"""

import sys
import time
from typing import Any

import dbus

NAME = "org.tandemd.Sync1"
DEVICE = f"{NAME}.Device"
LIMIT = 600.0


def devices(manager: Any) -> list[dict[str, Any]]:
    """The properties of all devices on the bus."""
    objects = manager.GetManagedObjects(dbus_interface="org.freedesktop.DBus.ObjectManager")
    return [dict(interfaces[DEVICE]) for interfaces in objects.values() if DEVICE in interfaces]


def main() -> int:
    """Asks until the expression is true."""
    mode, expression = sys.argv[1:]
    wanted = compile(expression, "expression", "eval")
    manager = dbus.SystemBus().get_object(NAME, "/org/tandemd/Sync1", introspect=False)
    end = time.monotonic() + LIMIT
    took = []
    while time.monotonic() < end:
        asked = time.monotonic()
        answer = devices(manager)
        took.append((time.monotonic() - asked) * 1000)
        if eval(wanted, {"devices": answer}):
            if mode == "until":
                print(f"{time.clock_gettime(time.CLOCK_MONOTONIC):.3f}")
            else:
                took.sort()
                print(len(took), took[len(took) // 2], took[len(took) * 99 // 100], took[-1])
            return 0
        time.sleep(0.02)
    print(f"not within {LIMIT:.0f} s: {expression}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
