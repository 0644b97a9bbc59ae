"""A copy of the SD card image, and what can be read and written on it while the box is off."""

import os
import struct
import subprocess
import zlib
from pathlib import Path

from machine import Trouble

MEBIBYTE = 1 << 20
STATE_AT = (131072, 135168)
STATE_BYTES = 512


def call(*words, input=None, timeout=300, cwd=None):
    """Calls a program; its output, or a Trouble with what it complained about."""
    words = [str(word) for word in words]
    try:
        done = subprocess.run(words, input=input, capture_output=True, timeout=timeout, cwd=cwd)
    except subprocess.TimeoutExpired:
        raise Trouble(f"{words[0]}: not done within {timeout} s") from None
    if done.returncode:
        said = (done.stderr + done.stdout[-2000:]).decode(errors="replace").strip()
        raise Trouble(f"{' '.join(words)}: exit code {done.returncode}: {said}")
    return done.stdout


GRUB = b"# GRUB Environment Block\n"


def decode_state(block):
    """One copy of the slot state in either format: a dictionary, or None when it is damaged."""
    if block.startswith(GRUB):
        words = dict(line.split(b"=", 1) for line in block.split(b"\n") if b"=" in line)
        word = words.get(b"state", b"").decode("ascii", "replace")
        if len(block) != STATE_BYTES or len(word) != 3 or words.get(b"again", b"").decode("ascii", "replace") != word:
            return None
        return {"good": word[0], "trial": word[1].replace("-", "none"), "left": word[2]}
    if len(block) != STATE_BYTES or struct.unpack("<I", block[:4])[0] != zlib.crc32(block[4:]):
        return None
    entries = block[4:].split(b"\0\0", 1)[0].split(b"\0")
    return dict(entry.decode("ascii", "replace").split("=", 1) for entry in entries if b"=" in entry)


def encode_state(**keys):
    """A copy of the slot state as U-Boot's `env export -c` writes it."""
    text = b"".join(f"{key}={value}\0".encode() for key, value in keys.items()) + b"\0"
    body = text.ljust(STATE_BYTES - 4, b"\0")
    return struct.pack("<I", zlib.crc32(body)) + body


class Card:
    """An image file as a card of a given size."""

    def __init__(self, path):
        self.path = Path(path)

    @classmethod
    def copy_of(cls, image, path, size=1024 * MEBIBYTE):
        """A sparse copy, as long as a card of `size` bytes (QEMU's SD controller wants a power of two)."""
        call("cp", "--sparse=always", image, path)
        if os.path.getsize(path) > size:
            raise Trouble(f"{image} is larger than the card of {size} bytes")
        os.truncate(path, size)
        return cls(path)

    def partitions(self):
        """Of the MBR: number -> (first byte, bytes)."""
        with open(self.path, "rb") as file:
            sector = file.read(512)
        if sector[510:] != b"\x55\xaa":
            raise Trouble(f"{self.path} has no MBR")
        found = {}
        for number in range(4):
            first, count = struct.unpack_from("<II", sector, 446 + 16 * number + 8)
            if count:
                found[number + 1] = (first * 512, count * 512)
        return found

    def read(self, at, count):
        with open(self.path, "rb") as file:
            file.seek(at)
            return file.read(count)

    def write(self, at, data):
        with open(self.path, "r+b") as file:
            file.seek(at)
            file.write(data)

    def states(self):
        """Both copies of the slot state; None for one that is not valid."""
        return [decode_state(self.read(at, STATE_BYTES)) for at in STATE_AT]

    def state(self):
        """The slot state that counts: the first valid copy, else slot A and no trial."""
        for state in self.states():
            if state is not None:
                return state
        return {"good": "A"}

    # The FAT partition, through mtools: nothing is mounted.

    def _fat(self):
        return f"{self.path}@@{self.partitions()[1][0]}"

    def put(self, source, name):
        """Copies a file or folder to the FAT partition, making the folders above it."""
        for parent in list(Path(name).parents)[-2::-1]:
            subprocess.run(["mmd", "-i", self._fat(), "-D", "s", f"::{parent}"], capture_output=True)
        call("mcopy", "-Q", "-s", "-o", "-i", self._fat(), source, f"::{name}")

    def put_text(self, text, name, scratch):
        """Writes a file of the FAT partition."""
        path = Path(scratch) / f"put-{self.path.stem}-{Path(name).name}"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.put(path, name)
        path.unlink()

    def get(self, name):
        """The bytes of a file on the FAT partition; None when it is not there."""
        done = subprocess.run(["mtype", "-i", self._fat(), f"::{name}"], capture_output=True)
        return done.stdout if done.returncode == 0 else None

    def names(self, folder=""):
        """What is in a folder of the FAT partition, folders below it included."""
        done = subprocess.run(["mdir", "-b", "-/", "-i", self._fat(), f"::{folder}"], capture_output=True, text=True)
        return [line.strip().removeprefix("::/") for line in done.stdout.splitlines() if line.strip()]


class Stick:
    """A USB stick: a FAT file system labelled TOMBOLO without a partition table."""

    def __init__(self, path):
        self.path = Path(path)

    @classmethod
    def of(cls, files, path):
        """With these files, name -> source, and as much room again as a report needs."""
        path = Path(path)
        path.unlink(missing_ok=True)
        with open(path, "wb") as file:
            file.truncate(16 * MEBIBYTE + sum(os.path.getsize(source) for source in files.values()))
        call("mkfs.vfat", "-F", "32", "-n", "TOMBOLO", path)
        for name, source in files.items():
            call("mcopy", "-i", path, source, f"::{name}")
        return cls(path)

    def get(self, name):
        """The bytes of a file; None when it is not there."""
        done = subprocess.run(["mtype", "-i", str(self.path), f"::{name}"], capture_output=True)
        return done.stdout if done.returncode == 0 else None


def disk_of(folder, path, label, megabytes=0):
    """An ext4 disk that holds the files of a folder."""
    path = Path(path)
    path.unlink(missing_ok=True)
    content = sum(file.stat().st_size for file in Path(folder).iterdir())
    with open(path, "wb") as file:
        file.truncate((max(megabytes, 16) * MEBIBYTE + content * 21 // 20) // MEBIBYTE * MEBIBYTE)
    call("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-L", label, "-d", folder, path)
    return path
