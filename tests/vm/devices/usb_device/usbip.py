"""The messages of USB/IP, taken apart and put together. Bytes in, bytes out: it opens nothing and decides nothing.

The layout is the kernel's, Documentation/usb/usbip_protocol.rst: 48 bytes big-endian, then the data of a transfer.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

HEADER = struct.Struct(">IIIII28s")
SUBMITTED = struct.Struct(">IiiiI8s")
ANSWER = struct.Struct(">IIIIIiiiii8x")
UNLINKED = struct.Struct(">IIIIIi24x")
SETUP = struct.Struct("<BBHHH")

SUBMIT, UNLINK, SUBMIT_ANSWER, UNLINK_ANSWER = 1, 2, 3, 4
# the kernel's URB_ZERO_PACKET: an OUT transfer that fills its last packet is ended by an empty one
ZERO_PACKET = 0x40

# what a transfer can end with, as the kernel's negative error numbers
DONE, STALLED, TOO_LONG, TAKEN_BACK = 0, -32, -75, -104


@dataclass(frozen=True)
class Setup:
    """The eight bytes a control request begins with."""

    type: int
    request: int
    value: int
    index: int
    length: int


@dataclass(frozen=True)
class Submit:
    """A transfer that the host wants. `endpoint` is an address: its top bit says IN."""

    number: int
    endpoint: int
    length: int
    flags: int
    setup: Setup
    data: bytes


@dataclass(frozen=True)
class Unlink:
    """The host no longer wants a transfer."""

    number: int
    victim: int


class Stream:
    """Makes messages of bytes that arrive in any pieces."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[Submit | Unlink]:
        """The messages that are complete with these bytes."""
        self._pending += data
        while len(self._pending) >= HEADER.size:
            command, number, _, inwards, endpoint, rest = HEADER.unpack_from(self._pending)
            if command == UNLINK:
                del self._pending[: HEADER.size]
                yield Unlink(number, int.from_bytes(rest[:4]))
                continue
            if command != SUBMIT:
                raise ValueError(f"the kernel sent the unknown command {command}")
            flags, length, _, _, _, setup = SUBMITTED.unpack(rest)
            outwards = 0 if inwards else length
            if len(self._pending) < HEADER.size + outwards:
                return
            content = bytes(self._pending[HEADER.size : HEADER.size + outwards])
            del self._pending[: HEADER.size + outwards]
            address = endpoint | (0x80 if inwards else 0)
            yield Submit(number, address, length, flags, Setup(*SETUP.unpack(setup)), content)


def answered(submit: Submit, status: int, data: bytes = b"", taken: int | None = None) -> bytes:
    """The end of a transfer: IN with its data, OUT with how much was taken (all, unless told otherwise)."""
    if submit.endpoint & 0x80:
        return ANSWER.pack(SUBMIT_ANSWER, submit.number, 0, 0, 0, status, len(data), 0, 0, 0) + data
    count = len(submit.data) if taken is None else taken
    return ANSWER.pack(SUBMIT_ANSWER, submit.number, 0, 0, 0, status, count, 0, 0, 0)


def unlinked(unlink: Unlink, found: bool) -> bytes:
    """The end of an unlink: whether there was still something to take back."""
    return UNLINKED.pack(UNLINK_ANSWER, unlink.number, 0, 0, 0, TAKEN_BACK if found else DONE)
