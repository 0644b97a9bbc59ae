#!/usr/bin/env python3
"""A foreign TAK federate (federation v2) on Python's grpcio, driven by JSON lines. Needs grpcio and protobuf only.

It shares nothing with Tombolo: the messages are built at run time from the field tables of federate_wire.py, TLS is grpc-core's
BoringSSL (as in a real TAK Server), HTTP/2 is grpc-core's.

    federate.py --dial HOST:PORT   --cert chain.pem --key key.pem --ca ca.pem --authority NAME [--name N] [--id HEX32]
    federate.py --listen PORT      --cert chain.pem --key key.pem --ca ca.pem                  [--name N] [--id HEX32]

--cert is sent as it stands: leaf first, then its issuer (leave the issuer out to see a one-certificate chain refused).
--authority is the name that the dialled certificate is checked against (ssl_target_name_override): one of its subject
alternative names. --listen 0 takes any port; it is reported. Options for odd behaviour:

    --patience S           dialling: wait this long for the channel (default 30). A refused handshake is reported at once:
                           "channel" TRANSIENT_FAILURE and the "status" of a HealthCheck with grpc's words; where TLS 1.3
                           refuses after our side is done, as "ready" and then the "status" of every call
    --no-version           leave the version out of the Subscription
    --no-auto              dialling: make no call by itself; the commands open/health/... do it
    --health-every S       seconds between health checks when dialling (default 3; 0 = only on command)
    --hang-health          listening: answer health checks with a message but never with trailers
    --late-replies         listening: no early Subscription on client-streaming calls (as a hub)
    --serving-after S      listening: SERVING comes this late (default 0; negative = never)
    --no-groups            listening: the group streams are unknown (UNIMPLEMENTED)
    --health-status N      listening: the ServerHealth status (default: 1 with a ClientEventStream, else 3)

Commands, one JSON object per line on stdin:

    {"do":"send_event","event":{GeoEvent fields},"contact":{...},"federateGroups":[...], ...}   one FederatedEvent, its
                                     fields by their names in the protocol; int64 as numbers, bytes as base64
    {"do":"send_contact","operation":"CREATE","uid":"u","callsign":"c"}   a FederatedEvent with a contact
    {"do":"send_raw","hex":"0a00"}   a FederatedEvent of these bytes, valid or not
    {"do":"send_rol","program":"...","size":N,"seed":S,"payload_first":true,"federateProvenance":["id"],"maxHops":N,
     "currentHops":N}                a ROL, with a payload of N bytes (each of them S, default 85) if N is given; with its
                                     payload before its program if that is said. In the program {sha256} and {size} stand
                                     for those of the payload
    {"do":"groups","groups":["A","B"]}   a FederateGroups with these names (never SERVING)
    {"do":"health","status":1}       dialling: one HealthCheck
    {"do":"open","method":"..."}     dialling with --no-auto: opens a stream or makes a call with default contents
    {"do":"one_event","event":{...}} dialling: unary SendOneEvent
    {"do":"identity"}                dialling: getIdentity
    {"do":"unknown"}                 dialling: a method that does not exist
    {"do":"end","method":"...","code":"UNAVAILABLE"}  dialling: half-closes or cancels that call; listening: ends it so
    {"do":"quit"}                    closes everything and exits 0; so does the end of stdin

Reports, one JSON object per line on stdout, each with "report":

    {"report":"listening","port":N}
    {"report":"ready"}                          dialling: the channel is up
    {"report":"channel","state":"..."}          dialling: changes of the channel
    {"report":"call","method":"...","request":{...}}   listening: a call came (request of server-streaming and unary)
    {"report":"opened","method":"..."}          dialling: a call was begun
    {"report":"message","method":"...","message":{...},"unknown":N}   a message came, every field that is on the wire,
                                     by its protocol name; "unknown" = fields outside the tables, nested ones
                                     included
                                     of a ROL's payload there is its "size" and "sha256" in place of "data"
    {"report":"status","method":"...","code":"OK","details":"..."}   a call ended
    {"report":"health","status":1,"ended":true}  dialling: answer of a health check, and whether trailers followed
                                     within a second
    {"report":"error","what":"..."}             a command that could not be carried out
"""

import argparse
import hashlib
import json
import queue
import sys
import threading
import time
import uuid
from concurrent import futures

import grpc
from federate_wire import METHODS, SERVICE, M, build, plain, unknown_fields

# ---------------------------------------------------------------------------------------------------------------------
# JSON lines.

_print = threading.Lock()


