"""The LED's line, read from outside the guest, decodes to what the box does: from a blank card to a killed daemon."""

import time

import led
from guest import VIRT
from host import HostBox
from led_decode import WINDOW_S, decode
from machine import PATIENCE

ABOUT = "the GPIO line decodes to booting, provisioning, retrying, flowing, faults, paused, dark, dead, safe mode"
NEEDS = [VIRT]
SECONDS = 360

# Ends of short boots: after so many in a row the box starts in safe mode.
SHORT_BOOTS = 3


def run(world):
    blank(world)
    host = world.host_box("bravo")
    card = world.card(VIRT)
    alpha = world.provision(card, "alpha", host)
    with world.guest(VIRT, card, trace=True) as guest:
        alive(world, guest, host, alpha)
        with_dead_daemon(world, guest, host)
    safe_mode(world, card)


def shown(world, guest, what, word, timeout=60):
    """The LED comes to show that pattern."""
    seen = guest.wait_for_led(word, timeout)
    world.check(seen[-1] == word, f"{what}: the LED shows {word} (looks: {' '.join(seen)})")


def booting_pattern(world, guest):
    """Between the kernel's first hold of the LED and the daemon's: the pattern for booting, in some part of the watch."""
    samples, found, end = [], set(), time.monotonic() + 60 * PATIENCE
    while "fast" not in found and time.monotonic() < end:
        begin = samples[-1][0] if samples else 0.0
        samples += [(begin + seconds, lit) for seconds, lit in guest.lamp.watch(4, pause=0.01)]
        recent = samples[-400:]
        for first in range(0, len(recent), 20):
            start = recent[first][0]
            found.add(decode([sample for sample in recent[first:] if sample[0] < start + 2.0]))
    world.check("fast" in found, f"booting: the LED shows fast for some 2 s (seen: {' '.join(sorted(found))})")
    return samples


def blank(world):
    """A card as it comes: booting, then waiting to be provisioned."""
    with world.guest(VIRT, world.card(VIRT, "blank"), "blank", trace=True) as guest:
        guest.expect("Starting kernel", 60)
        samples = booting_pattern(world, guest)
        shown(world, guest, "a blank card", "double")
        # Two records of one line: what the control socket read, and what QEMU logged.
        edges = [edge for edge in led.traced_edges(guest.machine.path("trace")) if edge[1] == guest.lamp.bit]
        seen = sum(1 for one, other in zip(samples, samples[1:]) if one[1] != other[1])
        world.check(len(edges) >= seen * 0.9, f"QEMU's own log has these changes too: {len(edges)} logged, {seen} sampled")


def alive(world, guest, host, alpha):
    """A provisioned box through what can become of its link."""
    guest.wait_for_shell(120)
    shown(world, guest, "nobody answers at the peer's address", "blinks_4")
    host.start()
    host.admit("alpha", ca=alpha.ca)
    host.wait_for("alpha", "flowing", 90)
    shown(world, guest, "flowing", "steady")

    guest.call("tombolo peer pause bravo")
    shown(world, guest, "paused by the operator", "off")
    guest.call("tombolo peer resume bravo")
    host.wait_for("alpha", "flowing", 90)
    shown(world, guest, "resumed", "steady")

    dark(world, guest, host)

    # Somebody else answers at the peer's address: another CA.
    host.stop()
    stranger = HostBox(world.program, world.folder / "stranger", "bravo", port=host.port)
    with stranger:
        shown(world, guest, "the peer shows a certificate of another CA", "blinks_5", 90)
    host.start()
    host.wait_for("alpha", "flowing", 120)
    shown(world, guest, "the right peer is back", "steady")

    # Every attempt is retried: between refusals the box says so before it calls it a fault.
    host.stop()
    samples, windows, end = [], set(), time.monotonic() + WINDOW_S
    while "medium" not in windows and time.monotonic() < end:
        samples = guest.lamp.watch(5)
        windows |= {decode([sample for sample in samples if begin <= sample[0] < begin + 4]) for begin in (0, 0.5, 1)}
    world.check("medium" in windows, f"the peer is gone: the LED shows medium while it is tried again (seen: {windows})")
    host.start()
    host.wait_for("alpha", "flowing", 120)


def dark(world, guest, host):
    """Light discipline: nothing to see, and the link flows."""
    guest.call("printf '\\n[led]\\nmode = \"dark\"\\n' >> /etc/tombolo/tombolo.toml && systemctl restart tombolo")
    host.wait_for("alpha", "flowing", 120)
    shown(world, guest, "dark, and the link flows", "off")
    still = guest.lamp.watch(5)
    world.check(not any(lit for _, lit in still), "dark: not one flash")
    world.check(host.peer("alpha")["state"] == "flowing", "dark: the link flows")
    guest.call("sed -i 's/^mode = \"dark\"/mode = \"status\"/' /etc/tombolo/tombolo.toml && systemctl restart tombolo")
    host.wait_for("alpha", "flowing", 120)
    shown(world, guest, "status again", "steady")


def with_dead_daemon(world, guest, host):
    """Nobody drives the LED any more: the kernel goes on by itself and shows the fault."""
    host.wait_for("alpha", "flowing", 120)
    shown(world, guest, "before the daemon dies", "steady")
    process = guest.call("systemctl show -p MainPID --value tombolo").strip()
    # Else the watchdog ends it 15 to 30 s later, before a look at the pattern is over.
    guest.call(f"systemctl service-watchdogs no && kill -STOP {process}")
    begin = time.monotonic()
    shown(world, guest, "the daemon hangs", "blinks_10", 40)
    world.say(f"known after {time.monotonic() - begin:.0f} s at most")
    guest.call("systemctl mask --runtime tombolo && kill -KILL $(pidof tombolo)", check=False)
    time.sleep(8)
    shown(world, guest, "the daemon is killed and not started again", "blinks_10", 60)
    guest.call("systemctl service-watchdogs yes; systemctl unmask --runtime tombolo && systemctl reset-failed; systemctl start tombolo")
    host.wait_for("alpha", "flowing", 120)
    shown(world, guest, "the daemon is back", "steady")
    # An end in order: what is counted next are the short boots only.
    guest.call("systemctl stop tombolo && sync")


def safe_mode(world, card):
    """Cut off shortly after the start, again and again: the box leaves its links alone and says so."""
    for count in range(SHORT_BOOTS):
        with world.guest(VIRT, card, f"short-{count + 1}") as guest:
            # The console says it as soon as the daemon answers.
            state = guest.expect(r"\nstate +([^\r\n]+)[\r\n]", 180)[1]
            world.check(state.startswith("running"), f"boot {count + 1} is an ordinary one: {state}")
    with world.guest(VIRT, card, "safe") as guest:
        guest.wait_for_shell(120)
        state = guest.wait_for_daemon(60)["node"]["state"]
        world.check(state == "safe", f"after {SHORT_BOOTS} short boots the box is in safe mode: {state}")
        shown(world, guest, "safe mode", "flicker")
