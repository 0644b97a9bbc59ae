#!/usr/bin/env python3
"""A foreign TAK federate of version 1 on Python's ssl, driven by JSON lines. Needs protobuf only (federate_wire.py).

TLS over TCP, no ALPN, each FederatedEvent behind its length in four bytes, big-endian. It shares nothing with Tombolo.

    federate_v1.py --dial HOST:PORT   --cert chain.pem --key key.pem --ca ca.pem
    federate_v1.py --listen PORT      --cert chain.pem --key key.pem --ca ca.pem

--cert is sent as it stands. --listen 0 takes any port; it is reported. --authority, --id and --name are taken and mean
nothing. Options for odd behaviour:

    --no-client-cert       listening: asks for no certificate; dialling: sends none
    --tls12                TLS 1.2 only
    --alpn NAME            offers that
    --freetakserver        behaves as FreeTAKServer 2.2.1 was seen to: reads the length, then once as many bytes, and looks
                           for more only when the socket says so; trips over the DELETE of a contact that it does not know;
                           makes an empty event of a contact without an event; drops typed fields; sends back what it gets,
                           a known kind with its detail, others without

Commands, one JSON object per line on stdin:

    {"do":"send_event","event":{GeoEvent fields},"contact":{...},"federateGroups":[...], ...}   one FederatedEvent
    {"do":"send_contact","operation":"CREATE","uid":"u","callsign":"c"}   a FederatedEvent with a contact
    {"do":"send_bytes","hex":"0000"}     these bytes as they are, without a length before them
    {"do":"hang_up"}                     closes the connection
    {"do":"dial"}                        dialling: dials again
    {"do":"quit"}                        exits 0; so does the end of stdin

Reports, one JSON object per line on stdout, each with "report":

    {"report":"listening","port":N}
    {"report":"ready","tls":"TLSv1.3","alpn":null,"certificate":true}   the handshake is done; whether the other end
                                     showed a certificate
    {"report":"refused","why":"..."}  a handshake or an attempt failed
    {"report":"message","method":"v1","message":{...},"unknown":N}   a message came
    {"report":"torn"} {"report":"stalled"} {"report":"tripped"} {"report":"empty"}   FreeTAKServer's troubles: a frame
                                     over two records, two frames in one, an unknown DELETE, a lone contact
    {"report":"closed","why":"..."}  the connection is over
"""

import argparse
import json
import select
import socket
import ssl
import struct
import sys
import threading

from federate_wire import M, build, plain, unknown_fields

_print = threading.Lock()


def report(kind, **fields):
    with _print:
        print(json.dumps({"report": kind, **fields}, ensure_ascii=False), flush=True)


def context(options):
    server = options.listen is not None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE if options.no_client_cert and server else ssl.CERT_REQUIRED
    made.load_verify_locations(options.ca)
    if server or not options.no_client_cert:
        made.load_cert_chain(options.cert, options.key)
    if options.tls12:
        made.maximum_version = ssl.TLSVersion.TLSv1_2
    if options.alpn:
        made.set_alpn_protocols([options.alpn])
    if options.freetakserver:
        # It verifies nobody.
        made.verify_mode = ssl.CERT_NONE
        if not server:
            made.maximum_version = ssl.TLSVersion.TLSv1_2
    return made