def report(kind, **fields):
    with _print:
        print(json.dumps({"report": kind, **fields}, ensure_ascii=False), flush=True)


def came(method, message):
    sums = []
    if message.DESCRIPTOR.name == "ROL":
        for blob in message.payload:
            sums.append({"size": len(blob.data), "sha256": hashlib.sha256(blob.data).hexdigest()})
            blob.ClearField("data")
    shown = plain(message)
    for blob, both in zip(shown.get("payload", []), sums):
        blob.update(both)
    report("message", method=method, message=shown, unknown=unknown_fields(message))


class Raw:
    """Bytes that go out as they are."""

    def __init__(self, data):
        self.data = data

    def SerializeToString(self):
        return self.data


def serialise(message):
    return message.SerializeToString()


class Outgoing:
    """An endless request or answer stream, fed by commands."""

    END = object()

    def __init__(self):
        self.queue = queue.Queue()

    def put(self, message):
        self.queue.put(message)

    def end(self):
        self.queue.put(self.END)

    def __iter__(self):
        return self

    def __next__(self):
        message = self.queue.get()
        if message is self.END:
            raise StopIteration
        return message


class Node:
    def __init__(self, options):
        self.options = options
        self.uid = uuid.uuid4().hex

    def subscription(self, kind):
        message = M["Subscription"]()
        message.identity.name = self.options.name
        message.identity.uid = self.uid
        message.identity.serverId = self.options.id
        message.identity.type = kind
        if not self.options.no_version:
            message.version.major, message.version.minor = 5, 7
        return message

    def groups(self, names, serving):
        message = M["FederateGroups"](federateGroups=names)
        if serving:
            message.streamUpdate.status = 1
        message.federateProvenance.add(federationServerId=self.options.id)
        message.federateHops.maxHops, message.federateHops.currentHops = -1, 1
        return message

    def event_of(self, command):
        kind = command["do"]
        if kind == "send_raw":
            return Raw(bytes.fromhex(command["hex"]))
        if kind == "send_contact":
            contact = {k: v for k, v in command.items() if k != "do"}
            return build("FederatedEvent", {"contact": contact})
        return build("FederatedEvent", {k: v for k, v in command.items() if k != "do"})

    def rol_of(self, command):
        payload = M["ROL"]()
        data = bytes([command.get("seed", 0x55)]) * command.get("size", 0)
        if data:
            payload.payload.add(type=1, data=data)
        program = command.get("program", "create resource {};")
        program = program.replace("{sha256}", hashlib.sha256(data).hexdigest()).replace("{size}", str(len(data)))
        rol = M["ROL"](program=program)
        for each in command.get("federateProvenance", []):
            rol.federateProvenance.add(federationServerId=each)
        if "maxHops" in command:
            rol.federateHops.maxHops, rol.federateHops.currentHops = command["maxHops"], command.get("currentHops", 1)
        # Fields may stand in any order.
        parts = [rol.SerializeToString(), payload.SerializeToString()]
        return Raw(b"".join(reversed(parts) if command.get("payload_first") else parts))


def read(path):
    with open(path, "rb") as file:
        return file.read()


LIMITS = [("grpc.max_receive_message_length", 256 << 20), ("grpc.max_send_message_length", 256 << 20)]

# ---------------------------------------------------------------------------------------------------------------------
# Dialling.


