#!/usr/bin/env python3
"""Runs a FreeTAKServer and drives it by JSON lines. To be run by the interpreter in whose environment it is installed, as
root, in a network and a mount namespace of its own (`ip netns exec` makes both): it takes its ports and /opt/fts.

    freetakserver.py DIRECTORY

DIRECTORY, which must exist, gets all its files. Ports: CoT 8087, federation 9000, REST 19023.

Commands, one JSON object per line on stdin:

    {"do":"serve"}                       starts the federation service that accepts
    {"do":"federate","address":"10.0.0.1","port":9000}   dials that federate
    {"do":"unfederate"}                  forgets every federate that it dials
    {"do":"rest","path":"/ManagePresence/postPresence","body":{...}}   any request of its REST interface
    {"do":"quit"}                        ends it; so does the end of stdin

Reports, one JSON object per line on stdout, each with "report":

    {"report":"ready","certificate":"..."}   it serves clients; the PEM file of its certificate
    {"report":"done","what":"...","answer":"..."}   a command was carried out
    {"report":"error","what":"..."}      it was not; or the server ended
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request

REST = "http://127.0.0.1:19023"
PATIENCE = 90

CONFIG = """System:
  FTS_DATABASE_TYPE: SQLite
  FTS_CONNECTION_MESSAGE: welcome
  FTS_OPTIMIZE_API: True
  FTS_MAINLOOP_DELAY: 1
  FTS_SECRET_KEY: secret
  FTS_NODE_ID: freetakserver
Addresses:
  FTS_COT_PORT: 8087
  FTS_SSLCOT_PORT: 8089
  FTS_DP_ADDRESS: 127.0.0.1
  FTS_USER_ADDRESS: 127.0.0.1
  FTS_API_PORT: 19023
  FTS_FED_PORT: 9000
  FTS_API_ADDRESS: 127.0.0.1
"""


def report(kind, **fields):
    print(json.dumps({"report": kind, **fields}), flush=True)


def request(method, path, body=None, kind="application/json"):
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else None
    headers = {"Authorization": "Bearer token", "Content-Type": kind}
    made = urllib.request.Request(REST + path, data=data, method=method, headers=headers)
    with urllib.request.urlopen(made, timeout=15) as answer:
        return answer.read().decode()


def start_federation_service():
    """By its Socket.IO interface (Engine.IO 4 over polling, written by hand)."""
    path = "/socket.io/?EIO=4&transport=polling"
    path += "&sid=" + json.loads(request("GET", path)[1:])["sid"]
    say = lambda text: request("POST", path, text, "text/plain")
    event = lambda name, what: say("42" + json.dumps([name, json.dumps(what)]))
    say("40")
    request("GET", path)
    event("authenticate", {"Authenticate": "YourWebsocketKey"})
    request("GET", path)
    event("changeServiceInfo", {"services": {"Federation_server_service": {"status": "on", "port": 9000, "ip": "0.0.0.0"}}})
    wait_for(9000)


def wait_for(port):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"nothing listens on port {port}")


def start(directory):
    at = lambda *names: str(directory.joinpath(*names))
    for name in ("certs", "excheck/template", "excheck/checklist", "packages", "logs"):
        directory.joinpath(name).mkdir(parents=True, exist_ok=True)
    directory.joinpath("FTSConfig.yaml").write_text(CONFIG)
    # It writes three databases there whatever it is told.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/opt"], check=True)
    os.mkdir("/opt/fts")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "TZ": "UTC",
        "FTS_CONFIG_PATH": at("FTSConfig.yaml"),
        "FTS_FIRST_START": "false",
        "FTS_PERSISTENCE_PATH": str(directory),
        "FTS_DB_PATH": at("FTSDataBase.db"),
        "FTS_CERTS_PATH": at("certs"),
        "FTS_EXCHECK_PATH": at("excheck"),
        "FTS_EXCHECK_TEMPLATE_PATH": at("excheck", "template"),
        "FTS_EXCHECK_CHECKLIST_PATH": at("excheck", "checklist"),
        "FTS_DATAPACKAGE_PATH": at("packages"),
        "FTS_LOGFILE_PATH": at("logs"),
        "FTS_CADIR": at("certs", "ca.pem"),
        "FTS_CAKEYDIR": at("certs", "ca.key"),
        "FTS_CRLDIR": at("certs", "FTS_CRL.json"),
        "FTS_FEDERATION_CERTDIR": at("certs", "server.pem"),
        "FTS_FEDERATION_KEYDIR": at("certs", "server.key"),
        "FTS_FEDERATION_KEYPASS": "unused",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "FreeTAKServer.controllers.services.FTS"],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=open(at("out.log"), "w"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def do(command):
    what = command["do"]
    if what == "serve":
        return start_federation_service()
    if what == "federate":
        entry = {"name": "box", "address": command["address"], "port": command["port"], "status": "Enabled"}
        return request("POST", "/FederationTable", {"outgoingFederations": [entry]})
    if what == "unfederate":
        known = json.loads(request("GET", "/FederationTable"))["federations"]
        return [request("DELETE", "/FederationTable", {"federations": [{"id": one["id"]}]}) for one in known]
    if what == "rest":
        return request("POST", command["path"], command["body"])
    raise ValueError(f"unknown: {what}")


def main():
    directory = pathlib.Path(sys.argv[1]).resolve()
    server = start(directory)
    try:
        for port in (8087, 19023):
            wait_for(port)
        report("ready", certificate=str(directory / "certs" / "server.pem"))
        for line in sys.stdin:
            command = json.loads(line)
            if command["do"] == "quit":
                break
            try:
                report("done", what=command["do"], answer=str(do(command)))
            except Exception as error:  # noqa: BLE001 - whatever is wrong is told
                report("error", what=f"{command['do']}: {error!r}")
    except TimeoutError as error:
        log = (directory / "out.log").read_text(errors="replace")
        report("error", what=f"{error}: {log[-3000:]}")
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


if __name__ == "__main__":
    main()
