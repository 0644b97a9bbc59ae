"""Updates that are signed and fail all the same: the daemon crashes, the kernel panics, the peer is not reached any
more. Nobody touches the box; it comes back with the system of before."""

from guest import VIRT
from updates import SLOT_STARTS, Updated

ABOUT = "an update whose daemon crashes, whose kernel panics, whose peer stays silent: rolled back"
NEEDS = [VIRT]
SECONDS = 330


def run(world):
    names = ["panics", "crashes", "deaf"]
    with Updated(world, names) as box:
        for name in names:
            rolls_back(world, box, name)


def rolls_back(world, box, name):
    """Shared with the scenario of the router."""
    before = box.guest.call("cat /etc/tombolo/tombolo.toml")
    box.install(name)
    begin = box.guest.seconds
    box.restart()
    box.starts("B", trial=True)
    attempts = 1
    while (found := box.guest.expect(SLOT_STARTS, 240))[1] == "B":
        world.check(found[2] == "1", f"{name}: slot B is only ever tried: {found[0].strip()}")
        attempts += 1
        world.check(attempts <= 3, f"{name}: attempt {attempts}")
    world.check(found[2] == "0", f"{name}: slot A is started as the good one: {found[0].strip()}")
    box.flows()
    took = box.guest.seconds - begin
    world.check(box.running() == ("A", False, ""), f"{name}: the system of before runs: {box.running()}")
    world.check(box.card.state().get("good") == "A", f"{name}: slot A is the good one: {box.card.state()}")
    world.check(box.guest.call("cat /etc/tombolo/tombolo.toml") == before, f"{name}: the configuration is as it was")
    world.note(f"{name}: flowing again on the old system {took:.0f} s after the restart, {attempts} attempts")
