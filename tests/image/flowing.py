"""Boots a provisioned box next to a second one until the link flows; shared by the boards."""

from card import call
from guest import ROUTER, VIRT
from slots import SlotImage, initramfs, wrapped

MEBIBYTE = 1 << 20
MOST_RAM = 64 * MEBIBYTE
MOST_DAEMON = 5 * MEBIBYTE
MOST_COMPRESSED = 96 * MEBIBYTE

KERNEL_STARTS = r"Starting kernel"


def memory_in_use(guest):
    """MemTotal - MemAvailable of the whole system, bytes."""
    lines = guest.call("cat /proc/meminfo").splitlines()
    values = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if ":" in line}
    return values["MemTotal"] - values["MemAvailable"]


def boots_to_flowing(world, board, timeout, prepare=None, kernel_arguments=""):
    """Power on to `flowing`; what is asked of the box meanwhile is left to `prepare(guest, host)`."""
    with world.host_box("bravo") as host:
        card = world.card(board)
        if kernel_arguments:
            card.put_text(f"tombolo_arguments={kernel_arguments}\n", "kernel-arguments.txt", world.folder)
        alpha = world.provision(card, "alpha", host)
        host.admit("alpha", ca=alpha.ca)
        with world.guest(board, card, trace=True) as guest:
            kernel = guest.machine.at(guest.expect(KERNEL_STARTS, timeout / 2))
            world.say(f"the kernel starts after {kernel:.1f} s")
            if prepare:
                prepare(guest, host)
            host.wait_for("alpha", "flowing", timeout)
            flowing = guest.seconds
            world.say(f"flowing after {flowing:.1f} s")
            guest.wait_for_shell(timeout)
            guest.wait_for_peer("bravo", "flowing", 30)
            judge(world, guest, board)
            if guest.lamp:
                seen = guest.wait_for_led("steady", 60)
                world.say(f"LED: {seen}")
            guest.call("poweroff", check=False)
            if board in (VIRT, ROUTER):
                guest.machine.wait_off(60)
            else:  # a Raspberry Pi cannot switch itself off
                guest.expect("reboot: (System halted|Power down)", 60)
        consumed(world, card, alpha)
    world.note(f"power-on to flowing {flowing:.1f} s; kernel to flowing {flowing - kernel:.1f} s")
    if board == ROUTER:  # its boot loader takes the kernel out of the squashfs
        return
    empty = empty_userland(world, board, timeout)
    world.note(f"the same kernel with an empty userland: power-on to its end {empty[1]:.1f} s; kernel {empty[1] - empty[0]:.1f} s")


def consumed(world, card, alpha):
    """What provisioning left on the FAT partition: no key, and what a peer's administrator needs."""
    names = card.names("tombolo")
    secret = alpha.key.splitlines()[1].encode()
    begin, length = card.partitions()[1]
    world.check("node.key" not in " ".join(names), "the key is gone from the FAT partition")
    world.check(secret not in card.read(begin, length), "no block of the FAT partition holds the key any more")
    world.check(card.get("tombolo/outbox/ca.pem") == alpha.ca.encode(), "the box's CA is in the outbox")
    report = (card.get("tombolo/TOMBOLO-REPORT.txt") or b"").decode(errors="replace")
    world.check(report.strip(), f"a report is written: {' '.join(report.split())[:200]}")


def judge(world, guest, board):
    """Sizes, and that nothing failed on the way up."""
    used = memory_in_use(guest)
    daemon = int(guest.call("stat -c %s /usr/bin/tombolo"))
    resident = int(guest.call("awk '/VmRSS/{print $2}' /proc/$(pidof tombolo | tr ' ' '\\n' | sort -n | head -1)/status"))
    world.note(
        f"RAM in use at flowing {used / MEBIBYTE:.1f} MiB, daemon {daemon / MEBIBYTE:.2f} MiB on disk"
        f" and {resident / 1024:.1f} MiB resident"
    )
    failed = guest.call("systemctl --failed --plain --no-legend").strip()
    world.check(not failed, f"no unit failed: {failed or 'none'}")
    if board == VIRT:  # elsewhere the kernel sets memory aside for the video core
        world.check(used <= MOST_RAM, f"RAM in use is at most {MOST_RAM // MEBIBYTE} MiB: {used / MEBIBYTE:.1f}")
    if board != ROUTER:  # its image for tests has the program of the tests, built for looking into it
        world.check(daemon <= MOST_DAEMON, f"the daemon is at most {MOST_DAEMON // MEBIBYTE} MiB: {daemon / MEBIBYTE:.2f}")
        compressed = world.build(board).compressed.stat().st_size
        text = f"the compressed image is at most {MOST_COMPRESSED // MEBIBYTE} MiB: {compressed / MEBIBYTE:.1f}"
        world.check(compressed <= MOST_COMPRESSED, text)
        world.note(f"image compressed {compressed / MEBIBYTE:.1f} MiB")
    root = guest.call("findmnt -no FSTYPE,OPTIONS / || grep ' / ' /proc/mounts")
    world.check("squashfs" in root and " ro" in f" {root}".replace(",", " "), f"the root is a read-only squashfs: {root.strip()}")


def empty_userland(world, board, timeout):
    """(kernel starts, first program runs) of the same card, the same kernel, and an init that does nothing."""
    program = world.folder / "empty"
    call("aarch64-linux-gnu-gcc", "-Os", "-static", "-s", "-o", program, world.here / "empty_init.c")
    image = SlotImage(world.build(board).slot)
    files = {"dev": (0o40755, b""), "init": (0o100755, program.read_bytes())}
    image.parts["ramdisk"] = wrapped(image.parts["ramdisk"], initramfs(files))
    slot = image.write(image.path, world.folder / "empty.raw")
    card = world.card(board, "empty")
    card.write(card.partitions()[2][0], slot.read_bytes())
    with world.guest(board, card, "empty") as guest:
        kernel = guest.machine.at(guest.expect(KERNEL_STARTS, timeout / 2))
        done = guest.machine.at(guest.expect("EMPTY-USERLAND", timeout / 2))
    return kernel, done