class Dialler(Node):
    def __init__(self, options):
        super().__init__(options)
        credentials = grpc.ssl_channel_credentials(read(options.ca), read(options.key), read(options.cert))
        settings = LIMITS + [("grpc.enable_retries", 0)]
        if options.authority:
            settings.append(("grpc.ssl_target_name_override", options.authority))
        self.channel = grpc.secure_channel(options.dial, credentials, settings)
        self.state = None
        self.channel.subscribe(self.changed, try_to_connect=True)
        self.calls, self.streams = {}, {}
        self.serving, self.replied = threading.Event(), threading.Event()
        self.leaving = False

    def start(self):
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        if not self.wait_until_ready():
            report("error", what="the channel did not come up in %g s" % self.options.patience)
            return
        report("ready")
        if self.options.no_auto:
            return
        self.open("ClientEventStream")
        self.open("ServerFederateGroupsStream")
        if not self.serving.wait(10):
            report("error", what="no SERVING in 10 s")
            return
        self.open("ServerEventStream")
        self.replied.wait(0.5)
        self.open("ClientFederateGroupsStream")
        self.streams["ClientFederateGroupsStream"].put(self.groups(["__ANON__"], False))
        first = True
        while self.options.health_every > 0 and not self.leaving:
            if self.health(1) and first:
                first = False
                self.open("ClientROLStream")
                self.open("ServerROLStream")
            time.sleep(self.options.health_every)

    def wait_until_ready(self):
        """Waits for the channel. A handshake that fails is reported with the words of one call's status."""
        ready = grpc.channel_ready_future(self.channel)
        until = time.monotonic() + self.options.patience
        told = False
        while time.monotonic() < until:
            try:
                ready.result(timeout=0.2)
                return True
            except grpc.FutureTimeoutError:
                if self.state == "TRANSIENT_FAILURE" and not told:
                    told = True
                    self.health(1)
        return False

    def changed(self, state):
        self.state = state.name
        report("channel", state=state.name)

    def method(self, name):
        """Every call is made with streaming on both sides, so that messages are seen before trailers."""
        answer = METHODS[name][3] if name in METHODS else "Empty"
        return self.channel.stream_stream(SERVICE + name, serialise, M[answer].FromString)

    def open(self, name):
        streams, request, _, _ = METHODS[name]
        outgoing = Outgoing()
        if not streams:
            outgoing.put(self.subscription(3) if request == "Subscription" else M[request]())
            outgoing.end()
        self.begin(name, outgoing)

    def begin(self, name, outgoing):
        call = self.method(name)(iter(outgoing))
        self.calls[name], self.streams[name] = call, outgoing
        report("opened", method=name)
        threading.Thread(target=self.follow, args=(name, call), daemon=True).start()

    def follow(self, name, call):
        try:
            for message in call:
                came(name, message)
                if name == "ServerFederateGroupsStream" and message.streamUpdate.status == 1:
                    self.serving.set()
                if name == "ServerEventStream":
                    self.replied.set()
        except grpc.RpcError:
            pass
        if call.code() == grpc.StatusCode.UNIMPLEMENTED and name == "ServerFederateGroupsStream":
            self.serving.set()
        report("status", method=name, code=call.code().name, details=call.details() or "")

    def health(self, status):
        outgoing = Outgoing()
        outgoing.put(M["ClientHealth"](status=status))
        outgoing.end()
        call = self.method("HealthCheck")(iter(outgoing), timeout=5)
        answer, ended = None, False
        try:
            answer = next(call)
            call_ended = threading.Event()
            call.add_callback(call_ended.set) or call_ended.set()
            ended = call_ended.wait(1)
        except (grpc.RpcError, StopIteration):
            report("status", method="HealthCheck", code=call.code().name, details=call.details() or "")
            return False
        report("health", status=answer.status, ended=ended)
        call.cancel()
        return answer.status == 1

    def unary(self, name, message):
        outgoing = Outgoing()
        outgoing.put(message)
        outgoing.end()
        self.begin(name, outgoing)

    def obey(self, command):
        do = command["do"]
        if do in ("send_event", "send_contact", "send_raw"):
            self.streams["ServerEventStream"].put(self.event_of(command))
        elif do == "send_rol":
            self.streams["ServerROLStream"].put(self.rol_of(command))
        elif do == "groups":
            self.streams["ClientFederateGroupsStream"].put(self.groups(command["groups"], False))
        elif do == "health":
            self.health(command.get("status", 1))
        elif do == "open":
            self.open(command["method"])
        elif do == "one_event":
            self.unary("SendOneEvent", self.event_of(command))
        elif do == "identity":
            self.unary("getIdentity", M["Empty"]())
        elif do == "unknown":
            self.unary("NoSuchMethod", M["Empty"]())
        elif do == "end":
            if command.get("code", "OK") == "OK":
                self.streams[command["method"]].end()
            else:
                self.calls[command["method"]].cancel()
        else:
            raise ValueError("unknown command " + do)

    def close(self):
        self.leaving = True
        for stream in self.streams.values():
            stream.end()
        self.channel.close()


# ---------------------------------------------------------------------------------------------------------------------
# Listening.


