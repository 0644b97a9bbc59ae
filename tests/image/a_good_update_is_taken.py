"""A signed update that works is installed, started on trial, and committed once the peer flows again. Bundles that are
signed by somebody else, damaged, or older than what runs are refused."""

from guest import VIRT
from updates import Updated

ABOUT = "a signed update is taken; a foreign, damaged or older one is refused"
NEEDS = [VIRT]
SECONDS = 200


def run(world):
    with Updated(world, ["foreign", "older", "damaged", "good", "better"]) as box:
        slot, trial, _ = box.running()
        world.check((slot, trial) == ("A", False), "at first the box runs slot A, not on trial")
        box.refuses("foreign", "signature")
        box.refuses("older", "older", "downgrade")
        box.refuses("damaged", "failed")

        before = box.guest.call("cat /etc/tombolo/tombolo.toml")
        box.install("good")
        state = box.card.state()
        world.check((state.get("good"), state.get("trial")) == ("A", "B"), f"installed: B is on trial, A is good: {state}")
        box.restart()
        box.starts("B", trial=True)
        box.flows()
        box.committed("B", 120)
        world.check(box.running() == ("B", True, "good"), f"the new system runs: {box.running()}")
        world.check(box.guest.call("cat /etc/tombolo/tombolo.toml") == before, "the configuration is as it was")

        box.restart()
        box.starts("B", trial=False)
        box.flows()
        world.check(box.running() == ("B", False, "good"), f"the new system stays: {box.running()}")

        # The other slot is used in its turn.
        box.install("better")
        box.restart()
        box.starts("A", trial=True)
        box.flows()
        box.committed("A", 120)
        world.check(box.running()[2] == "better", "an update of the update is taken too")
