"""The power goes at random moments of boot, configuration save and update. The box always starts again, with the
configuration of before or after, and with a slot state that says what to start.

The power cut is SIGKILL to QEMU; the card is written through (cache=writethrough). One card lives through many cuts. A
keepalive of the peer serves as a mark: it is counted up, one save after the other, and the box says each number only
when it has answered that the save is done. What it said must be there afterwards; at most one more may be.
"""

import re
import subprocess
import threading
import time

from guest import VIRT
from machine import Trouble
from updates import bundle_disk, mount_bundles

ABOUT = "power cut at random moments (--power-cuts N)"
NEEDS = [VIRT]

# Of every ten cuts: what is under way.
TURNS = ["boot", "save", "boot", "save", "update", "boot", "save", "boot", "save", "update"]
BOOT = 14.0
UP = 150


def SECONDS(options):
    return 60 + 20 * options.power_cuts


def run(world):
    lines = max(1, min(2, world.options.jobs, world.options.power_cuts))
    share = [world.options.power_cuts // lines + (number < world.options.power_cuts % lines) for number in range(lines)]
    disk, outcomes = bundle_disk(world, ["good", "better"]), []
    # Made once, before the lines that share it.
    world.ssh_key()
    threads = [threading.Thread(target=_line, args=(world, number, cuts, disk, outcomes)) for number, cuts in enumerate(share)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trouble = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    if trouble:
        raise trouble[0]
    counts = {}
    for done in outcomes:
        for what, count in done.items():
            counts[what] = counts.get(what, 0) + count
    world.note(f"{sum(counts.values())} cuts survived: " + ", ".join(f"{count} of {what}" for what, count in sorted(counts.items())))


def _line(world, number, cuts, disk, outcomes):
    try:
        outcomes.append(Line(world, number, disk).run(cuts, outcomes))
    except BaseException as why:
        world.say(f"line {number}: {type(why).__name__}: {why}")
        outcomes.append(why)


class Line:
    """One card and its cuts."""

    def __init__(self, world, number, disk):
        self.world, self.number = world, number
        self.random = type(world.random)(f"{world.options.seed}/{number}")
        self.card = world.card(VIRT, f"line-{number}")
        self.host = world.host_box(f"bravo-{number}")
        self.fingerprint = world.provision(self.card, f"alpha-{number}", self.host).fingerprint
        self.mark, self.possible = None, None
        self.disk, self.boots, self.updates = disk, 0, 0

    def say(self, text):
        self.world.say(f"line {self.number}: {text}")

    def guest(self):
        self.boots += 1
        return self.world.guest(VIRT, self.card, f"line-{self.number}-{self.boots}", processors=1, cache="writethrough", disk=self.disk)

    def run(self, cuts, outcomes):
        done = {}
        guest = self.up()
        try:
            self.start_marks(guest)
            for cut in range(cuts):
                if any(isinstance(outcome, BaseException) for outcome in outcomes):
                    break  # the other line failed: nothing is won by going on
                turn = TURNS[(cut + 5 * self.number) % len(TURNS)]
                if turn == "boot":
                    guest.call("sync")
                    guest.kill()
                    guest = self.cut_boot()
                elif turn == "save":
                    guest = self.cut_save(guest)
                else:
                    guest = self.cut_update(guest)
                self.judge(guest, turn)
                done[turn] = done.get(turn, 0) + 1
        finally:
            guest.kill()
        return done

    def up(self):
        """Boots, and waits until the box can be asked."""
        guest = self.guest()
        guest.machine.start()
        try:
            guest.wait_for_shell(UP)
            guest.wait_for_daemon(UP)
        except BaseException:
            guest.kill()
            raise
        return guest

    def start_marks(self, guest):
        guest.call("tombolo peer set bravo-%d --keepalive-seconds 1000" % self.number)
        self.mark, self.possible = 1000, {1000}

    def cut_boot(self):
        """Power on, and off again before or shortly after the box is up."""
        moment = self.random.uniform(0.0, BOOT)
        with self.guest() as guest:
            time.sleep(moment)
        self.say(f"cut {moment:.2f} s into the boot")
        return self.up()

    def cut_save(self, guest):
        """Saves without end, until the power goes."""
        first = self.mark + 1
        peer = f"bravo-{self.number}"
        loop = f"n={first}; while tombolo peer set {peer} --keepalive-seconds $n >/dev/null; do echo SAVED $n; n=$((n+1)); done"
        words, said = guest.ssh_words(loop), []
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        reader = threading.Thread(target=lambda: said.extend(child.stdout), daemon=True)
        reader.start()
        end = time.monotonic() + 20
        while not said and time.monotonic() < end:
            time.sleep(0.05)
        moment = self.random.uniform(0.0, 3.0)
        time.sleep(moment)
        guest.kill()
        child.kill()
        child.wait()
        reader.join(5)
        numbers = [int(found[1]) for line in said if (found := re.match(rb"SAVED (\d+)", line))]
        if not numbers:
            raise Trouble("not one save was answered within 20 s")
        # What was on its way to us when the power went is not in our list.
        self.possible = set(range(numbers[-1], numbers[-1] + 3))
        self.say(f"cut {moment:.2f} s into the saves, {len(numbers)} answered, the last was {numbers[-1]}")
        return self.up()

    def cut_update(self, guest):
        """An update on its way: being written, being booted, or on probation."""
        self.updates += 1
        path = f"{mount_bundles(guest)}/{('good', 'better')[self.updates % 2]}.raucb"
        # What an operator does: install, and restart when it is done.
        words = guest.ssh_words(f"tombolo update install --allow-downgrade --restart {path}")
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        moment = self.random.uniform(0.0, 45.0)
        time.sleep(moment)
        guest.kill()
        child.kill()
        child.wait()
        self.say(f"cut {moment:.2f} s into the update: slot state {self.card.states()}")
        return self.up()

    def judge(self, guest, turn):
        """What must hold after every cut."""
        states = self.card.states()
        if states != [None, None] and not any(states):
            raise Trouble(f"no valid slot state after a cut of {turn}: {states}")
        status = guest.wait_for_daemon(UP)
        if status["node"]["fingerprint"] != self.fingerprint:
            raise Trouble(f"after a cut of {turn} the box is somebody else: {status['node']['fingerprint']}")
        text = guest.call("cat /etc/tombolo/tombolo.toml")
        found = re.search(r"keepalive_seconds = (\d+)", text)
        if not found or int(found[1]) not in self.possible:
            raise Trouble(f"after a cut of {turn} the configuration is neither the old nor the new: {text!r}")
        self.mark = int(found[1])
        self.possible = {self.mark}
        slot = guest.call("cat /proc/cmdline")
        self.say(f"up again after a cut of {turn}: mark {self.mark}, {' '.join(re.findall('tombolo.[a-z]+=.', slot))}")
