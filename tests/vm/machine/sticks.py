"""Images of sticks: made, filled and read on the host without mounting anything.

FAT by mtools, ext4 by e2fsprogs. What needs a mount is done in the guest.
"""

import pathlib
import subprocess

MAKERS = {
    "fat32": ["mkfs.vfat", "-F", "32", "-n"],
    "exfat": ["mkfs.exfat", "-L"],
    "ext4": ["mke2fs", "-q", "-t", "ext4", "-L"],
    "ntfs": ["mkntfs", "-q", "-Q", "-F", "-L"],
}


def make(path: pathlib.Path, kind: str, label: str = "STICK", size: str = "128M") -> pathlib.Path:
    """A stick without partitions, with a fresh file system of this kind."""
    path.unlink(missing_ok=True)
    subprocess.run(["truncate", "-s", size, str(path)], check=True)
    subprocess.run([*MAKERS[kind], label, str(path)], check=True, capture_output=True)
    return path


def blank(path: pathlib.Path, size: str = "64M") -> pathlib.Path:
    """A stick without a file system."""
    path.unlink(missing_ok=True)
    subprocess.run(["truncate", "-s", size, str(path)], check=True)
    return path


def put(path: pathlib.Path, name: str, content: bytes) -> None:
    """Puts a file of the user's own on a FAT stick."""
    subprocess.run(["mcopy", "-i", str(path), "-", f"::{name}"], input=content, check=True)


def make_folder(path: pathlib.Path, name: str) -> None:
    """Makes a folder on a FAT stick."""
    subprocess.run(["mmd", "-i", str(path), f"::{name}"], check=True)


def files(path: pathlib.Path, into: pathlib.Path) -> dict[str, bytes]:
    """All files of a FAT stick that isn't plugged in, by path."""
    into.mkdir()
    subprocess.run(["mcopy", "-s", "-Q", "-n", "-m", "-i", str(path), "::*", str(into)], check=True)
    return {str(file.relative_to(into)): file.read_bytes() for file in into.rglob("*") if file.is_file()}


def clear_dirty(path: pathlib.Path) -> None:
    """Takes FAT32's mark of an unclean end away; the kernel leaves it to a repair."""
    with open(path, "r+b") as file:
        file.seek(0x41)
        file.write(b"\0")


def sound(path: pathlib.Path, kind: str) -> str:
    """What the checker of the file system complains of; empty when it finds nothing."""
    checkers = {
        "fat32": ["fsck.fat", "-n"],
        "exfat": ["fsck.exfat", "-n"],
        "ext4": ["e2fsck", "-f", "-n"],
    }
    ran = subprocess.run([*checkers[kind], str(path)], capture_output=True, text=True, check=False)
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr
