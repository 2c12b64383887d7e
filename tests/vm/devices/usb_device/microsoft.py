"""Microsoft's OS descriptors 1.0 and 2.0 with any compatible IDs and registry properties, made of a description. Pure.

A description tells the features of each function: `{"interface": 0, "compatible": "MTP", "sub": "", "properties":
[{"name": "DeviceInterfaceGUIDs", "value": ["{…}"]}]}`; without `interface` they are the whole device's (2.0 only). A
value is a text, a list of texts, a number, or bytes as `{"hex": "…"}`; `type` names another registry type.
"""

import struct
import uuid
from typing import Any

SIGNATURE = "MSFT100"
STRING_NUMBER = 0xEE
COMPATIBLE_IDS, PROPERTIES, DESCRIPTOR_SET = 4, 5, 7
PLATFORM = uuid.UUID("d8dd60df-4589-4cc7-9cd2-659d9e648a9f")
WINDOWS_8_1 = 0x06030000
# registry types
TEXT, BINARY, NUMBER, TEXTS = 1, 3, 4, 7


def os_string(code: int) -> bytes:
    """String 0xEE: the signature, and the request that the other descriptors are asked for with."""
    return bytes([18, 3]) + SIGNATURE.encode("utf-16-le") + bytes([code, 0])


def _id(text: str) -> bytes:
    return text.encode("ascii").ljust(8, b"\0")


def _value(value: Any) -> tuple[int, bytes]:
    """A registry type and its bytes: texts end in NUL, and a list of them in one more."""
    if isinstance(value, list):
        return TEXTS, "".join(text + "\0" for text in [*value, ""]).encode("utf-16-le")
    if isinstance(value, int):
        return NUMBER, struct.pack("<I", value)
    if isinstance(value, dict):
        return BINARY, bytes.fromhex(value["hex"])
    return TEXT, (value + "\0").encode("utf-16-le")


def compatible_ids(features: list[dict[str, Any]]) -> bytes:
    """The extended compatible IDs of 1.0, one section of 24 bytes for each function."""
    sections = [
        struct.pack("<BB8s8s6x", own.get("interface", 0), 1, _id(own.get("compatible", "")), _id(own.get("sub", "")))
        for own in features
    ]
    content = b"".join(sections)
    return struct.pack("<IHHB7x", 16 + len(content), 0x0100, COMPATIBLE_IDS, len(sections)) + content


def properties(features: list[dict[str, Any]], interface: int) -> bytes:
    """The extended properties of 1.0 of one function; lengths are of four bytes here."""
    sections = []
    for own in features:
        for one in own.get("properties", []) if own.get("interface", 0) == interface else []:
            name = (one["name"] + "\0").encode("utf-16-le")
            kind, data = _value(one["value"])
            kind = one.get("type", kind)
            head = struct.pack("<IIH", 14 + len(name) + len(data), kind, len(name))
            sections.append(head + name + struct.pack("<I", len(data)) + data)
    content = b"".join(sections)
    return struct.pack("<IHHH", 10 + len(content), 0x0100, PROPERTIES, len(sections)) + content


def _features(own: dict[str, Any]) -> bytes:
    """Compatible ID and registry properties as 2.0 has them; lengths are of two bytes here."""
    data = b""
    if "compatible" in own:
        data += struct.pack("<HH8s8s", 20, 3, _id(own["compatible"]), _id(own.get("sub", "")))
    for one in own.get("properties", []):
        name = (one["name"] + "\0").encode("utf-16-le")
        kind, value = _value(one["value"])
        kind = one.get("type", kind)
        size = 10 + len(name) + len(value)
        data += struct.pack("<HHHH", size, 4, kind, len(name)) + name + struct.pack("<H", len(value)) + value
    return data


def descriptor_set(described: dict[str, Any]) -> bytes:
    """The descriptor set of 2.0: features of the device at its top, those of functions in their subsets."""
    features = described["features"]
    content = b"".join(_features(own) for own in features if "interface" not in own)
    subsets = b""
    for own in features:
        if "interface" in own:
            data = _features(own)
            subsets += struct.pack("<HHBBH", 8, 2, own["interface"], 0, 8 + len(data)) + data
    if subsets:
        content += struct.pack("<HHBBH", 8, 1, 0, 0, 8 + len(subsets)) + subsets
    return struct.pack("<HHIH", 10, 0, described.get("windows", WINDOWS_8_1), 10 + len(content)) + content


def capability(described: dict[str, Any]) -> bytes:
    """The platform capability in the BOS that says where the descriptor set is to be had."""
    total = len(descriptor_set(described))
    head = struct.pack("<BBBB16s", 28, 16, 5, 0, PLATFORM.bytes_le)
    return head + struct.pack("<IHBB", described.get("windows", WINDOWS_8_1), total, described["code"], 0)
