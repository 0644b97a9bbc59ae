#!/usr/bin/env python3
"""U-Boot's environment format.

environment.py block FILE SIZE NAME=VALUE...   writes one block: CRC-32, then name=value, each ended by a zero byte
environment.py default BINARY NAME=VALUE...    changes the defaults inside a U-Boot binary, in place; the defaults must
                                               not become longer than they were
"""
import sys
import zlib


def block(path, size, settings):
    body = b"".join(s.encode() + b"\0" for s in settings) + b"\0"
    room = size - 4
    if len(body) > room:
        sys.exit(f"environment.py: {len(body)} bytes of settings do not fit into {room}")
    body = body.ljust(room, b"\0")
    with open(path, "wb") as file:
        file.write(zlib.crc32(body).to_bytes(4, "little") + body)


def change_default(path, settings):
    with open(path, "rb") as file:
        data = file.read()
    # bootcmd is the first of them; the block ends with an empty entry.
    inside = data.find(b"\0bootcmd=")
    if inside < 0 or data.find(b"\0bootcmd=", inside + 1) >= 0:
        sys.exit(f"environment.py: {path}: no default environment, or more than one")
    start = inside + 1
    end = data.index(b"\0\0", inside) + 1
    entries = dict(entry.split(b"=", 1) for entry in data[start:end].rstrip(b"\0").split(b"\0"))
    for setting in settings:
        name, value = setting.encode().split(b"=", 1)
        if value:
            entries[name] = value
        else:
            entries.pop(name, None)
    new = b"".join(name + b"=" + value + b"\0" for name, value in entries.items())
    if len(new) > end - start:
        sys.exit(f"environment.py: {path}: the new defaults are {len(new) - (end - start)} bytes too long")
    with open(path, "wb") as file:
        file.write(data[:start] + new.ljust(end - start, b"\0") + data[end:])


def main():
    arguments = sys.argv[1:]
    if len(arguments) >= 3 and arguments[0] == "block":
        block(arguments[1], int(arguments[2]), arguments[3:])
    elif len(arguments) >= 2 and arguments[0] == "default":
        change_default(arguments[1], arguments[2:])
    else:
        sys.exit(__doc__)


main()
