"""A small Debian for arm64 that a .deb is installed on, as a squashfs; the guest lays a file system in memory over it.

Debian's packages are fetched and unpacked as `scripts/image` does it: none of their scripts is run, so nothing has to be
emulated to make it, and it takes seconds. dpkg is told that they are installed. Made once and kept.
"""

import hashlib
import os
import shutil
from pathlib import Path

from card import call
from machine import Trouble

COMMON = Path(__file__).resolve().parent.parent.parent / "board/common"

# What the .deb depends on and its scripts call, and what the scenario looks around with.
PACKAGES = "base-files base-passwd bash coreutils dash debianutils diffutils dpkg findutils grep gzip hostname init-system-helpers libc-bin libc6 libgcc-s1"
PACKAGES += " login mawk mount perl-base procps sed systemd systemd-sysv tar util-linux"

# What a small box for tests does without.
UNUSED = ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/zoneinfo", "usr/lib/udev/hwdb.d"]

MASKED = ["getty@.service", "serial-getty@.service", "console-getty.service", "systemd-logind.service", "systemd-networkd.service"]
MASKED += ["systemd-timesyncd.service", "systemd-pcrphase.service", "systemd-pcrphase-sysinit.service", "systemd-hwdb-update.service"]
MASKED += ["systemd-journal-catalog-update.service", "apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "fstrim.timer"]
MASKED += ["dpkg-db-backup.timer", "systemd-random-seed.service", "systemd-tmpfiles-clean.timer"]

SHELL = """[Unit]
Description=Root's shell on the serial line
After=basic.target

[Service]
Environment=HOME=/root TERM=dumb PATH=/usr/sbin:/usr/bin "PS1=root@debian:~# "
WorkingDirectory=/root
ExecStart=/bin/bash --norc --noprofile -i
StandardInput=tty
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyAMA0
Restart=always
"""

SHELL_UNIT = "etc/systemd/system/test-shell.service"

STANZA = """Package: {0}
Status: install ok installed
Priority: optional
Section: misc
Maintainer: Debian
Architecture: {2}
Multi-Arch: foreign
Version: {1}
Description: unpacked for a test

"""

# Of board/common/build/debian.sh: the machine's own Debian sources, its proxy, and mmdebstrap.
FETCH = """set -euo pipefail
say() { printf '== %s\\n' "$*"; }
die() { printf '%s\\n' "$*" >&2; exit 1; }
common=$1 cache=$2 ARCH=arm64 fresh=no
shift 2
. "$common/build/debian.sh"
debian_tree debian-guest "$@"
"""


def disk(cache):
    """The disk's file; made when it is not there."""
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    path = Path(cache).resolve() / f"debian-arm64-{key}.squashfs"
    if path.exists():
        return path
    words = ["bash", "-c", FETCH, "fetch", COMMON, path.parent, *PACKAGES.split()]
    packages = Path(call(*words, timeout=1200).decode().strip().splitlines()[-1])
    tree = path.with_suffix(".tree")
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    call("tar", "-C", tree, "-x", "--no-same-owner", "-p", "--exclude=./dev/*", "-f", packages)
    call("chmod", "-R", "u+rwX", tree)
    configure(tree)
    making = path.with_suffix(".making")
    making.unlink(missing_ok=True)
    words = ["mksquashfs", tree, making, "-noappend", "-no-progress", "-quiet", "-all-root", "-comp", "zstd", "-Xcompression-level", "3"]
    call(*words, timeout=600)
    shutil.rmtree(tree)
    packages.unlink()
    for old in path.parent.glob("debian-arm64-*"):
        if old != making:
            old.unlink()
    making.rename(path)
    return path


def configure(tree):
    """What the packages' own scripts would have done, as far as a test needs it."""
    listed = (tree / "packages.list").read_text().split("\n")
    status = tree / "var/lib/dpkg/status"
    if not listed[0]:
        raise Trouble("no package was unpacked")
    status.parent.mkdir(parents=True, exist_ok=True)
    status.write_text("".join(STANZA.format(*line.split()) for line in listed if line))
    for folder in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "media/packages", "root", "dev", "proc", "sys", "run", "tmp"):
        (tree / folder).mkdir(parents=True, exist_ok=True)
    for path in UNUSED:
        shutil.rmtree(tree / path, ignore_errors=True)
    for name in ("passwd", "group"):
        shutil.copyfile(tree / f"usr/share/base-passwd/{name}.master", tree / "etc" / name)
    texts = {"hostname": "debian\n", "machine-id": "", "fstab": "", "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\n"}
    for name, text in texts.items():
        (tree / "etc" / name).write_text(text)
    (tree / SHELL_UNIT).write_text(SHELL)
    wants = tree / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / Path(SHELL_UNIT).name).symlink_to("/" + SHELL_UNIT)
    for unit in MASKED:
        link = tree / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    default = tree / "etc/systemd/system/default.target"
    default.unlink(missing_ok=True)
    default.symlink_to("/usr/lib/systemd/system/multi-user.target")
    # mawk is awk by Debian's alternatives, which a script sets.
    for name, target in (("awk", "mawk"),):
        if not os.path.lexists(tree / "usr/bin" / name):
            (tree / "usr/bin" / name).symlink_to(target)
