"""A host's side by hand, for the guest: does what a JSON list on its input says with a USB device's node, and prints
what came of each step: bytes in hex, a count, or the name of the error. It is no driver and knows no protocol.

    usbfs.py /dev/bus/usb/001/002 <STEPS
    usbfs.py --hold READY /dev/bus/usb/001/002     claims interface 0, writes to the file READY, and keeps it until it ends
"""

import ctypes
import errno
import fcntl
import json
import os
import pathlib
import signal
import sys
from collections.abc import Callable
from typing import Any


class Control(ctypes.Structure):
    """struct usbdevfs_ctrltransfer of linux/usbdevice_fs.h."""

    _fields_ = [
        ("type", ctypes.c_uint8),
        ("request", ctypes.c_uint8),
        ("value", ctypes.c_uint16),
        ("index", ctypes.c_uint16),
        ("length", ctypes.c_uint16),
        ("timeout", ctypes.c_uint32),
        ("data", ctypes.c_void_p),
    ]


class Bulk(ctypes.Structure):
    """struct usbdevfs_bulktransfer of linux/usbdevice_fs.h."""

    _fields_ = [
        ("endpoint", ctypes.c_uint),
        ("length", ctypes.c_uint),
        ("timeout", ctypes.c_uint),
        ("data", ctypes.c_void_p),
    ]


CONTROL, BULK, CLAIM, RESET, CLEAR_HALT = 0xC0185500, 0xC0185502, 0x8004550F, 0x5514, 0x80045515


def _transfer(node: int, code: int, head: Any, inwards: bool, step: dict[str, Any]) -> str | int:
    data = bytes.fromhex(step.get("data", ""))
    head.length = step["length"] if inwards else len(data)
    head.timeout = step.get("timeout", 2000)
    buffer = ctypes.create_string_buffer(data, max(head.length, 1))
    head.data = ctypes.addressof(buffer)
    count = fcntl.ioctl(node, code, head)
    return buffer.raw[:count].hex() if inwards else count


def control(node: int, step: dict[str, Any]) -> str | int:
    """A control request: `type`, `request`, `value`, `index`, and `length` (IN) or `data` (OUT)."""
    head = Control(step["type"], step["request"], step["value"], step["index"])
    return _transfer(node, CONTROL, head, bool(step["type"] & 0x80), step)


def bulk(node: int, step: dict[str, Any]) -> str | int:
    """A bulk or interrupt transfer: `endpoint`, and `length` (IN) or `data` (OUT)."""
    return _transfer(node, BULK, Bulk(step["endpoint"]), bool(step["endpoint"] & 0x80), step)


def simple(code: int, field: str) -> Callable[[int, dict[str, Any]], int]:
    """A step with one number or none."""

    def step_of(node: int, step: dict[str, Any]) -> int:
        return fcntl.ioctl(node, code, ctypes.c_uint(step[field]) if field else 0)

    return step_of


STEPS: dict[str, Callable[[int, dict[str, Any]], str | int]] = {
    "control": control,
    "bulk": bulk,
    "claim": simple(CLAIM, "interface"),
    "clear": simple(CLEAR_HALT, "endpoint"),
    "reset": simple(RESET, ""),
}


def hold(ready: str, path: str) -> None:
    """Claims interface 0 and waits for the end."""
    node = os.open(path, os.O_RDWR)
    fcntl.ioctl(node, CLAIM, ctypes.c_uint(0))
    pathlib.Path(ready).write_text("held")
    signal.pause()


def main() -> None:
    """Does the steps in their order; one that fails doesn't keep the next from being tried."""
    if sys.argv[1] == "--hold":
        hold(*sys.argv[2:])
        return
    node = os.open(sys.argv[1], os.O_RDWR)
    results: list[str | int] = []
    for step in json.load(sys.stdin):
        try:
            results.append(STEPS[step["do"]](node, step))
        except OSError as error:
            results.append(errno.errorcode[error.errno or 0])
    print(json.dumps(results))


if __name__ == "__main__":
    main()
