"""A small writable Debian for arm64, as a disk: what a .deb is installed on. Made once by mmdebstrap and kept."""

import hashlib
import os
import subprocess
from pathlib import Path

from card import MEBIBYTE, call
from machine import Trouble

PACKAGES = ["systemd", "systemd-sysv", "udev", "dbus", "kmod", "iproute2", "procps", "adduser"]
SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
BINFMT = Path("/proc/sys/fs/binfmt_misc")

# What a small box for tests does without.
UNUSED = ["usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*"]


def register_interpreter():
    """Programs for arm64 run under qemu-user here; the kernel must know, and on a bare machine nobody told it."""
    if (BINFMT / "qemu-aarch64").exists():
        return
    if os.geteuid():
        raise Trouble("programs for arm64 do not run here: install qemu-user-static and binfmt-support as root")
    if not (BINFMT / "register").exists():
        call("mount", "-t", "binfmt_misc", "none", BINFMT)
    if not (BINFMT / "qemu-aarch64").exists():
        (BINFMT / "register").write_bytes(Path("/usr/lib/binfmt.d/qemu-aarch64.conf").read_bytes().rstrip(b"\n"))


def customize():
    """What is done in the tree: root logs in on the serial line, and nothing runs that is not needed."""
    masked = ["apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "fstrim.timer", "dpkg-db-backup.timer"]
    masked += ["systemd-timesyncd.service", "systemd-pcrphase.service", "systemd-pcrphase-sysinit.service"]
    yield 'sed -i "s/^root:[^:]*:/root::/" "$1/etc/shadow"'
    yield 'echo debian > "$1/etc/hostname"; : > "$1/etc/machine-id"; : > "$1/etc/fstab"'
    yield 'mkdir -p "$1/media/packages" "$1/etc/systemd/system/serial-getty@ttyAMA0.service.d"'
    yield (
        'printf "[Service]\\nExecStart=\\nExecStart=-/sbin/agetty -o \\"-p -f root\\" --autologin root --noclear %%I dumb\\n"'
        ' > "$1/etc/systemd/system/serial-getty@ttyAMA0.service.d/autologin.conf"'
    )
    for unit in masked:
        yield f'ln -sf /dev/null "$1/etc/systemd/system/{unit}"'


def disk(cache):
    """The disk's file (ext2, to be copied before use); made when it is not there."""
    hooks = list(customize())
    key = hashlib.sha256(repr((PACKAGES, UNUSED, hooks)).encode()).hexdigest()[:12]
    path = Path(cache) / f"debian-arm64-{key}.ext2"
    if path.exists():
        return path
    register_interpreter()
    making = path.with_suffix(".making")
    command = ["mmdebstrap", "--quiet", "--architectures=arm64", "--variant=minbase", "--format=ext2", "--skip=check/qemu"]
    command += ["--include=" + ",".join(PACKAGES)]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in UNUSED]
    command += [f"--customize-hook={hook}" for hook in hooks]
    command += ["bookworm", str(making)]
    command += [str(SOURCES)] if SOURCES.exists() else []
    call(*command, timeout=1200)
    # genext2fs leaves hardly any room.
    os.truncate(making, max(512 * MEBIBYTE, os.path.getsize(making) + 128 * MEBIBYTE))
    checked = subprocess.run(["e2fsck", "-fyC0", making], capture_output=True)
    if checked.returncode > 1:
        raise Trouble(f"e2fsck of {making}: {checked.stdout.decode(errors='replace')}")
    call("resize2fs", making)
    making.rename(path)
    return path