class Listener(Node, grpc.GenericRpcHandler):
    def __init__(self, options):
        super().__init__(options)
        credentials = grpc.ssl_server_credentials(
            [(read(options.key), read(options.cert))], read(options.ca), require_client_auth=True
        )
        # Each open stream holds a thread.
        self.server = grpc.server(futures.ThreadPoolExecutor(64), handlers=[self], options=LIMITS)
        self.port = self.server.add_secure_port("127.0.0.1:%d" % options.listen, credentials)
        self.streams, self.endings = {}, {}

    def start(self):
        self.server.start()
        report("listening", port=self.port)

    def service(self, details):
        name = details.method.removeprefix(SERVICE)
        if name not in METHODS or (self.options.no_groups and "Groups" in name):
            report("call", method=name, request=None)
            return None
        streams, request, _, _ = METHODS[name]
        behaviour = self.taking if streams else self.giving
        return grpc.stream_stream_rpc_method_handler(
            lambda requests, context: behaviour(name, requests, context), M[request].FromString, serialise
        )

    def hold(self, name, context):
        """An outgoing stream that ends with the call."""
        outgoing = Outgoing()
        self.streams[name] = outgoing
        context.add_callback(outgoing.end)
        return outgoing

    def finish(self, name, context):
        """Ends a call as the command "end" said."""
        code = self.endings.pop(name, None)
        if code and code != "OK":
            context.abort(grpc.StatusCode[code], "as commanded")

    def giving(self, name, requests, context):
        """One request, one or many answers."""
        try:
            request = next(requests)
        except StopIteration:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no request")
        report("call", method=name, request=plain(request))
        if name == "HealthCheck":
            status = self.options.health_status
            if status is None:
                status = 1 if "ClientEventStream" in self.streams else 3
            yield M["ServerHealth"](status=status)
            if self.options.hang_health:
                yield from Listener.hanging(context)
            return
        if name == "getIdentity":
            yield self.subscription(2).identity
            return
        if name in ("SendOneEvent", "SendOneBlob"):
            yield M["Empty"]()
            return
        if name == "ServerFederateGroupsStream":
            if self.options.serving_after < 0:
                yield from Listener.hanging(context)
                return
            time.sleep(self.options.serving_after)
            yield self.groups(["__ANON__"], True)
        yield from self.hold(name, context)
        report("status", method=name, code="ENDED", details="")
        self.finish(name, context)

    @staticmethod
    def hanging(context):
        ended = threading.Event()
        if context.add_callback(ended.set):
            ended.wait()
        return
        yield

    def taking(self, name, requests, context):
        """Many requests; the answer comes early or never."""
        report("call", method=name, request=None)
        outgoing = self.hold(name, context)
        if not self.options.late_replies:
            yield M["Empty"]() if name == "BinaryMessageStream" else self.subscription(2)
        threading.Thread(target=self.follow, args=(name, requests, outgoing), daemon=True).start()
        yield from outgoing
        self.finish(name, context)

    def follow(self, name, requests, outgoing):
        code = "OK"
        try:
            for message in requests:
                came(name, message)
        except Exception:  # grpcio raises a bare Exception for a request stream that was reset
            code = "CANCELLED"
        report("status", method=name, code=code, details="the peer's side")
        outgoing.end()

    def obey(self, command):
        do = command["do"]
        if do in ("send_event", "send_contact", "send_raw"):
            self.streams["ClientEventStream"].put(self.event_of(command))
        elif do == "send_rol":
            self.streams["ClientROLStream"].put(self.rol_of(command))
        elif do == "groups":
            self.streams["ServerFederateGroupsStream"].put(self.groups(command["groups"], False))
        elif do == "end":
            self.endings[command["method"]] = command.get("code", "OK")
            self.streams[command["method"]].end()
        else:
            raise ValueError("unknown command " + do)

    def close(self):
        for stream in list(self.streams.values()):
            stream.end()
        self.server.stop(1).wait()


def main():
    parser = argparse.ArgumentParser(description="A foreign TAK federate, driven by JSON lines.")
    role = parser.add_mutually_exclusive_group(required=True)
    role.add_argument("--dial")
    role.add_argument("--listen", type=int)
    for name in ("cert", "key", "ca"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--authority")
    parser.add_argument("--name", default="foreign")
    parser.add_argument("--id", default="f0" * 16)
    parser.add_argument("--patience", type=float, default=30)
    parser.add_argument("--no-version", action="store_true")
    parser.add_argument("--no-auto", action="store_true")
    parser.add_argument("--health-every", type=float, default=3)
    parser.add_argument("--hang-health", action="store_true")
    parser.add_argument("--late-replies", action="store_true")
    parser.add_argument("--serving-after", type=float, default=0)
    parser.add_argument("--no-groups", action="store_true")
    parser.add_argument("--health-status", type=int)
    options = parser.parse_args()
    node = Dialler(options) if options.dial else Listener(options)
    node.start()
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            command = json.loads(line)
            if command["do"] == "quit":
                break
            node.obey(command)
        except Exception as error:
            report("error", what="%s: %s" % (type(error).__name__, error))
    node.close()


if __name__ == "__main__":
    main()
