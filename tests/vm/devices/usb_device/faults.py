"""Faults on demand: which transfers go wrong, and how. It decides; `device.py` carries it out.

A fault is `{"when": {…}, "do": "stall", "skip": 0, "times": 1}`. `when` holds fields of a control request (`type`,
`request`, `value`, `index`) or an `endpoint` of another kind; what it leaves out may be anything. The first `skip`
transfers that fit are let go, the next `times` (all, without it) are struck.
"""

from typing import Any

from usb_device.usbip import Setup

# stall: refuse. short: answer only `bytes` of it. long: answer more than was asked for. silent: never answer.
# vanish: pull the plug. replace: answer the bytes of `hex` instead.
KINDS = ("stall", "short", "long", "silent", "vanish", "replace")


class Fault:
    """One fault and how often it may still strike."""

    def __init__(self, described: dict[str, Any]) -> None:
        self.do: str = described["do"]
        if self.do not in KINDS:
            raise ValueError(f"{self.do} is no kind of fault; there are {', '.join(KINDS)}")
        self.bytes: int = described.get("bytes", 1)
        self.replacement = bytes.fromhex(described.get("hex", ""))
        self._when: dict[str, int] = described.get("when", {})
        self._skip: int = described.get("skip", 0)
        self._left: int | None = described.get("times")

    def strikes(self, endpoint: int, setup: Setup | None) -> bool:
        """Whether a transfer is struck; `setup` is there for control requests alone."""
        if setup is None:
            fits = self._when.get("endpoint") == endpoint
        else:
            fits = all(getattr(setup, field, None) == value for field, value in self._when.items())
        if not fits or self._left == 0:
            return False
        if self._skip:
            self._skip -= 1
            return False
        if self._left is not None:
            self._left -= 1
        return True


class Faults:
    """All faults of a device; the first that strikes counts."""

    def __init__(self, described: list[dict[str, Any]]) -> None:
        self._all = [Fault(one) for one in described]

    def at(self, endpoint: int, setup: Setup | None = None) -> Fault | None:
        """The fault that strikes this transfer, if one does."""
        return next((fault for fault in self._all if fault.strikes(endpoint, setup)), None)