class Federate:
    def __init__(self, options):
        self.options = options
        self.context = context(options)
        self.stream = None
        self.contacts = set()
        self.sending = threading.Lock()

    def dial(self):
        host, port = self.options.dial.rsplit(":", 1)
        try:
            raw = socket.create_connection((host.strip("[]"), int(port)), 10)
            self.serve(self.context.wrap_socket(raw, server_hostname="federate"))
        except OSError as error:
            report("refused", why=str(error))

    def listen(self):
        listener = socket.create_server(("127.0.0.1", self.options.listen))
        report("listening", port=listener.getsockname()[1])
        while True:
            raw, _ = listener.accept()
            threading.Thread(target=self.accept, args=(raw,), daemon=True).start()

    def accept(self, raw):
        try:
            raw.settimeout(10)
            self.serve(self.context.wrap_socket(raw, server_side=True))
        except OSError as error:
            report("refused", why=str(error))

    def serve(self, stream):
        stream.settimeout(None)
        self.stream, self.contacts = stream, set()
        report("ready", tls=stream.version(), alpn=stream.selected_alpn_protocol(), certificate=bool(stream.getpeercert(True)))
        try:
            self.read_as_freetakserver(stream) if self.options.freetakserver else self.read(stream)
        except OSError as error:
            report("closed", why=str(error))

    def read(self, stream):
        held = b""
        while data := stream.recv(65536):
            held += data
            while len(held) >= 4 and len(held) >= 4 + struct.unpack(">I", held[:4])[0]:
                length = struct.unpack(">I", held[:4])[0]
                self.came(held[4 : 4 + length])
                held = held[4 + length :]
        report("closed", why=f"end, {len(held)} bytes left")

    def read_as_freetakserver(self, stream):
        while True:
            select.select([stream], [], [])
            head = stream.recv(4)
            if not head:
                return report("closed", why="end")
            length = struct.unpack(">I", head)[0]
            body = stream.recv(length)
            if len(body) < length:
                report("torn", length=length, got=len(body))
                stream.setblocking(False)
                try:
                    stream.recv(10000)
                except (ssl.SSLWantReadError, BlockingIOError):
                    pass
                stream.setblocking(True)
                continue
            if stream.pending():
                report("stalled", bytes=stream.pending())
            self.came(body)

    def came(self, body):
        message = M["FederatedEvent"].FromString(body)
        report("message", method="v1", message=plain(message), unknown=unknown_fields(message), length=len(body))
        if not self.options.freetakserver:
            return
        if message.HasField("contact"):
            uid = message.contact.uid
            if message.contact.operation == 1:
                self.contacts.add(uid)
            elif message.contact.operation == 4 and uid not in self.contacts:
                report("tripped", uid=uid)
            elif message.contact.operation == 4:
                self.contacts.remove(uid)
        if not message.HasField("event"):
            return report("empty")
        back = M["FederatedEvent"]()
        for field in ("sendTime", "startTime", "staleTime", "lat", "lon", "hae", "ce", "le", "uid", "type", "coordSource"):
            setattr(back.event, field, getattr(message.event, field))
        known = message.event.type.startswith("a-f")
        back.event.other = message.event.other if known else "<detail><marti><dest /></marti></detail>"
        if not message.event.ptpCallsigns:
            self.send(back.SerializeToString())

    def send(self, body):
        self.send_bytes(struct.pack(">I", len(body)) + body)

    def send_bytes(self, data):
        with self.sending:
            if self.stream is None:
                return report("error", what="not connected")
            try:
                self.stream.sendall(data)
            except OSError as error:
                report("closed", why=str(error))

    def do(self, command):
        what = command.pop("do")
        if what == "send_event":
            self.send(build("FederatedEvent", command).SerializeToString())
        elif what == "send_contact":
            self.send(build("FederatedEvent", {"contact": command}).SerializeToString())
        elif what == "send_bytes":
            self.send_bytes(bytes.fromhex(command["hex"]))
        elif what == "hang_up":
            self.stream.shutdown(socket.SHUT_RDWR)
        elif what == "dial":
            threading.Thread(target=self.dial, daemon=True).start()
        else:
            report("error", what=f"unknown: {what}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dial")
    parser.add_argument("--listen", type=int)
    for name in ("--cert", "--key", "--ca"):
        parser.add_argument(name, required=True)
    for name in ("--authority", "--id", "--name", "--alpn"):
        parser.add_argument(name)
    for name in ("--no-client-cert", "--tls12", "--freetakserver"):
        parser.add_argument(name, action="store_true")
    federate = Federate(parser.parse_args())
    start = federate.dial if federate.options.dial else federate.listen
    threading.Thread(target=start, daemon=True).start()
    for line in sys.stdin:
        command = json.loads(line)
        if command.get("do") == "quit":
            break
        try:
            federate.do(command)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a command is told
            report("error", what=repr(error))


if __name__ == "__main__":
    main()
