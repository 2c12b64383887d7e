"""Builds the guest from Debian's packages: kernel, initramfs and root file system, cached by a digest of the inputs.

It runs as root (the file system's owners are real ones) and knows nothing of Tandem, which is installed into the
running guest.
"""

import gzip
import hashlib
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent.parent
CACHE = HERE / "cache"
SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"

# Of this package the command line alone is wanted, and not the graphical libraries that the package depends on.
UNPACKED = "android-file-transfer"
UNPACK = (
    'cd "$1/tmp" && env APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get -qq download ' + UNPACKED + " && "
    'dpkg-deb --fsys-tarfile ' + UNPACKED + '_*.deb | tar -x -C "$1" ./usr/bin/aft-mtp-cli && rm -- *.deb'
)

# What boots the guest from a virtio disk; the rest is loaded by udev from the root file system.
INITRAMFS_MODULES = ["virtio_pci", "virtio_blk", "virtio_console", "ext4", "crc32c_generic"]
# Of no use in this guest; without them it is built and copied faster.
EXCLUDED = [
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    *(f"/lib/modules/*/kernel/{part}/*" for part in ("drivers/gpu", "drivers/net", "drivers/media", "drivers/iio")),
    *(f"/lib/modules/*/kernel/{part}/*" for part in ("drivers/infiniband", "sound", "net")),
]
INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in $(/bin/busybox cat /modules); do /bin/busybox insmod "/$module"; done
for attempt in 1 2 3 4 5 6 7 8 9 10; do
    [ -b /dev/vda ] && break
    /bin/busybox sleep 0.2
done
/bin/busybox mount -t ext4 -o rw,noatime /dev/vda /root
cd /root && /bin/busybox mount -o move /dev dev
exec /bin/busybox switch_root /root /sbin/init
"""


@dataclass(frozen=True)
class Image:
    """What a guest boots from."""

    kernel: pathlib.Path
    initramfs: pathlib.Path
    disk: pathlib.Path
    digest: str


def packages() -> list[str]:
    """The guest's packages, as `packages.txt` lists them."""
    lines = (HERE / "packages.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def digest() -> str:
    """Changes when the guest would be another one."""
    told = hashlib.sha256()
    for path in [HERE / "packages.txt", pathlib.Path(__file__), *sorted((HERE / "guest").iterdir())]:
        told.update(path.name.encode() + b"\0" + path.read_bytes())
    return told.hexdigest()[:16]


def _debian(into: pathlib.Path) -> None:
    command = ["mmdebstrap", "--mode=root", "--variant=minbase", f"--include={','.join(packages())}"]
    command += ['--aptopt=Acquire::Languages "none"', '--aptopt=APT::Install-Recommends "false"']
    command += [f"--dpkgopt=path-exclude={path}" for path in EXCLUDED]
    command += [f"--customize-hook={UNPACK}"]
    with open(CACHE / "mmdebstrap.log", "w") as log:
        subprocess.run([*command, SUITE, str(into), MIRROR], check=True, stdout=log, stderr=log, timeout=1500)


def _module_files(modules: pathlib.Path) -> list[str]:
    """The modules' files in an order in which each finds those that it needs; empty for what is built in."""
    needs: dict[str, list[str]] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        file, _, rest = line.partition(":")
        needs[file] = rest.split()
    by_name = {pathlib.PurePath(file).name.partition(".")[0].replace("-", "_"): file for file in needs}
    ordered: list[str] = []

    def add(file: str) -> None:
        for other in reversed(needs[file]):
            if other not in ordered:
                add(other)
        if file not in ordered:
            ordered.append(file)

    for name in INITRAMFS_MODULES:
        if name in by_name:
            add(by_name[name])
    return ordered


def _initramfs(root: pathlib.Path, into: pathlib.Path) -> None:
    modules = next((root / "lib/modules").iterdir())
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        tree = pathlib.Path(folder)
        for name in ("bin", "dev", "root"):
            (tree / name).mkdir()
        shutil.copy2("/bin/busybox", tree / "bin/busybox")
        files = _module_files(modules)
        for file in files:
            (tree / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(modules / file, tree / file)
        (tree / "modules").write_text("\n".join(files) + "\n")
        (tree / "init").write_text(INIT)
        (tree / "init").chmod(0o755)
        names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
        command = ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"]
        packed = subprocess.run(command, cwd=tree, input=names.encode(), capture_output=True, check=True)
    into.write_bytes(gzip.compress(packed.stdout, 1))


def build() -> Image:
    """The image that fits the inputs; made when it isn't in the cache, which takes about two minutes."""
    CACHE.mkdir(exist_ok=True)
    name = digest()
    folder = CACHE / f"image-{name}"
    image = Image(folder / "kernel", folder / "initramfs", folder / "disk.ext4", name)
    if image.disk.exists():
        return image
    base = CACHE / f"debian-{hashlib.sha256(' '.join([*packages(), *EXCLUDED, UNPACKED]).encode()).hexdigest()[:16]}.tar"
    if not base.exists():
        unfinished = base.with_suffix(".part.tar")
        _debian(unfinished)
        unfinished.rename(base)
    for old in CACHE.glob("image-*"):
        shutil.rmtree(old)
    folder.mkdir()
    with tempfile.TemporaryDirectory(dir=CACHE) as unpacked:
        root = pathlib.Path(unpacked)
        root.chmod(0o755)
        subprocess.run(["tar", "--numeric-owner", "-xpf", str(base), "-C", str(root)], check=True)
        subprocess.run([str(HERE / "guest/prepare.sh"), str(root)], check=True)
        shutil.copy2(next(root.glob("boot/vmlinuz-*")), image.kernel)
        _initramfs(root, image.initramfs)
        shutil.rmtree(root / "boot")
        (root / "boot").mkdir()
        unfinished = image.disk.with_suffix(".part")
        command = ["mke2fs", "-q", "-t", "ext4", "-d", str(root), "-L", "root", str(unfinished), "3G"]
        subprocess.run(command, check=True, timeout=300)
        unfinished.rename(image.disk)
    return image


def pack(tree: pathlib.Path, into: pathlib.Path) -> None:
    """Packs an installed tree so that the guest can read it from a raw disk.

    Files alone: `tar` takes directories that are there away from everybody while it unpacks into them.
    """
    with tarfile.open(into, "w") as archive:
        for path in sorted(path for path in tree.rglob("*") if not path.is_dir()):
            archive.add(path, arcname=str(path.relative_to(tree)), filter=_owned_by_root)


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry
