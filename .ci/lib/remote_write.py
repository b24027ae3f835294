"""Remote write 1.0 in a few lines: requests from Python's standard library alone."""

import struct

from peers import get

HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def labels(**pairs):
    """A label set as bytes; `name` is the metric's."""
    pairs["__name__"] = pairs.pop("name")
    return b"".join(field(1, field(1, name.encode()) + field(2, str(pairs[name]).encode())) for name in sorted(pairs))


def sample(at_ms, value):
    return field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at_ms))


def snappy(data):
    """A snappy block of literals only."""
    out = [varint(len(data))]
    for at in range(0, len(data), 60):
        part = data[at:at + 60]
        out += [bytes([(len(part) - 1) << 2]), part]
    return b"".join(out)


def request(series):
    """The body of a request with [(labels, [(ms, value)])]."""
    return snappy(b"".join(field(1, name + b"".join(sample(*one) for one in samples)) for name, samples in series))


def numbered(name, count, at_ms, value):
    """A request with one sample for each of many series."""
    return request([(labels(name=name, number=number), [(at_ms, value)]) for number in range(count)])


def post(url, series, timeout=5):
    """Sends it; the answer's status and body, status 0 when there is none."""
    return get(f"{url}/api/v1/write", data=request(series), headers=HEADERS, timeout=timeout)
