"""What is behind a device's endpoints: a loopback, a script. Another device is another class in `KINDS`.

A function sees transfers, not packets: the queues make them of what the host asks for.
"""

from collections import deque
from typing import Any

from usb_device.usbip import Setup


class Queue:
    """Transfers that wait to be fetched from an IN endpoint, each ended by a short or an empty packet."""

    def __init__(self, packet: int) -> None:
        self._packet = packet
        self._waiting: deque[bytes] = deque()

    def put(self, data: bytes) -> None:
        """Adds one transfer."""
        self._waiting.append(data)

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


KINDS: dict[str, type[Function]] = {"none": Function, "loopback": Loopback, "script": Script}
