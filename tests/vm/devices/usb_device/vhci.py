"""The kernel's virtual host controller: which of its ports are free, and a socket plugged into one.

It says nothing over the socket; `usbip.py` knows what is said there.
"""

import errno
import pathlib
import socket

CONTROLLER = pathlib.Path("/sys/devices/platform/vhci_hcd.0")
# enum usb_device_speed of the kernel
SPEEDS = {"low": 1, "full": 2, "high": 3, "super": 5}
FREE = "004"


def free_ports(status: str, speed: str) -> list[int]:
    """The ports of a status table that take a device of this speed and have none."""
    hub = "ss" if speed == "super" else "hs"
    rows = [line.split() for line in status.splitlines()]
    return [int(row[1]) for row in rows if len(row) > 2 and row[0] == hub and row[2] == FREE]


def attach(connection: socket.socket, identity: int, speed: str) -> int:
    """Plugs a socket in and returns its port; another program may be quicker at a port, then it is the next."""
    for port in free_ports((CONTROLLER / "status").read_text(), speed):
        try:
            (CONTROLLER / "attach").write_text(f"{port} {connection.fileno()} {identity} {SPEEDS[speed]}")
            return port
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
    raise OSError(errno.EBUSY, f"no port for a device of {speed} speed is free; unplug one")


def detach(port: int) -> None:
    """Unplugs what is in a port; it may be gone already."""
    try:
        (CONTROLLER / "detach").write_text(str(port))
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENODEV):
            raise
