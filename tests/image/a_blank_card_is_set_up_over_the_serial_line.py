"""A blank card, a serial cable, six answers: the link flows. Every prompt takes broken input and asks again. What was
committed for a trial goes back by itself, also when the power goes."""

import re
import time

from console import Console
from guest import VIRT

ABOUT = "first setup over the serial line from a blank card to flowing; broken input; commit confirm reverts"
NEEDS = [VIRT]
SECONDS = 110
REVERT = 20


def run(world):
    with world.host_box("bravo") as host:
        card = world.card(VIRT)
        with world.guest(VIRT, card) as guest:
            console = Console(world, guest)
            first_setup(world, host, console)
            commands(world, console)
            reverts(world, host, console)
            console.command("set peer.bravo.address 10.0.2.2:1")
            console.command("commit confirm 1h", 90)
            world.say("the power goes while a commit is not confirmed")
        with world.guest(VIRT, card, "after") as guest:
            console = Console(world, guest)
            guest.expect(r"alpha +tombolo ", 120)
            guest.expect("tombolo> ", 60)
            seen = console.command("show config")
            world.check(host.address in seen, "what was not confirmed is gone after the power cut")
            host.wait_for("alpha", "flowing", 120)


def first_setup(world, host, console):
    guest = console.guest
    opening = guest.expect(r"1/6 [^\r\n]*?> ", 120)
    begin = guest.seconds
    # The banner has what the peer's administrator needs: he registers us before we dial.
    fingerprint = re.search(r"certificate\s+(SHA256:[0-9A-F]{64})", console.serial.text)
    world.check(fingerprint, "the banner shows the box's fingerprint")
    host.admit("alpha", fingerprint=fingerprint[1])
    world.say(f"the first question comes {guest.machine.at(opening):.1f} s after power-on")
    broken(world, host, console)

    # From the first question, as somebody would who knows what to answer.
    console.answer(1, "alpha", 2)
    console.answer(2, "dhcp", 3)
    console.answer(3, host.address, 4)
    text = console.answer(4, host.ca.strip().replace("\n", "\r"), 5)
    world.check(host.authority in text.replace("\n", "").replace(" ", ""), "the pasted CA's fingerprint is shown")
    text = console.answer(5, "", 6)
    world.check("bravo" in text and host.address in text, "the summary shows name and address of the peer")
    said = console.command("yes", 120)
    world.say(said)
    world.check(fingerprint[1] in said, "the box shows its fingerprint for the peer's administrator again")
    world.check("-----BEGIN CERTIFICATE-----" in said, "the box shows its CA")
    host.wait_for("alpha", "flowing", 120)
    console.command("confirm")
    world.note(f"from the first question to flowing {guest.seconds - begin:.1f} s, broken answers included")
    world.check(" flowing" in console.command("show status"), "the console says flowing")


def broken(world, host, console):
    """Every question: nonsense, too much, control characters, half a certificate. The box stays where it was."""
    pem = host.ca.strip().splitlines()
    console.bad_answer(1, "x" * 65)
    console.bad_answer(1, "al\x1b[Apha")
    console.bad_answer(1, "x" * 2000)
    console.answer(1, "alpha", 2)
    console.bad_answer(2, "maybe")
    console.bad_answer(2, "300.1.1.1/24")
    console.bad_answer(2, "10.0.0.2/24 router")
    console.answer(2, "keep", 3)
    console.bad_answer(3, "bad host:1")
    console.bad_answer(3, "10.0.2.2:99999")
    console.answer(3, host.address, 4)
    console.bad_answer(4, "SHA256:nonsense")
    console.bad_answer(4, "-----BEGIN PRIVATE KEY-----\rAAAA\r-----END PRIVATE KEY-----")
    console.bad_answer(4, "\r".join([pem[0], pem[1][:-4] + "!!!!", *pem[2:]]))
    console.bad_answer(4, "\r".join([*pem[:3], "back"]))
    console.answer(4, "\r".join(pem), 5)
    console.bad_answer(5, "y" * 70)
    console.answer(5, "", 6)
    console.bad_answer(6, "perhaps")
    console.bad_answer(6, "")
    text = console.answer(6, "no", 1)
    world.check("first question" in text, "no at the end begins again")
    # Ctrl-C leaves the guide and changes nothing; `setup` brings it back.
    console.serial.skip()
    console.guest.send("\x03")
    console.guest.expect("tombolo> ", 30)
    world.check("[[peer]]" not in console.command("show config"), "Ctrl-C in the guide changes nothing")
    console.ask("setup", r"1/6 [^\r\n]*?> ")


def commands(world, console):
    """What is no command, and what cannot be set."""
    console.refused("shwo status", "did you mean show")
    console.refused("set limits.max_clients many")
    console.refused("set node.colour red")
    console.refused('set node.name "open')
    console.refused("commit confirm soon")
    console.refused("peer remove nobody")
    console.refused("\x07\x01\x02")
    console.refused("z" * 2000)
    console.command("show certs")
    console.command("show clock")
    console.command("help")


def reverts(world, host, console):
    """An address that leads nowhere, taken over for some seconds: the link goes, and comes back by itself."""
    console.command("set peer.bravo.address 10.0.2.2:1")
    said = console.command(f"commit confirm {REVERT}s", 90)
    world.check("NOT CONFIRMED" in said, "the console says that a confirmation is waited for")
    begin = time.monotonic()
    while host.peer("alpha")["state"] in ("flowing", "connected"):
        world.check(time.monotonic() - begin < REVERT, "the new address counts: the link goes down")
        time.sleep(0.2)
    host.wait_for("alpha", "flowing", REVERT + 90)
    took = time.monotonic() - begin
    world.check(took >= REVERT * 0.5, f"the link was down until the configuration of before came back ({took:.0f} s)")
    world.check(host.address in console.command("show config"), "the address of before is back")
    world.note(f"commit confirm {REVERT}s reverted, flowing again after {took:.0f} s")

    console.command("set peer.bravo.keepalive_seconds 77")
    console.command(f"commit confirm {REVERT}s", 90)
    console.command("confirm")
    time.sleep(REVERT + 3)
    world.check("keepalive_seconds = 77" in console.command("show config"), "what was confirmed stays")
    console.command("rollback", 90)
    world.check("keepalive_seconds = 77" not in console.command("show config"), "rollback brings back what was before")
