"""An emulated box: QEMU with its serial line and its control socket.

The machine is started halted (-S), both sockets are connected, and only then it runs: nothing that the guest says is
lost. A thread reads the serial line all the time and keeps every line with its second, so that a mark can be looked
for after the fact. The machine dies with the test, however the test ends.
"""

import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path


# Everything waits so many times longer; for a machine that has other work.
PATIENCE = float(os.environ.get("TOMBOLO_PATIENCE", "1"))


class Trouble(Exception):
    """What went wrong, in words, with the last that the machine said."""


def die_with_parent():
    """Runs in the child before QEMU: the kernel kills it when the test ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Serial:
    """One serial line of the guest."""

    def __init__(self, connection, log, started):
        self.started = started
        self.position = 0
        self.text = ""
        self.marks = []
        self.closed = False
        self.changed = threading.Condition()
        self.log = open(log, "w", encoding="utf-8", newline="")
        # The machine may come back on another connection; until then nothing has ended.
        self.comes_back = False
        self.attach(connection)

    def attach(self, connection):
        """Reads from here on from this connection."""
        self.connection = connection
        threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def close(self):
        """Nothing more will come."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _read(self, connection):
        while True:
            try:
                received = connection.recv(65536)
            except OSError:
                received = b""
            if not received:
                if not self.comes_back:
                    self.close()
                return
            with self.changed:
                text = received.decode("utf-8", "replace").replace("\0", "")
                self.marks.append((len(self.text), time.monotonic() - self.started))
                self.text += text
                self.log.write(text)
                self.log.flush()
                self.changed.notify_all()

    def seconds_at(self, position):
        """Seconds since power-on at which that character came."""
        last = 0.0
        for begin, seconds in self.marks:
            if begin > position:
                break
            last = seconds
        return last

    def tail(self, count=1500):
        """The last that came, for messages."""
        return self.text[-count:]

    def send(self, text):
        """Types it."""
        self.connection.sendall(text.encode())

    def send_slowly(self, text, pause=0.0005):
        """Types it as a person's terminal does: a guest whose receiver has a short queue loses nothing."""
        for begin in range(0, len(text), 16):
            self.connection.sendall(text[begin : begin + 16].encode())
            time.sleep(pause * 16)

    def expect(self, pattern, timeout, unless=None, anywhere=False):
        """Waits for it, behind what was found before; gives the match. `unless` ends the waiting as a failure."""
        wanted = re.compile(pattern)
        unwanted = re.compile(unless) if unless else None
        end = time.monotonic() + timeout * PATIENCE
        begin = 0 if anywhere else self.position
        with self.changed:
            while True:
                found = wanted.search(self.text, begin)
                if found:
                    if not anywhere:
                        self.position = found.end()
                    return found
                if unwanted and (bad := unwanted.search(self.text, begin)):
                    raise Trouble(f"waiting for {pattern!r}, but read {bad.group(0)!r}:\n{self.tail()}")
                if self.closed:
                    raise Trouble(f"the machine ended before {pattern!r}:\n{self.tail()}")
                left = end - time.monotonic()
                if left <= 0:
                    raise Trouble(f"no {pattern!r} within {timeout:.0f} s:\n{self.tail()}")
                self.changed.wait(min(left, 1.0))

    def skip(self):
        """Looks only at what comes from now on."""
        with self.changed:
            self.position = len(self.text)


class Control:
    """The control socket (QMP)."""

    def __init__(self, connection):
        self.file = connection.makefile("rw", encoding="utf-8")
        self.lock = threading.Lock()
        self.file.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        """Asks and gives the answer; events in between are passed over."""
        with self.lock:
            self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            self.file.flush()
            while True:
                line = self.file.readline()
                if not line:
                    raise Trouble(f"the machine ended at {command}")
                answer = json.loads(line)
                if "error" in answer:
                    raise Trouble(f"{command}: {answer['error'].get('desc')}")
                if "return" in answer:
                    return answer["return"]

    def word(self, address):
        """Reads a 32-bit word of physical memory, as the guest's bus sees it."""
        answer = self.ask("human-monitor-command", **{"command-line": f"xp /1xw {address:#x}"})
        return int(answer.split()[-1], 16)


