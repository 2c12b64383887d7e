"""What is behind a device's endpoints: a loopback, a script, a player's files. Another device is another class in `KINDS`.

A function sees transfers, not packets: the queues make them of what the host asks for.
"""

import pathlib
import struct
from collections import deque
from typing import Any

from usb_device.store import Refused, Store
from usb_device.usbip import Setup


class Queue:
    """Transfers that wait to be fetched from an IN endpoint, each ended by a short or an empty packet."""

    def __init__(self, packet: int) -> None:
        self._packet = packet
        self._waiting: deque[bytes] = deque()

    def put(self, data: bytes) -> None:
        """Adds one transfer."""
        self._waiting.append(data)

    def clear(self) -> None:
        """Forgets what was not fetched."""
        self._waiting.clear()

    def take(self, length: int) -> bytes | None:
        """What a request for at most so many bytes gets; `None` says that it has to wait."""
        if not self._waiting:
            return None
        data = self._waiting.popleft()
        # what is left, if only the empty packet that ends a transfer of whole packets, comes with the next request
        if len(data) > length or (len(data) == length and length and length % self._packet == 0):
            self._waiting.appendleft(data[length:])
        return data[:length]


class Function:
    """Takes no part in anything: requests are stalled, and nothing ever comes."""

    def __init__(self, described: dict[str, Any], packets: dict[int, int]) -> None:
        self.described = described
        self.queues = {endpoint: Queue(packet) for endpoint, packet in packets.items() if endpoint & 0x80}

    def control(self, setup: Setup, data: bytes) -> bytes | None:
        """Answers a class or vendor request; `None` stalls it."""
        return None

    def received(self, endpoint: int, data: bytes, ended: bool) -> None:
        """Takes what the host sent; `ended` says that its last packet ended the transfer."""


class Loopback(Function):
    """What arrives at OUT endpoint n is to be had at IN endpoint n, transfer by transfer."""

    def __init__(self, described: dict[str, Any], packets: dict[int, int]) -> None:
        super().__init__(described, packets)
        self._parts: dict[int, bytes] = {}

    def received(self, endpoint: int, data: bytes, ended: bool) -> None:
        """Gathers the transfer and offers it when it is whole."""
        whole = self._parts.pop(endpoint, b"") + data
        if not ended:
            self._parts[endpoint] = whole
        elif endpoint | 0x80 in self.queues:
            self.queues[endpoint | 0x80].put(whole)


class Script(Function):
    """Knows what it will be asked and what to say: `steps` of `{"expect": hex, "answers": [[endpoint, hex]]}`, and
    `requests` of `{"type", "request", "value", "index", "answer": hex}`. What isn't expected is answered with nothing.
    """

    def control(self, setup: Setup, data: bytes) -> bytes | None:
        """The answer that the script has for this request."""
        for own in self.described.get("requests", []):
            fields = [field for field in ("type", "request", "value", "index") if field in own]
            if all(getattr(setup, field) == own[field] for field in fields):
                return bytes.fromhex(own["answer"])
        return None

    def received(self, endpoint: int, data: bytes, ended: bool) -> None:
        """Plays the first step that expects these bytes."""
        for step in self.described.get("steps", []):
            if data == bytes.fromhex(step["expect"]):
                for answers_at, answer in step["answers"]:
                    self.queues[answers_at].put(bytes.fromhex(answer))
                return


class Files(Function):
    """A player with a protocol of its own, whose files are in the directory `store`: a request of 24 bytes and its data
    over the OUT pipe, an answer of 8 bytes and its data over the IN pipe. `devices/usb_provider` is the host's side.
    """

    # operation, object, a number, another one, the data's length; all low byte first
    REQUEST = struct.Struct("<BxxxIQII")
    # status, 0 when all is well; the data's length
    ANSWER = struct.Struct("<BxxxI")
    ENTRY = struct.Struct("<IIBQQH")
    BEGIN = 1
    # objects in one answer
    PAGE = 64

    def __init__(self, described: dict[str, Any], packets: dict[int, int]) -> None:
        super().__init__(described, packets)
        self._store = Store(pathlib.Path(described["store"]), described["size"])
        self._pending = bytearray()
        operations = ["stat", "list", "make", "write", "end", "read", "delete", "rename", "move"]
        operations += ["get_text", "set_text", "space"]
        self._operations = [getattr(self, f"_{name}") for name in operations]

    def control(self, setup: Setup, data: bytes) -> bytes | None:
        """A host begins: what another left unfinished is forgotten."""
        if setup.request != self.BEGIN:
            return None
        self._pending.clear()
        for queue in self.queues.values():
            queue.clear()
        return b""

    def received(self, endpoint: int, data: bytes, ended: bool) -> None:
        """Gathers a request and answers it when it is whole."""
        self._pending += data
        while len(self._pending) >= self.REQUEST.size:
            operation, number, one, other, length = self.REQUEST.unpack_from(self._pending)
            if len(self._pending) < self.REQUEST.size + length:
                return
            content = bytes(self._pending[self.REQUEST.size : self.REQUEST.size + length])
            del self._pending[: self.REQUEST.size + length]
            status, answer = self._done(operation, number, one, other, content)
            self.queues[endpoint | 0x80].put(self.ANSWER.pack(status, len(answer)) + answer)

    def _done(self, operation: int, number: int, one: int, other: int, content: bytes) -> tuple[int, bytes]:
        if not 0 < operation <= len(self._operations):
            return 5, b"no such operation"
        try:
            return 0, self._operations[operation - 1](number, one, other, content) or b""
        except Refused as refused:
            return refused.status, str(refused).encode()
        except OSError as error:
            return 5, str(error).encode()

    def _entry(self, number: int) -> bytes:
        *facts, name = self._store.entry(number)
        return self.ENTRY.pack(*facts, len(name.encode())) + name.encode()

    def _stat(self, number: int, *_: Any) -> bytes:
        return self._entry(number)

    def _list(self, folder: int, first: int, *_: Any) -> bytes:
        page = self._store.children(folder)[first : first + self.PAGE]
        return b"".join(self._entry(number) for number in page)

    def _make(self, folder: int, modified: int, kind: int, name: bytes) -> bytes:
        return struct.pack("<I", self._store.make(folder, kind, name.decode(), modified))

    def _write(self, number: int, at: int, _: int, data: bytes) -> None:
        self._store.write(number, at, data)

    def _end(self, number: int, size: int, *_: Any) -> None:
        self._store.end(number, size)

    def _read(self, number: int, at: int, count: int, _: bytes) -> bytes:
        return self._store.read(number, at, count)

    def _delete(self, number: int, *_: Any) -> None:
        self._store.delete(number)

    def _rename(self, number: int, _one: int, _other: int, name: bytes) -> None:
        self._store.place(number, self._store.entry(number)[1], name.decode())

    def _move(self, number: int, _: int, folder: int, _name: bytes) -> None:
        self._store.place(number, folder, self._store.entry(number)[5])

    def _get_text(self, _number: int, _one: int, _other: int, name: bytes) -> bytes:
        return self._store.text(name.decode()).encode()

    def _set_text(self, _number: int, _one: int, _other: int, both: bytes) -> None:
        self._store.set_text(*both.decode().split("\0", 1))

    def _space(self, *_: Any) -> bytes:
        return struct.pack("<QQ", *self._store.space())


KINDS: dict[str, type[Function]] = {"none": Function, "loopback": Loopback, "script": Script, "files": Files}
