"""A device as the host's controller sees it: takes transfers, strikes faults, answers. It does no I/O of its own."""

from collections.abc import Callable, Iterator
from typing import Any

from usb_device import descriptors, usbip
from usb_device.control import KIND, Endpoint0
from usb_device.faults import Fault, Faults
from usb_device.functions import KINDS
from usb_device.usbip import Submit, Unlink


class Vanished(Exception):
    """A fault has pulled the plug."""


class Device:
    """One device. `handle` takes a message and gives the answers that are due; those that wait come with later ones."""

    def __init__(self, described: dict[str, Any], log: Callable[..., None]) -> None:
        self._log = log
        self._control = Endpoint0(described)
        self._faults = Faults(described.get("faults", []))
        self._packets = {
            one["address"]: descriptors.max_packet(described, one)
            for configuration in described["configurations"]
            for interface in configuration["interfaces"]
            for one in interface.get("endpoints", [])
        }
        behind = described.get("function", {"kind": "none"})
        self._function = KINDS[behind["kind"]](behind, self._packets)
        self._waiting: dict[int, Submit] = {}
        self._never: set[int] = set()

    def use_faults(self, described: list[dict[str, Any]]) -> None:
        """Faults from now on."""
        self._faults = Faults(described)
        self._log("faults", count=len(described))

    def handle(self, message: Submit | Unlink) -> Iterator[bytes]:
        """The answers that are due with this message."""
        if isinstance(message, Unlink):
            yield usbip.unlinked(message, self._waiting.pop(message.victim, None) is not None)
            self._never.discard(message.victim)
        elif message.endpoint & 0x7F == 0:
            yield from self._controlled(message)
        else:
            yield from self._transferred(message)
        yield from self._due()

    def _controlled(self, submit: Submit) -> Iterator[bytes]:
        setup = submit.setup
        fault = self._faults.at(submit.endpoint, setup)
        answer = self._control.answer(setup)
        if answer is None and setup.type & KIND:
            answer = self._function.control(setup, submit.data)
        # a device sends no more than it was asked for, but for the fault of that name
        answer = None if answer is None else answer[: setup.length]
        outcome = fault.do if fault else "stall" if answer is None else "answered"
        request = {"type": setup.type, "request": setup.request, "value": setup.value, "index": setup.index}
        self._log("control", **request, length=setup.length, outcome=outcome, bytes=len(answer or b""))
        if fault:
            yield from self._struck(submit, fault, answer or b"")
        elif answer is None:
            yield usbip.answered(submit, usbip.STALLED, taken=0)
        else:
            yield usbip.answered(submit, usbip.DONE, answer)

    def _transferred(self, submit: Submit) -> Iterator[bytes]:
        endpoint = submit.endpoint
        if endpoint in self._control.halted or endpoint not in self._packets:
            yield usbip.answered(submit, usbip.STALLED, taken=0)
        elif endpoint & 0x80:
            # struck, if at all, when there is something to answer
            self._waiting[submit.number] = submit
        elif fault := self._faults.at(endpoint):
            self._log("fault", endpoint=endpoint, outcome=fault.do)
            yield from self._struck(submit, fault, b"")
        else:
            whole = len(submit.data) % self._packets[endpoint] == 0 and submit.data
            self._function.received(endpoint, submit.data, not whole or bool(submit.flags & usbip.ZERO_PACKET))
            yield usbip.answered(submit, usbip.DONE)

    def _due(self) -> Iterator[bytes]:
        """Answers to IN transfers for which there is something now."""
        for number, submit in list(self._waiting.items()):
            if number in self._never or submit.endpoint not in self._function.queues:
                continue
            data = self._function.queues[submit.endpoint].take(submit.length)
            if data is None:
                continue
            del self._waiting[number]
            fault = self._faults.at(submit.endpoint)
            if fault is None:
                yield usbip.answered(submit, usbip.DONE, data)
            else:
                self._log("fault", endpoint=submit.endpoint, outcome=fault.do)
                yield from self._struck(submit, fault, data)

    def _struck(self, submit: Submit, fault: Fault, answer: bytes) -> Iterator[bytes]:
        """What a fault makes of a transfer; `answer` is what would have been said."""
        if fault.do == "vanish":
            raise Vanished
        if fault.do == "silent":
            self._waiting[submit.number] = submit
            self._never.add(submit.number)
        elif fault.do == "stall":
            if submit.endpoint & 0x7F:
                self._control.halted.add(submit.endpoint)
            yield usbip.answered(submit, usbip.STALLED, taken=0)
        elif fault.do == "long":
            # as a controller reports it: the buffer is full, and there was more
            yield usbip.answered(submit, usbip.TOO_LONG, answer.ljust(submit.length, b"\0")[: submit.length])
        elif fault.do == "replace":
            yield usbip.answered(submit, usbip.DONE, fault.replacement[: submit.length])
        else:
            yield usbip.answered(submit, usbip.DONE, answer[: fault.bytes], taken=fault.bytes)