class Machine:
    """A machine under emulation. Use it with `with`."""

    def __init__(self, folder, arguments, name="guest", before=(), fresh=False):
        """`arguments`: the whole command without sockets; `before`: serial lines in front of the console's own. `fresh`: a
        restart of the guest is a new QEMU. (After a reset QEMU keeps what it translated of the old system, and where GRUB
        puts the new one byte by byte over that, each byte takes it a millisecond.)"""
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.arguments = [str(part) for part in arguments]
        self.before = [str(part) for part in before]
        self.fresh = fresh
        self.killed = False
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()

    def path(self, suffix):
        """A file of this machine in the scenario's folder."""
        return self.folder / f"{self.name}.{suffix}"

    def start(self):
        """Power on."""
        line = self._launch()
        self.started = time.monotonic()
        self.serial = Serial(line, self.path("console.log"), self.started)
        self.serial.comes_back = self.fresh
        self.control.ask("cont")
        if self.fresh:
            threading.Thread(target=self._again, daemon=True).start()
        return self

    def _again(self):
        """Starts QEMU again whenever it ends because the guest restarts."""
        while True:
            process = self.process
            process.wait()
            if self.killed or "reboot: Power down" in self.serial.tail(300):
                self.serial.close()
                return
            try:
                line = self._launch()
                if self.killed:  # meanwhile
                    self.process.kill()
                    return
                self.serial.attach(line)
                self.control.ask("cont")
            except Trouble:
                self.serial.close()
                return

    def _launch(self):
        """QEMU, halted, with both sockets connected; gives the serial line."""
        # Socket paths have a limit of about 100 characters, so they are relative to the folder.
        serial, control = f"{self.name}.serial", f"{self.name}.control"
        for path in (serial, control):
            (self.folder / path).unlink(missing_ok=True)
        command = self.arguments + ["-S", "-display", "none", "-nodefaults"] + self.before
        command += ["-chardev", f"socket,id=console,path={serial},server=on,wait=off", "-serial", "chardev:console"]
        command += ["-qmp", f"unix:{control},server=on,wait=off"]
        command += ["-D", f"{self.name}.trace", "-msg", "timestamp=on"]
        command += ["-action", "reboot=shutdown"] if self.fresh else []
        with open(self.path("qemu.log"), "wb") as output:
            output.write((" ".join(command) + "\n").encode())
            output.flush()
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
            )
        try:
            line = self._connect(serial)
            self.control = Control(self._connect(control))
        except BaseException:
            self.kill()
            raise
        return line

    def _connect(self, path):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Trouble(f"QEMU ended: {self.path('qemu.log').read_text(errors='replace')}")
            connection = socket.socket(socket.AF_UNIX)
            try:
                here = os.open(self.folder, os.O_PATH)
                try:
                    connection.connect(f"/proc/self/fd/{here}/{path}")
                finally:
                    os.close(here)
                return connection
            except OSError:
                connection.close()
                time.sleep(0.02)
        raise Trouble("QEMU opens no socket")

    def plug_in(self, path):
        """A USB stick with that content; the machine must have been started with a USB controller called `usb`."""
        file = {"driver": "file", "filename": str(Path(path).resolve())}
        self.control.ask("blockdev-add", driver="raw", **{"node-name": "stick", "file": file})
        self.control.ask("device_add", driver="usb-storage", id="stick", drive="stick", bus="usb.0")

    def pull_out(self):
        """The stick again."""
        self.control.ask("device_del", id="stick")

    @property
    def seconds(self):
        """Since power-on."""
        return time.monotonic() - self.started

    def expect(self, pattern, timeout, **more):
        """As Serial.expect."""
        return self.serial.expect(pattern, timeout, **more)

    def at(self, match):
        """Seconds from power-on to that match."""
        return self.serial.seconds_at(match.start())

    def send(self, text):
        """Types on the console."""
        self.serial.send(text)

    def running(self):
        """Not ended, not killed."""
        return self.process is not None and self.process.poll() is None

    def wait_off(self, timeout):
        """Waits until the guest switched the power off."""
        try:
            self.process.wait(timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            raise Trouble(f"not off within {timeout:.0f} s:\n{self.serial.tail()}") from None

    def kill(self):
        """The power is cut: SIGKILL, at once."""
        if self.process is None:
            return
        self.killed = True
        self.process.kill()
        self.process.wait()
        for path in (self.path("serial"), self.path("control")):
            path.unlink(missing_ok=True)
