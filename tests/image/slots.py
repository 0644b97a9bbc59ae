"""Slot images: taken apart, changed, put together, signed. This is how a test comes by an update that fails.

A slot is a squashfs with a boot area behind it, on the next multiple of 4 KiB: one block of 4 KiB in U-Boot's environment
format that says how many 512-byte blocks follow for kernel, ramdisk and device trees, then these, each with U-Boot's
legacy header (board/common/boot.cmd reads it).
"""

import os
import shutil
import struct
import time
import zlib
from pathlib import Path

from card import STATE_BYTES, call, decode_state, encode_state
from machine import Trouble

BLOCK = 512
AREA_HEAD = 4096
HEADER = struct.Struct(">IIIIIIIBBBB32s")


def rounded(count, unit):
    return (count + unit - 1) // unit * unit


def padded(data, unit):
    return data.ljust(rounded(len(data), unit), b"\0")


def payload(legacy):
    """What is inside an image with U-Boot's legacy header."""
    size = HEADER.unpack(legacy[:64])[3]
    return legacy[64 : 64 + size]


def wrapped(legacy, data):
    """The same image with another content."""
    fields = list(HEADER.unpack(legacy[:64]))
    fields[1], fields[3], fields[6] = 0, len(data), zlib.crc32(data)
    fields[1] = zlib.crc32(HEADER.pack(*fields))
    return HEADER.pack(*fields) + data


class SlotImage:
    """A slot image in its parts."""

    def __init__(self, path):
        self.path = Path(path)
        with open(path, "rb") as file:
            head = file.read(96)
            if head[:4] != b"hsqs":
                raise Trouble(f"{path} does not begin with a squashfs")
            self.squashfs_bytes = struct.unpack_from("<Q", head, 40)[0]
            file.seek(rounded(self.squashfs_bytes, 4096))
            area = file.read(AREA_HEAD)
            self.parts = {}
            self.keys = decode_state(area[:STATE_BYTES]) if area else None
            if not self.keys:
                return  # for GRUB: the kernel is in the squashfs
            for part in ("kernel", "ramdisk", "tree"):
                self.parts[part] = file.read(int(self.keys[f"{part}_blocks"], 16) * BLOCK)

    def unpack(self, folder):
        """The root file system as a tree."""
        call("unsquashfs", "-q", "-n", "-d", folder, self.path, timeout=600)
        return Path(folder)

    def area(self):
        """The boot area of the parts as they are now."""
        parts = {name: padded(data, BLOCK) for name, data in self.parts.items()}
        for name, data in parts.items():
            self.keys[f"{name}_blocks"] = f"{len(data) // BLOCK:x}"
        return encode_state(**self.keys).ljust(AREA_HEAD, b"\0") + b"".join(parts.values())

    def write(self, squashfs, path):
        """A slot image of that squashfs and our boot area."""
        shutil.copyfile(squashfs, path)
        with open(path, "r+b") as file:
            used = struct.unpack_from("<Q", file.read(96), 40)[0]
            file.truncate(used)
            file.seek(rounded(used, 4096))
            if self.keys:
                file.write(self.area())
        os.truncate(path, rounded(os.path.getsize(path), 4096))
        return Path(path)


class Tree:
    """A root file system that is changed on its way to a bundle."""

    def __init__(self, image, folder):
        self.image = image
        self.folder = image.unpack(folder)

    def put(self, path, text, mode=0o644):
        """Writes a file; a link in its place goes."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())
        target.chmod(mode)

    def version(self, version):
        """Says that it is that release."""
        release = "usr/lib/tombolo/image-release"
        lines = (self.folder / release).read_text().splitlines()
        self.put(release, "".join(f"VERSION={version}\n" if line.startswith("VERSION=") else f"{line}\n" for line in lines))

    def squashfs(self, path):
        """Quickly packed: size does not matter here."""
        Path(path).unlink(missing_ok=True)
        words = ["mksquashfs", self.folder, path, "-noappend", "-no-progress", "-quiet"]
        # GRUB knows no zstd.
        words += ["-comp", "zstd", "-Xcompression-level", "3"] if self.image.keys else ["-comp", "gzip", "-Xcompression-level", "1"]
        call(*words, timeout=600)
        return Path(path)


def bundle(slot, path, compatible, version, certificate, key, scratch):
    """A signed bundle, as `scripts/image` makes it."""
    content = Path(scratch) / f"content-{path.stem}"
    shutil.rmtree(content, ignore_errors=True)
    content.mkdir()
    os.link(slot, content / "slot.img")
    manifest = f"[update]\ncompatible={compatible}\nversion={version}\n\n[bundle]\nformat=verity\n\n"
    (content / "manifest.raucm").write_text(manifest + "[image.rootfs]\nfilename=slot.img\n")
    path.unlink(missing_ok=True)
    call("rauc", "bundle", f"--cert={certificate}", f"--key={key}", content, path)
    shutil.rmtree(content)
    return path


def initramfs(files):
    """A cpio archive (newc) of {name: (mode, bytes)}."""
    out = b""
    for inode, (name, (mode, data)) in enumerate([*files.items(), ("TRAILER!!!", (0, b""))], 1):
        encoded = name.encode() + b"\0"
        fields = [inode, mode, 0, 0, 1, int(time.time()) & ~0xFFFF, len(data), 0, 0, 0, 0, len(encoded), 0]
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        out += padded(head, 4) + padded(data, 4)
    return padded(out, 512)
