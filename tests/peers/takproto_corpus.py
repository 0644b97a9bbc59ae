"""The public library takproto, which is made from the official .proto files, as reader and writer of TAK protocol v1.

Lines of JSON come in, one answer goes out for each:
    {"xml": EVENT}      -> {"stream": HEX, "mesh": HEX, "event": {...}}   as takproto writes it, and reads that itself
    {"message": HEX}    -> {"event": {...}}                               as takproto reads it; framed for a mesh

Numbers are texts, so that nothing rounds them.
"""

import json
import sys

import takproto
from google.protobuf.json_format import MessageToDict


def exact(value):
    if isinstance(value, dict):
        return {name: exact(inner) for name, inner in value.items()}
    return value if isinstance(value, str) else repr(value)


def read(datagram):
    return exact(MessageToDict(takproto.parse_proto(bytearray(datagram)))["cotEvent"])


for line in sys.stdin:
    asked = json.loads(line)
    if "xml" in asked:
        write = lambda version: bytes(takproto.xml2proto(asked["xml"], version))
        mesh = write(takproto.TAKProtoVer.MESH)
        stream = write(takproto.TAKProtoVer.STREAM)
        answer = {"stream": stream.hex(), "mesh": mesh.hex(), "event": read(mesh)}
    else:
        answer = {"event": read(bytes.fromhex(asked["message"]))}
    print(json.dumps(answer), flush=True)
