"""What U-Boot does on the other boards, GRUB does on a PC: a slot on trial spends its attempts, the committed one always
boots, damage is passed over. An update that works is taken, and it starts under UEFI as well."""

import time

from a_bad_update_rolls_back import rolls_back
from card import STATE_AT
from guest import ROUTER
from updates import SLOT_STARTS, Updated

ABOUT = "x86-64: update that panics rolled back, good one taken, damaged state and kernel, UEFI"
NEEDS = [ROUTER]
SECONDS = 260


def run(world):
    with Updated(world, ["panics", "good"], ROUTER) as box:
        rolls_back(world, box, "panics")
        box.install("good")
        box.restart()
        box.starts("B", trial=True)
        box.flows()
        box.committed("B", 120)
        card, host = box.card, box.host
        box.guest.call("sync")
        box.guest.kill()
        damaged(world, card)
        with world.guest(ROUTER, card, "uefi", uefi=True) as guest:
            found = guest.expect(SLOT_STARTS, 60)
            world.check(found[1] == "B", f"UEFI: GRUB starts the committed slot: {found[0].strip()}")
            host.wait_for("alpha", "flowing", 150)
            guest.wait_for_shell(60)
            world.check(guest.call("ls /sys/firmware/efi").strip(), "UEFI: the kernel was started by it")
            repaired = guest.call("tombolo slot show --json")
            world.check('"copies":["good","good"]' in repaired, f"UEFI: both copies are whole: {repaired.strip()}")


def starts(world, card, name, count=1):
    """What GRUB starts, power-on after power-on; the power goes before the kernel does anything."""
    said = []
    for number in range(count):
        with world.guest(ROUTER, card, f"{name}-{number + 1}") as guest:
            found = guest.expect(SLOT_STARTS, 60)
            said.append((found[1], found[2] == "1"))
            # Behind it the next slot's line, or the kernel.
            if guest.expect(SLOT_STARTS + "|Starting kernel", 60)[0].startswith("tombolo"):
                said.append("passed over")
                guest.expect("Starting kernel", 60)
            time.sleep(0.2)
    return said


def damaged(world, card):
    """State and kernel damaged from outside; in the end all is as it was, slot B committed."""
    states = [card.read(at, 512) for at in STATE_AT]
    world.check(states[0] == states[1], "both copies are equal before")

    def put(*copies):
        for at, copy in zip(STATE_AT, copies):
            card.write(at, copy)

    def state(word):
        text = f"# GRUB Environment Block\nstate={word}\nagain={word}\n".encode()
        return text.ljust(512, b"#")

    torn = state("A-0")[:34] + state("B-0")[34:]
    for first, second, wanted in ((torn, states[1], "B"), (states[0], torn, "B"), (b"\0" * 512, states[1], "B"), (torn, torn, "A")):
        put(first, second)
        found = starts(world, card, "state")
        world.check(found == [(wanted, False)], f"damaged copies ({first[25:45]!r}, {second[25:45]!r}): slot {wanted} starts: {found}")

    # A trial with one good copy: its attempts are spent all the same, and then it is over.
    put(torn, state("BA2"))
    found = starts(world, card, "trial", 3)
    world.check(found == [("A", True), ("A", True), ("B", False)], f"two attempts, then the committed slot: {found}")
    world.check(card.states()[0] == {"good": "B", "trial": "A", "left": "0"}, f"GRUB has written both copies: {card.states()}")

    # A kernel that is not what it was: its slot is not started, whatever state says.
    put(*states)
    # Files are packed in the order of their names, and those of /boot are the first.
    place = card.partitions()[3][0] + (3 << 20)
    whole = card.read(place, 4096)
    card.write(place, bytes(4096))
    found = starts(world, card, "kernel")
    world.check(found == [("B", False), "passed over"], f"the kernel of slot B is damaged: passed over: {found}")
    card.write(place, whole)
    put(*states)
