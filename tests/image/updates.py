"""A box that is updated: what the scenarios of updates share."""

import time

from guest import VIRT
from machine import PATIENCE, Trouble

SLOT_STARTS = r"tombolo: slot ([AB]), trial ([01])[^\r\n]*\r?\n"
MARK = "/usr/lib/tombolo/test-variant"


class Updated:
    """A provisioned box next to a second one, flowing. Use it with `with`."""

    def __init__(self, world):
        self.world = world
        self.host = world.host_box("bravo")
        self.card = world.card(VIRT)
        self.alpha = world.provision(self.card, "alpha", self.host)
        self.host.admit("alpha", ca=self.alpha.ca)
        self.guest = world.guest(VIRT, self.card)

    def __enter__(self):
        self.host.start()
        self.guest.__enter__()
        self.starts("A", trial=False)
        self.flows()
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

    def install(self, name, options=""):
        """Hands over the bundle; what the box said, or a Trouble when it refuses."""
        self.guest.copy_in(self.world.bundle(name), "/data/update.raucb")
        begin = time.monotonic()
        said = self.guest.call(f"tombolo update install {options} /data/update.raucb", 300)
        self.world.say(f"installing {name} took {time.monotonic() - begin:.1f} s: {said.strip()}")
        return said

    def refuses(self, name, words):
        """The bundle is refused, in these words, and nothing has changed."""
        before = self.card.states()
        try:
            self.install(name)
        except Trouble as why:
            said = str(why)
        else:
            raise Trouble(f"the bundle {name} was taken")
        self.world.check(any(word in said for word in words), f"the bundle {name} is refused in words: {said[-400:]}")
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
