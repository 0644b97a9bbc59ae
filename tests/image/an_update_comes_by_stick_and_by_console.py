"""Updates without a network: a stick with bundles is plugged in and the box does the rest by itself, once; at
the console an operator names a file, and only there may go back to an older release."""

from card import Stick
from console import Console
from guest import VIRT
from updates import Updated

ABOUT = "an update from a USB stick, and a downgrade from the console"
NEEDS = [VIRT]
SECONDS = 150


def run(world):
    # In the order of their names: the box passes over what it refuses.
    bundles = {"1-foreign.raucb": world.bundle("foreign"), "2-good.raucb": world.bundle("good")}
    stick = Stick.of(bundles, world.folder / "stick.raw")
    with Updated(world, [], usb=True) as box:
        by_stick(world, box, stick)
        by_console(world, box)


def by_stick(world, box, stick):
    machine = box.guest.machine
    machine.plug_in(stick.path)
    begin = box.guest.seconds
    box.starts("B", trial=True, timeout=180)
    world.say(f"installed and restarted by itself {box.guest.seconds - begin:.0f} s after the stick came in")
    box.flows()
    box.committed("B", 120)
    world.check(box.running() == ("B", True, "good"), f"the system from the stick runs: {box.running()}")
    # It is still in the box, and was looked at again.
    settled(box)
    report = (stick.get("TOMBOLO-REPORT.txt") or b"").decode(errors="replace")
    for name, words in (("1-foreign", "refused"), ("2-good", "was installed into slot B")):
        line = next((line for line in report.splitlines() if name in line), "")
        world.check(words in line, f"the report on the stick: {line.strip()[:160]}")
    world.check(box.card.state().get("trial") == "none", f"no bundle is taken twice: {box.card.state()}")
    machine.pull_out()
    world.note("from the stick: a foreign bundle passed over, a good one taken, and not twice")


def settled(box):
    """Waits until the stick was looked at in this boot and let go."""
    # It ends only after it has begun: the time of the end is 0 before.
    asked = "systemctl show -P ExecMainExitTimestampMonotonic tombolo-stick"
    box.guest.call(f"for i in $(seq 200); do [ $({asked}) != 0 ] && exit 0; sleep 0.5; done; exit 1", 120)
    box.guest.call("for i in $(seq 20); do mountpoint -q /run/tombolo-stick || exit 0; sleep 0.5; done; exit 1", 30)


def by_console(world, box):
    console = Console(world, box.guest)
    box.guest.copy_in(world.bundle("older"), "/data/older.raucb")
    console.ask("")
    before = box.card.states()
    console.refused("update /data/older.raucb", "older", 120)
    console.refused("update /data/nothing.raucb", timeout=60)
    world.check(box.card.states() == before, "what is refused changes nothing of the slot state")
    said = console.command("update /data/older.raucb downgrade", 240)
    world.check("0.0.1" in said, f"the console installs an older release when it is told to: {' '.join(said.split())[:160]}")
    state = box.card.state()
    world.check((state.get("good"), state.get("trial")) == ("B", "A"), f"slot A is on trial: {state}")
    # The box restarts by itself.
    box.starts("A", trial=True)
    box.flows()
    box.committed("A", 120)
    world.check(box.running()[2] == "older", "the older release runs and is committed")
    world.note("from the console: older release refused, taken with `downgrade`, committed")
