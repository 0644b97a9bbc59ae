"""The box in the emulator: how QEMU is started on each board, and what can be asked of the box from inside."""

import json
import os
import shlex
import subprocess
import time

import led
from host import free_port
from machine import PATIENCE, Machine, Trouble

VIRT = "qemu-aarch64"
RASPI = "rpi3-64"
ROUTER = "x86-64-router"

# The firmware of a PC that starts by UEFI; without it QEMU brings a BIOS.
UEFI = "/usr/share/OVMF/OVMF_CODE_4M.fd"

# Patterns that five seconds tell from all others.
QUICKLY_SEEN = ("steady", "off", "fast", "flicker", "medium", "double")


def arguments(build, card, ports, processors=2, cache="writeback", trace=False, disk=None, uefi=False, usb=False):
    """QEMU's command line, as `scripts/image` wrote it down. `ports`: host port -> port of the guest."""
    places = {
        "dir": build.folder,
        "card": os.path.abspath(card),
        "forward": "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}" for host, guest in ports.items()),
    }
    how = json.loads(build.file("qemu.json").read_text())
    words = []
    for part in ("machine", "boot", "card", "network", "further"):
        # In front of the card: QEMU gives the first place to what comes last.
        if part == "card" and disk:
            words += ["-drive", f"if=none,id=second,format=raw,readonly=on,file={disk}"]
            words += ["-device", f"virtio-blk-{'pci' if build.board == ROUTER else 'device'},drive=second"]
        words += [word.format(**places) for word in how[part]]
    words = [f"{word},cache={cache}" if word.startswith(f"file={places['card']}") else word for word in words]
    if usb:
        words += ["-device", "qemu-xhci,id=usb"]
    if uefi:
        words += ["-drive", f"if=pflash,format=raw,readonly=on,file={UEFI}"]
    if "-smp" in words:
        words[words.index("-smp") + 1] = str(processors)
    return words + (["-trace", "pl061_set_output"] if trace and build.board == VIRT else []), how


class Guest:
    """The box on a card. Use it with `with`; leaving is a power cut."""

    def __init__(self, world, board, card, name="guest", **more):
        self.world, self.board, self.card = world, board, card
        self.ssh_port, self.federation_port = free_port(), free_port()
        ports = {self.ssh_port: 22, self.federation_port: 9001}
        command, how = arguments(world.build(board), card.path, ports, **more)
        # Lines in front of the one that the console is on.
        before = ["-serial", "null"] * how["serial"]
        self.machine = Machine(world.folder, command, name, before, fresh=board == ROUTER)
        self.lamp = led.Lamp(self.machine, board) if board in led.LINES else None

    def __enter__(self):
        self.machine.start()
        return self

    def __exit__(self, *_):
        self.machine.kill()

    # What the console and the machine do, they do for the box too.
    def expect(self, pattern, timeout, **more):
        return self.machine.expect(pattern, timeout, **more)

    def send(self, text):
        self.machine.send(text)

    def kill(self):
        self.machine.kill()

    @property
    def seconds(self):
        return self.machine.seconds

    def ssh_words(self, command):
        """The command line that runs a shell command in the box as root."""
        words = ["ssh", "-q", "-i", str(self.world.ssh_key()), "-p", str(self.ssh_port), "-o", "BatchMode=yes"]
        words += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=10"]
        words += ["-o", "IdentitiesOnly=yes", "-o", "ServerAliveInterval=5", "root@127.0.0.1", command]
        return words

    def _ssh(self, command, input, timeout):
        return subprocess.run(self.ssh_words(command), input=input, capture_output=True, timeout=timeout * PATIENCE)

    def call(self, command, timeout=60, check=True, input=b""):
        """Runs a shell command in the box, as root over ssh; gives its output."""
        try:
            done = self._ssh(command, input, timeout)
        except subprocess.TimeoutExpired:
            raise Trouble(f"in the guest, {command!r}: not done within {timeout} s") from None
        output = done.stdout.decode(errors="replace")
        if check and done.returncode:
            said = output + done.stderr.decode(errors="replace")
            raise Trouble(f"in the guest, {command!r}: exit code {done.returncode}: {said.strip()}")
        return output

    def copy_in(self, source, target, timeout=120):
        """Copies a file into the box."""
        with open(source, "rb") as file:
            data = file.read()
        self.call(f"cat > {shlex.quote(target)}", timeout, input=data)

    def wait_for_shell(self, timeout):
        """Waits until the box lets us in."""
        end = self.seconds + timeout * PATIENCE
        while self.seconds < end:
            if not self.machine.running():
                break
            try:
                if self._ssh("true", b"", 20).returncode == 0:
                    return
            except subprocess.TimeoutExpired:
                pass
            time.sleep(0.5)
        raise Trouble(f"no shell within {timeout:.0f} s:\n{self.machine.serial.tail()}")

    def status(self):
        """What `tombolo status --json` says in the box; None while there is none."""
        try:
            return json.loads(self.call("tombolo status --json", 30, check=False) or "null")
        except (ValueError, Trouble):
            return None

    def wait_for_daemon(self, timeout):
        """Waits until the daemon answers; its status."""
        end = self.seconds + timeout * PATIENCE
        while not (status := self.status()):
            if self.seconds > end:
                why = self.call("systemctl status tombolo; journalctl -b -u tombolo -n 40 --no-pager", check=False)
                raise Trouble(f"the daemon does not answer within {timeout:.0f} s: {why}")
            time.sleep(0.3)
        return status

    def wait_for_peer(self, name, state, timeout):
        """Waits until the box sees that federate in that state."""
        end = self.seconds + timeout * PATIENCE
        seen = None
        while self.seconds < end:
            for peer in (self.status() or {}).get("peers", []):
                if peer["name"] == name:
                    seen = peer
                    if peer["state"] == state:
                        return peer
            time.sleep(0.5)
        raise Trouble(f"{name} is not {state} within {timeout:.0f} s, but {seen}")

    def wait_for_led(self, word, timeout):
        """Watches the LED until it shows that pattern. A look with a change in it shows nothing; so no longer than needed."""
        from led_decode import WINDOW_S, decode

        end = self.seconds + timeout * PATIENCE
        seen = []
        while True:
            seen.append(decode(self.lamp.watch(5.0 if word in QUICKLY_SEEN else WINDOW_S)))
            if seen[-1] == word:
                return seen
            if self.seconds > end:
                raise Trouble(f"the LED does not show {word!r} within {timeout:.0f} s, but {seen}")
