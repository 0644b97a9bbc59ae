"""A box that is updated: what the scenarios of updates share."""

import os
import shutil
import time

from card import disk_of
from guest import VIRT
from machine import PATIENCE, Trouble

SLOT_STARTS = r"tombolo: slot ([AB]), trial ([01])[^\r\n]*\r?\n"
MARK = "/usr/lib/tombolo/test-variant"


def bundle_disk(world, names, board=VIRT):
    """A second disk with these bundles: quicker than copying them over the network."""
    folder = world.folder / "bundles"
    folder.mkdir(exist_ok=True)
    for name in names:
        os.link(world.bundle(name, board), folder / f"{name}.raucb")
    disk = disk_of(folder, world.folder / "bundles.raw", "bundles")
    shutil.rmtree(folder)
    return disk


def mount_bundles(guest):
    """Mounts it, where it is not yet; its folder."""
    guest.call("mountpoint -q /tmp/bundles || { mkdir -p /tmp/bundles && mount -o ro LABEL=bundles /tmp/bundles; }")
    return "/tmp/bundles"


class Updated:
    """A provisioned box next to a second one, flowing. Use it with `with`."""

    def __init__(self, world, bundles, board=VIRT, usb=False):
        self.world, self.board = world, board
        disk = bundle_disk(world, bundles, board) if bundles else None
        self.host = world.host_box("bravo")
        self.card = world.card(board)
        self.alpha = world.provision(self.card, "alpha", self.host)
        self.host.admit("alpha", ca=self.alpha.ca)
        self.guest = world.guest(board, self.card, disk=disk, usb=usb)

    def __enter__(self):
        self.host.start()
        self.guest.__enter__()
        try:
            self.starts("A", trial=False)
            self.flows()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.guest.kill()
        self.host.stop()

    def starts(self, slot, trial, timeout=120):
        """The next slot that U-Boot starts."""
        found = self.guest.expect(SLOT_STARTS, timeout)
        self.world.check(
            (found[1], found[2]) == (slot, "1" if trial else "0"),
            f"U-Boot starts slot {slot}{' on trial' if trial else ''}: {found[0].strip()}",
        )

    def flows(self, timeout=120):
        """The link comes to flow (again), and the shell is there."""
        self.guest.wait_for_shell(timeout)
        self.guest.wait_for_peer("bravo", "flowing", timeout)
        self.host.wait_for("alpha", "flowing", timeout)

    def running(self):
        """(slot, on trial, variant) as the box itself sees it."""
        words = dict(word.split("=", 1) for word in self.guest.call("cat /proc/cmdline").split() if "=" in word)
        mark = self.guest.call(f"cat {MARK} 2>/dev/null", check=False).strip()
        return words["tombolo.slot"], words["tombolo.trial"] == "1", mark

    def hand_over(self, name, options=""):
        """Asks for the bundle to be installed: (exit code, what the box said)."""
        path = mount_bundles(self.guest) + f"/{name}.raucb"
        begin = time.monotonic()
        said = self.guest.call(f"tombolo update install {options} {path} 2>&1; echo code=$?", 300)
        said, _, code = said.strip().rpartition("code=")
        self.world.say(f"handing over {name} took {time.monotonic() - begin:.1f} s: {said.strip()}")
        return int(code), said

    def install(self, name, options=""):
        """The bundle is installed."""
        code, said = self.hand_over(name, options)
        if code:
            raise Trouble(f"the bundle {name} is not installed: exit code {code}: {said}")

    def refuses(self, name, *words):
        """The bundle is refused in one of these words, and nothing has changed."""
        before = self.card.states()
        code, said = self.hand_over(name)
        self.world.check(code != 0, f"the bundle {name} is refused: exit code {code}")
        self.world.check(any(word in said for word in words), f"the bundle {name} is refused in words: {said.strip()}")
        self.world.check(self.card.states() == before, f"the bundle {name} changes nothing of the slot state: {before}")

    def restart(self):
        """Restarts the box in order."""
        self.guest.machine.serial.skip()
        self.guest.call("systemctl reboot", check=False)

    def committed(self, slot, timeout):
        """The slot comes to be the committed one, and no trial is left."""
        end = time.monotonic() + timeout * PATIENCE
        while True:
            state = self.card.state()
            if state.get("good") == slot and state.get("trial", "none") == "none":
                return
            if time.monotonic() > end:
                journal = self.guest.call("systemctl status tombolo-health; journalctl -b -u tombolo-health --no-pager", check=False)
                raise Trouble(f"slot {slot} is not committed within {timeout:.0f} s, but {state}: {journal}")
            time.sleep(0.5)
