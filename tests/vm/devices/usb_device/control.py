"""Endpoint 0: what a device answers to standard and to Microsoft's requests. It holds the device's settings alone."""

from typing import Any

from usb_device import descriptors, microsoft
from usb_device.usbip import Setup

GET_STATUS, CLEAR_FEATURE, SET_FEATURE, SET_ADDRESS, GET_DESCRIPTOR = 0, 1, 3, 5, 6
GET_CONFIGURATION, SET_CONFIGURATION, GET_INTERFACE, SET_INTERFACE, SET_SEL, SET_DELAY = 8, 9, 10, 11, 48, 49
IN, KIND, VENDOR, TO_ENDPOINT = 0x80, 0x60, 0x40, 2
ENDPOINT_HALT = 0


class Endpoint0:
    """Answers control requests; `None` says that the device stalls."""

    def __init__(self, described: dict[str, Any]) -> None:
        self._described = described
        self._strings = descriptors.Strings()
        self._device = descriptors.device(described, self._strings)
        count = len(described["configurations"])
        self._configurations = [descriptors.configuration(described, number, self._strings) for number in range(count)]
        self._configuration = 0
        self._alternates: dict[int, int] = {}
        self.halted: set[int] = set()

    def answer(self, setup: Setup) -> bytes | None:
        """The answer to a standard or a vendor's request, not yet cut to the length that was asked for."""
        if setup.type & KIND == VENDOR:
            return self._microsoft(setup)
        if setup.type & KIND:
            return None
        return self._get(setup) if setup.type & IN else self._set(setup)

    def _get(self, setup: Setup) -> bytes | None:
        if setup.request == GET_DESCRIPTOR:
            return self._descriptor(setup.value >> 8, setup.value & 0xFF)
        if setup.request == GET_STATUS:
            halted = setup.type & 0x1F == TO_ENDPOINT and setup.index in self.halted
            return bytes([halted, 0])
        if setup.request == GET_CONFIGURATION:
            return bytes([self._configuration])
        if setup.request == GET_INTERFACE:
            return bytes([self._alternates.get(setup.index, 0)])
        return None

    def _set(self, setup: Setup) -> bytes | None:
        if setup.request == SET_CONFIGURATION:
            self._configuration = setup.value
            self.halted.clear()
        elif setup.request == SET_INTERFACE:
            self._alternates[setup.index] = setup.value
        elif setup.request in (CLEAR_FEATURE, SET_FEATURE):
            if setup.type & 0x1F == TO_ENDPOINT and setup.value == ENDPOINT_HALT:
                change = self.halted.discard if setup.request == CLEAR_FEATURE else self.halted.add
                change(setup.index)
        elif setup.request not in (SET_ADDRESS, SET_SEL, SET_DELAY):
            return None
        return b""

    def _descriptor(self, kind: int, number: int) -> bytes | None:
        one = self._described.get("microsoft_1")
        two = self._described.get("microsoft_2")
        if kind == descriptors.DEVICE:
            return self._device
        if kind == descriptors.CONFIGURATION:
            return self._configurations[number] if number < len(self._configurations) else None
        if kind == descriptors.STRING and number == microsoft.STRING_NUMBER:
            return microsoft.os_string(one["code"]) if one else None
        if kind == descriptors.STRING:
            return self._strings.descriptor(number)
        if kind == descriptors.QUALIFIER:
            return descriptors.qualifier(self._described)
        if kind == descriptors.BOS:
            return descriptors.bos(self._described, [microsoft.capability(two)] if two else [])
        return None

    def _microsoft(self, setup: Setup) -> bytes | None:
        one = self._described.get("microsoft_1")
        two = self._described.get("microsoft_2")
        if not setup.type & IN:
            return None
        if two and setup.request == two["code"] and setup.index == microsoft.DESCRIPTOR_SET:
            return microsoft.descriptor_set(two)
        if one and setup.request == one["code"] and setup.index == microsoft.COMPATIBLE_IDS:
            return microsoft.compatible_ids(one["features"])
        if one and setup.request == one["code"] and setup.index == microsoft.PROPERTIES:
            return microsoft.properties(one["features"], setup.value & 0xFF)
        return None
