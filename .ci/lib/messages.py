"""Remote write by hand: protobuf and snappy without a library."""

import struct


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def snappy(data):
    """A snappy block of literals only."""
    out = varint(len(data))
    for start_at in range(0, len(data), 60):
        part = data[start_at:start_at + 60]
        out += bytes([(len(part) - 1) << 2]) + part
    return out


REMOTE_WRITE = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}


def remote_write(name, series, at_ms, value):
    message = b""
    for number in range(series):
        label = lambda key, text: field(1, field(1, key.encode()) + field(2, text.encode()))
        sample = b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at_ms)
        message += field(1, label("__name__", name) + label("number", str(number)) + field(2, sample))
    return snappy(message)
