"""The second box: a real `tombolo run` on this machine, on loopback, with throwaway keys.

The guest reaches it as 10.0.2.2 through QEMU's user network. A client injects a track every second as long as the box
runs, so that a link to it has something to carry.
"""

import datetime
import json
import socket
import subprocess
import threading
import time
from pathlib import Path

from machine import PATIENCE, Trouble, die_with_parent

HOST = "10.0.2.2"

TRACK = (
    '<event version="2.0" uid="HOST-{uid}" type="a-f-G-U-C" how="m-g" time="{now}" start="{now}" stale="{stale}">'
    '<point lat="46.95" lon="7.44" hae="540.0" ce="5.0" le="9999999.0"/>'
    '<detail><contact callsign="HOST-{uid}"/></detail></event>'
)


def free_port():
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def track(uid):
    """A track of now, good for five minutes."""
    now = datetime.datetime.now(datetime.timezone.utc)
    stamp = "%Y-%m-%dT%H:%M:%S.000Z"
    return TRACK.format(uid=uid, now=now.strftime(stamp), stale=(now + datetime.timedelta(minutes=5)).strftime(stamp))


class Identity:
    """A CA and a certificate, made by `tombolo cert create`."""

    def __init__(self, program, folder, name):
        self.program, self.folder, self.name = program, Path(folder), name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config, self.state = self.folder / "tombolo.toml", self.folder / "state"
        if not self.config.exists():
            self.config.write_text(f'[node]\nname = "{name}"\n')
        if not (self.state / "pki/ca.pem").exists():
            self.call("cert", "create")
        shown = json.loads(self.call("cert", "show", "--json"))
        self.fingerprint, self.authority = shown["fingerprint"], shown["ca_fingerprint"]

    def call(self, *words, check=True):
        """Calls the program about this box; gives what it printed."""
        done = subprocess.run(
            [self.program, *words, "--config", self.config, "--state", self.state],
            capture_output=True,
            text=True,
            timeout=60,
        )
        if check and done.returncode:
            raise Trouble(f"tombolo {' '.join(map(str, words))}: {done.stderr.strip()}")
        return done.stdout

    @property
    def chain(self):
        """PEM: leaf, then its CA."""
        return (self.state / "pki/node.pem").read_text()

    @property
    def key(self):
        """PEM: the leaf's key."""
        return (self.state / "pki/node.key").read_text()

    @property
    def ca(self):
        """PEM: the CA."""
        return (self.state / "pki/ca.pem").read_text()


class HostBox(Identity):
    """The running second box. Use it with `with`."""

    def __init__(self, program, folder, name="bravo", port=None):
        super().__init__(program, folder, name)
        self.port = port or free_port()
        self.process = self.feeding = None
        self.config.write_text(
            f'[node]\nname = "{name}"\n\n[listen]\nclients_tcp = "127.0.0.1:0"\nclients_tls = ""\n'
            f'federation = ["127.0.0.1:{self.port}"]\napi = ""\n'
        )

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def address(self):
        """Where the guest dials."""
        return f"{HOST}:{self.port}"

    def start(self):
        """Starts it and its client."""
        with open(self.folder / "run.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "run", "--config", self.config, "--state", self.state],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
            )
        end = time.monotonic() + 30
        while not (status := self.status()):
            if self.process.poll() is not None or time.monotonic() > end:
                raise Trouble("the host's box does not start:\n" + (self.folder / "run.log").read_text())
            time.sleep(0.1)
        self.clients = status["listen"]["clients_tcp"]
        self.feeding = threading.Event()
        threading.Thread(target=self._feed, args=(self.clients, self.feeding), daemon=True).start()
        return self

    def stop(self):
        """Ends it; `start` brings it back under the same keys and port."""
        if self.process:
            self.feeding and self.feeding.set()
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def status(self):
        """What it says of itself; nothing while it does not answer."""
        try:
            return json.loads(self.call("status", "--json", check=False) or "null")
        except (ValueError, subprocess.TimeoutExpired):
            return None

    def admit(self, name, ca=None, fingerprint=None):
        """Registers a federate that dials us."""
        words = ["peer", "add", name, "--replace"]
        if ca:
            path = self.folder / f"{name}-ca.pem"
            path.write_text(ca)
            words += ["--ca-cert", path]
        if fingerprint:
            words += ["--fingerprint", fingerprint]
        self.call(*words)

    def peer(self, name):
        """How it sees that federate."""
        for peer in (self.status() or {}).get("peers", []):
            if peer["name"] == name:
                return peer
        return {"state": "unknown", "reason": "not registered"}

    def wait_for(self, name, state, timeout):
        """Waits until the federate is in that state; gives the seconds it took."""
        begin = time.monotonic()
        while True:
            seen = self.peer(name)
            if seen["state"] == state:
                return time.monotonic() - begin
            if time.monotonic() - begin > timeout * PATIENCE:
                raise Trouble(f"{name} is {seen['state']} ({seen.get('reason')}), not {state}, after {timeout:.0f} s")
            time.sleep(0.2)

    @staticmethod
    def _feed(address, stop):
        host, port = address.rsplit(":", 1)
        count = 0
        while not stop.is_set():
            try:
                with socket.create_connection((host, int(port)), 5) as client:
                    client.settimeout(0.01)
                    while not stop.wait(1.0):
                        client.sendall(track(count % 4).encode())
                        count += 1
                        try:
                            client.recv(65536)
                        except TimeoutError:
                            pass
            except OSError:
                if stop.wait(0.5):
                    return
