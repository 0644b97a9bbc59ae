"""The messages and methods of TAK federation v2, built at run time from tables of their fields.

Part of federate.py. Needs protobuf only; no .proto file and no generated code.
"""

import base64

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.unknown_fields import UnknownFieldSet

# ---------------------------------------------------------------------------------------------------------------------
# The messages. One line per field: number, name, type; "*" = repeated, a capital = a message, "=" = an enum. The order
# is that of the numbers.

ENUMS = {
    "CRUD": ["INVALID", "CREATE", "READ", "UPDATE", "DELETE"],
    "BINARY_TYPES": ["EMPTY", "OTHER", "IMAGE"],
    "ConnectionType": ["FEDERATION_HUB_SERVER", "FEDERATION_HUB_CLIENT", "FEDERATION_TAK_SERVER", "FEDERATION_TAK_CLIENT"],
    "ClientStatus": ["C_UNKNOWN", "C_SERVING", "C_NOT_SERVING"],
    "ServerStatus": ["S_UNKNOWN", "S_SERVING", "S_NOT_SERVING", "S_NOT_CONNECTED"],
}

MESSAGES = {
    "FederatedEvent": """
        1 event GeoEvent
        2 contact ContactListEntry
        3 federateGroups *string
        4 federateProvenance *FederateProvenance
        5 federateHops FederateHops
        6 federateGroupHopLimits FederateGroupHopLimits""",
    "GeoEvent": """
        1 sendTime int64
        2 startTime int64
        3 staleTime int64
        4 lat double
        5 lon double
        6 hae double
        7 ce double
        8 le double
        9 uid string
        10 type string
        11 coordSource string
        12 other string
        13 battery int32
        14 ploc string
        15 palt string
        16 screenName string
        17 groupName string
        18 groupRole string
        19 phone string
        20 speed double
        21 course double
        22 binary BinaryBlob
        23 ptpUids *string
        24 ptpCallsigns *string
        25 feedUid string
        26 missionNames *string
        27 access string
        28 caveat string
        29 releaseableTo string
        30 bloads *BinaryPayload""",
    "BinaryBlob": """
        1 type =BINARY_TYPES
        2 data bytes
        3 filename string
        4 timestamp int64
        5 description string
        6 federateProvenance *FederateProvenance
        7 federateHops FederateHops
        8 federateGroupHopLimits FederateGroupHopLimits""",
    "BinaryPayload": """
        1 type string
        2 version string
        3 data bytes
        4 timestamp int64
        5 uuid string""",
    "ContactListEntry": """
        1 operation =CRUD
        2 uid string
        3 callsign string
        4 phone string
        5 sip string
        6 directConnect string""",
    "Identity": """
        1 name string
        2 uid string
        3 description string
        4 type =ConnectionType
        5 serverId string""",
    "Subscription": """
        1 identity Identity
        2 filter string
        3 version TakServerVersion""",
    "TakServerVersion": """
        1 major int64
        2 minor int64
        3 patch int64
        4 branch string
        5 variant string""",
    "ClientHealth": "1 status =ClientStatus",
    "ServerHealth": "1 status =ServerStatus",
    "ROL": """
        1 program string
        2 payload *BinaryBlob
        3 federateGroups *string
        4 federateProvenance *FederateProvenance
        5 federateHops FederateHops
        6 federateGroupHopLimits FederateGroupHopLimits""",
    "FederateGroups": """
        1 streamUpdate ServerHealth
        2 federateGroups *string
        3 federateProvenance *FederateProvenance
        4 federateHops FederateHops
        5 nestedGroups *FederateGroups
        6 federateGroupHopLimits FederateGroupHopLimits""",
    "FederateProvenance": """
        1 federationServerId string
        2 federationServerName string""",
    "FederateHops": """
        1 maxHops int64
        2 currentHops int64""",
    "FederateGroupHopLimit": """
        1 groupName string
        2 maxHops int64
        3 currentHops int64""",
    "FederateGroupHopLimits": """
        1 limits *FederateGroupHopLimit
        2 useFederateGroupHopLimits bool""",
    "Empty": "",
}


