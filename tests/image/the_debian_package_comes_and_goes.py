"""The .deb on a plain Debian under systemd: installs and starts, upgrades and keeps what it has, purges clean."""

import re
import shutil
import subprocess
import time
from pathlib import Path

import debian
from card import call, disk_of
from debian_guest import DebianGuest, boot_files
from guest import VIRT
from machine import Trouble

ABOUT = "the .deb installs, starts under systemd, upgrades, purges clean"
NEEDS = [VIRT, "package"]
SECONDS = 180


def newer(package, folder):
    """The same package with a higher version."""
    tree = folder / "tree-package"
    shutil.rmtree(tree, ignore_errors=True)
    call("dpkg-deb", "-R", package, tree)
    control = tree / "DEBIAN/control"
    text, count = re.subn(r"(?m)^Version: (.*)$", r"Version: \1+next", control.read_text())
    if count != 1:
        raise Trouble(f"{package} has no version")
    control.write_text(text)
    result = folder / "packages/newer.deb"
    call("dpkg-deb", "--root-owner-group", "-b", tree, result)
    return result


def run(world):
    package = world.package("arm64")
    packages = world.folder / "packages"
    packages.mkdir()
    shutil.copyfile(package, packages / "first.deb")
    newer(package, world.folder)
    lint = subprocess.run(["dpkg-deb", "-I", str(package)], capture_output=True, text=True)
    world.say(lint.stdout)
    begin = time.monotonic()
    root = debian.disk(world.cache)
    world.say(f"Debian's disk is there after {time.monotonic() - begin:.1f} s")
    disk = disk_of(packages, world.folder / "packages.raw", "packages")
    kernel, ramdisk = boot_files(world.build(VIRT), world.folder)
    with DebianGuest(world.folder, kernel, ramdisk, root, disk) as guest:
        world.say(f"Debian is up after {guest.machine.seconds:.1f} s")
        steps(world, guest)
    world.note(f"package {Path(package).stat().st_size / (1 << 20):.2f} MiB")


def files(guest):
    """Everything on the root file system that bears our name."""
    found = guest.run("find / -xdev -iname '*tombolo*' ! -path '/proc/*' ! -path '/var/lib/dpkg/*' ! -path '/var/log/*' | sort")
    return [line for line in found.split("\n") if line.startswith("/")]


def running(world, guest, when):
    """The service is active, and the box answers."""
    guest.run("for i in $(seq 60); do systemctl is-active -q tombolo && break; sleep 0.5; done; systemctl is-active -q tombolo", 60)
    state = guest.run("tombolo status --json", 30)
    world.check('"state":"running"' in state.replace(" ", ""), f"{when}: the service is active and the box answers")
    return re.search(r'"fingerprint":"([^"]+)"', state)[1]


def steps(world, guest):
    world.check(not files(guest), "before: nothing of ours is there")
    guest.run("dpkg -i /media/packages/first.deb", 180)
    fingerprint = running(world, guest, "installed")
    world.check(
        guest.run("systemctl is-enabled tombolo").strip().endswith("enabled"), "installed: it starts with the machine"
    )
    user = guest.run("ps -o user= -p $(systemctl show -p MainPID --value tombolo)").split()
    world.check("tombolo" in user, f"installed: it runs as its own user ({user})")
    guest.run("tombolo peer add kept --fingerprint SHA256:" + "AB" * 32)

    guest.run("dpkg -i /media/packages/newer.deb", 180)
    after = running(world, guest, "upgraded")
    world.check("+next" in guest.run("dpkg-query -W tombolo"), "upgraded: the new version is installed")
    world.check(after == fingerprint, "upgraded: it is the same box with the same keys")
    world.check("kept" in guest.run("tombolo peer list"), "upgraded: its configuration is kept")

    guest.run("systemctl restart tombolo", 60)
    running(world, guest, "restarted")

    guest.run("dpkg -r tombolo", 120)
    world.check("inactive" in guest.run("systemctl is-active tombolo", check=False), "removed: the service is stopped")
    world.check("kept" in guest.run("cat /etc/tombolo/tombolo.toml"), "removed: the configuration stays")
    guest.run("dpkg -P tombolo", 120)
    left = files(guest)
    world.check(not left, f"purged: nothing of ours is left: {' '.join(left) or 'nothing'}")
    failed = guest.run("systemctl --failed --plain --no-legend", check=False).strip()
    world.check("tombolo" not in failed, f"purged: no unit of ours has failed: {failed or 'none'}")
