"""A device's standard descriptors, made of its description: device, configurations, strings, BOS. Pure.

The layouts are those of USB 2.0, chapter 9, and USB 3.2, chapter 9. Microsoft's are in `microsoft.py`.
"""

import struct
from typing import Any

DEVICE, CONFIGURATION, STRING, INTERFACE, ENDPOINT, QUALIFIER = 1, 2, 3, 4, 5, 6
BOS, CAPABILITY, COMPANION = 15, 16, 48
ENGLISH = 0x0409
TYPES = {"control": 0, "isochronous": 1, "bulk": 2, "interrupt": 3}
# the USB release, the size of endpoint 0 and the usual size of a bulk endpoint, for each speed
BY_SPEED = {"low": (0x0200, 8, 8), "full": (0x0200, 64, 64), "high": (0x0200, 64, 512), "super": (0x0300, 9, 1024)}
# it knows link power management, which USB 2.01 asks for
USB_2_EXTENSION = struct.pack("<BBBI", 7, CAPABILITY, 2, 2)
SUPER_SPEED = struct.pack("<BBBBHBBH", 10, CAPABILITY, 3, 0, 0x000E, 1, 10, 255)


class Strings:
    """The strings of a device; each gets a number when it is first asked for."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str | None) -> int:
        """The number of a string; 0 says that there is none."""
        return self._numbers.setdefault(text, len(self._numbers) + 1) if text else 0

    def descriptor(self, number: int) -> bytes | None:
        """What the device answers when it is asked for this string."""
        if number == 0:
            return struct.pack("<BBH", 4, STRING, ENGLISH)
        for text, own in self._numbers.items():
            if own == number:
                data = text.encode("utf-16-le")
                return bytes([2 + len(data), STRING]) + data
        return None


def device(described: dict[str, Any], strings: Strings) -> bytes:
    """The device descriptor."""
    release, first_endpoint, _ = BY_SPEED[described.get("speed", "high")]
    return struct.pack(
        "<BBHBBBBHHHBBBB",
        18,
        DEVICE,
        described.get("usb", release),
        *described.get("class", [0, 0, 0]),
        first_endpoint,
        described["vendor"],
        described["product"],
        described.get("release", 0x0100),
        strings.number(described.get("manufacturer")),
        strings.number(described.get("name")),
        strings.number(described.get("serial")),
        len(described["configurations"]),
    )


def qualifier(described: dict[str, Any]) -> bytes | None:
    """What a high-speed device would be at full speed; devices of other speeds have no such descriptor."""
    if described.get("speed", "high") != "high":
        return None
    release = described.get("usb", 0x0200)
    count = len(described["configurations"])
    return struct.pack("<BBHBBBBBB", 10, QUALIFIER, release, *described.get("class", [0, 0, 0]), 64, count, 0)


def configuration(described: dict[str, Any], number: int, strings: Strings) -> bytes | None:
    """A configuration with its interfaces and endpoints; `number` counts from 0."""
    if number >= len(described["configurations"]):
        return None
    own = described["configurations"][number]
    content = b"".join(_interface(described, place, one, strings) for place, one in enumerate(own["interfaces"]))
    numbers = {one.get("number", place) for place, one in enumerate(own["interfaces"])}
    name = strings.number(own.get("name"))
    value, attributes = own.get("value", number + 1), own.get("attributes", 0x80)
    power = own.get("power", 50)
    total = 9 + len(content)
    return struct.pack("<BBHBBBBB", 9, CONFIGURATION, total, len(numbers), value, name, attributes, power) + content


def _interface(described: dict[str, Any], place: int, own: dict[str, Any], strings: Strings) -> bytes:
    endpoints = own.get("endpoints", [])
    number, alternate, name = own.get("number", place), own.get("alternate", 0), strings.number(own.get("name"))
    head = struct.pack("<BBBBBBBBB", 9, INTERFACE, number, alternate, len(endpoints), *own["class"], name)
    return head + b"".join(_endpoint(described, one) for one in endpoints)


def _endpoint(described: dict[str, Any], own: dict[str, Any]) -> bytes:
    speed = described.get("speed", "high")
    size = max_packet(described, own)
    interval = own.get("interval", 6 if own.get("type") == "interrupt" else 0)
    data = struct.pack("<BBBBHB", 7, ENDPOINT, own["address"], TYPES[own.get("type", "bulk")], size, interval)
    if speed == "super":
        at_each_interval = size if own.get("type") == "interrupt" else 0
        data += struct.pack("<BBBBH", 6, COMPANION, own.get("burst", 0), 0, at_each_interval)
    return data


def max_packet(described: dict[str, Any], endpoint: dict[str, Any]) -> int:
    """The largest packet of an endpoint."""
    usual = 64 if endpoint.get("type") == "interrupt" else BY_SPEED[described.get("speed", "high")][2]
    size: int = endpoint.get("size", usual)
    return size


def bos(described: dict[str, Any], more: list[bytes]) -> bytes | None:
    """The binary object store with these capabilities; a device before USB 2.01 has none."""
    super_speed = described.get("speed", "high") == "super"
    if described.get("usb", BY_SPEED[described.get("speed", "high")][0]) < 0x0201:
        return None
    capabilities = [USB_2_EXTENSION, *([SUPER_SPEED] if super_speed else []), *more]
    capabilities += [bytes.fromhex(own) for own in described.get("capabilities", [])]
    content = b"".join(capabilities)
    return struct.pack("<BBHB", 5, BOS, 5 + len(content), len(capabilities)) + content