def build_messages():
    """Turns the tables into protobuf classes."""
    field = descriptor_pb2.FieldDescriptorProto
    scalars = {
        "string": field.TYPE_STRING,
        "bytes": field.TYPE_BYTES,
        "int64": field.TYPE_INT64,
        "int32": field.TYPE_INT32,
        "double": field.TYPE_DOUBLE,
        "bool": field.TYPE_BOOL,
    }
    file = descriptor_pb2.FileDescriptorProto(name="tables", package="com.atakmap", syntax="proto3")
    for name, values in ENUMS.items():
        enum = file.enum_type.add(name=name)
        for number, value in enumerate(values):
            enum.value.add(name=value, number=number)
    for name, table in MESSAGES.items():
        message = file.message_type.add(name=name)
        for line in filter(None, map(str.strip, table.splitlines())):
            number, label, kind = line.split()
            entry = message.field.add(name=label, json_name=label, number=int(number))
            entry.label = field.LABEL_REPEATED if kind.startswith("*") else field.LABEL_OPTIONAL
            kind = kind.lstrip("*")
            if kind in scalars:
                entry.type = scalars[kind]
            elif kind.startswith("="):
                entry.type, entry.type_name = field.TYPE_ENUM, ".com.atakmap." + kind[1:]
            else:
                entry.type, entry.type_name = field.TYPE_MESSAGE, ".com.atakmap." + kind
            # The five doubles of the point: tell a zero on the wire from none.
            if name == "GeoEvent" and 4 <= entry.number <= 8:
                message.oneof_decl.add(name="_" + label)
                entry.proto3_optional, entry.oneof_index = True, len(message.oneof_decl) - 1
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    find = pool.FindMessageTypeByName
    return {name: message_factory.GetMessageClass(find("com.atakmap." + name)) for name in MESSAGES}


M = build_messages()

SERVICE = "/com.atakmap.FederatedChannel/"

# Method: (request streams, request, answer streams, answer).
METHODS = {
    "SendOneEvent": (False, "FederatedEvent", False, "Empty"),
    "BinaryMessageStream": (True, "BinaryBlob", False, "Empty"),
    "SendOneBlob": (False, "BinaryBlob", False, "Empty"),
    "getIdentity": (False, "Empty", False, "Identity"),
    "ClientEventStream": (False, "Subscription", True, "FederatedEvent"),
    "ServerEventStream": (True, "FederatedEvent", False, "Subscription"),
    "HealthCheck": (False, "ClientHealth", False, "ServerHealth"),
    "ClientROLStream": (False, "Subscription", True, "ROL"),
    "ServerROLStream": (True, "ROL", False, "Subscription"),
    "ServerFederateGroupsStream": (False, "Subscription", True, "FederateGroups"),
    "ClientFederateGroupsStream": (True, "FederateGroups", False, "Subscription"),
}


def plain(message):
    """Every field that is set, by its protocol name; int64 as numbers, enums as numbers, bytes as base64."""
    fields = {}
    for descriptor, value in message.ListFields():
        # protobuf renamed label to is_repeated.
        repeated = getattr(descriptor, "is_repeated", None)
        if repeated is None:
            repeated = descriptor.label == descriptor.LABEL_REPEATED
        convert = {descriptor.TYPE_MESSAGE: plain, descriptor.TYPE_BYTES: lambda b: base64.b64encode(b).decode()}
        one = convert.get(descriptor.type, lambda v: v)
        fields[descriptor.name] = [one(v) for v in value] if repeated else one(value)
    return fields


def unknown_fields(message):
    """How many fields outside the tables are in a message and all that it holds."""
    count = len(UnknownFieldSet(message))
    for descriptor, value in message.ListFields():
        if descriptor.type == descriptor.TYPE_MESSAGE:
            inner = [value] if hasattr(value, "ListFields") else value
            count += sum(map(unknown_fields, inner))
    return count


def build(kind, fields):
    return json_format.ParseDict(fields, M[kind]())
