#!/usr/bin/env python3
"""The same samples in Debian's Prometheus (2.42) and in ours by remote write; then the same questions, the same answers.

Some hundred realistic queries, random type-correct ones for as long as there is time, and calls of the API, wrong ones among them.
What 3.x changed on purpose is kept out of the questions: a sample exactly on the older edge of a window (samples and evaluation times
are chosen so that none lies there), extrapolation of a counter that begins within the window (the data begins long before), names
kept by `atan2`, dates of infinite values, the standard deviation of infinite values (NaN now). So is what only shows the last bit of a float:
powers, remainders, rounding, sines of huge numbers, which of equal series bottomk takes. DIFF_SEED, DIFF_QUERIES
and DIFF_SECONDS set the seed, the number and the time of random queries.
"""

import json
import math
import os
import random
import struct
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from peers import FOURSIGHT, check, finish, free_port, get, same, start, until, workdir

SEED = int(os.environ.get("DIFF_SEED", "20240601"))
SECONDS = float(os.environ.get("DIFF_SECONDS", "120"))
QUERIES = int(os.environ.get("DIFF_QUERIES", "10000"))
STEP_MS = 15_000
# Samples lie this far behind multiples of their step, evaluations at other places: nothing is ever on an edge.
SHIFT_MS = 7_123
HOSTS = ("web-1", "web-2", "db-1")


# --- remote write with the standard library


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def message(series):
    out = bytearray()
    for labels, samples in series:
        body = b"".join(field(1, field(1, n.encode()) + field(2, v.encode())) for n, v in sorted(labels.items()))
        body += b"".join(field(2, b"\x09" + struct.pack("<d", v) + b"\x10" + varint(t)) for t, v in samples)
        out += field(1, body)
    return bytes(out)


def snappy(data):
    """A block of literals: valid, if not small."""
    out = bytearray(varint(len(data)))
    for at in range(0, len(data), 60_000):
        part = data[at : at + 60_000]
        out += bytes([61 << 2]) + struct.pack("<H", len(part) - 1) + part
    return bytes(out)


def write(base, series):
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
    status, body = get(f"{base}/api/v1/write", snappy(message(series)), headers, "POST", timeout=60)
    return status in (200, 204) or check(False, f"writing to {base}: {status} {body[:200]}")


def data(rng, start_ms, count):
    """Counters with resets and gaps, gauges of several shapes, classic histograms, odd values, series that end and begin."""
    series = []

    def add(labels, value, keep=lambda i: True):
        samples = [(start_ms + i * STEP_MS + SHIFT_MS, value(i)) for i in range(count) if keep(i)]
        series.append((labels, samples))

    def counter(rate):
        total, values = 0.0, []
        for i in range(count):
            total = 0.0 if rng.random() < 0.004 else total + rng.expovariate(1 / rate)
            values.append(round(total, 3))
        return lambda i: values[i]

    for host in HOSTS:
        for cpu in ("0", "1"):
            for mode in ("user", "system", "idle"):
                add({"__name__": "cpu_seconds_total", "host": host, "cpu": cpu, "mode": mode}, counter(5))
        for path, code in (("/", "200"), ("/buy", "200"), ("/buy", "500"), ("/api", "404")):
            gap = rng.randrange(count)
            add({"__name__": "requests_total", "host": host, "path": path, "code": code}, counter(40), lambda i, g=gap: not g < i < g + 15)
        phase = rng.random() * 6
        add({"__name__": "load", "host": host}, lambda i, p=phase: round(2 + 2 * math.sin(i / 40 + p) + rng.random() / 10, 6))
        add({"__name__": "memory_bytes", "host": host, "kind": "free"}, lambda i: float(rng.randrange(1 << 33)))
        add({"__name__": "memory_bytes", "host": host, "kind": "total"}, lambda i: float(1 << 34))
        add({"__name__": "info", "host": host, "version": f"1.{len(host)}", "os": "linux"}, lambda i: 1.0)
        bounds, state = ("0.1", "0.5", "1", "5", "+Inf"), [0.0] * 5
        rows = []
        for _ in range(count):
            for at in range(5):
                state[at] += rng.randrange(5)
            rows.append([sum(state[: at + 1]) for at in range(5)])
        for at, le in enumerate(bounds):
            add({"__name__": "latency_seconds_bucket", "host": host, "le": le}, lambda i, a=at, r=rows: r[i][a])
        add({"__name__": "latency_seconds_count", "host": host}, lambda i, r=rows: r[i][4])
        add({"__name__": "latency_seconds_sum", "host": host}, lambda i, r=rows: round(r[i][4] * 0.7, 3))
    add({"__name__": "odd", "what": "negative"}, lambda i: -float(i % 7) - 0.25)
    add({"__name__": "odd", "what": "nan"}, lambda i: math.nan if i % 5 == 0 else i + 0.5)
    add({"__name__": "odd", "what": "infinite"}, lambda i: math.inf if i % 9 == 0 else i + 0.75)
    add({"__name__": "odd", "what": "tiny"}, lambda i: 1e-300 * (i + 1))
    add({"__name__": "short", "part": "first"}, lambda i: float(i), lambda i: i < count // 3)
    add({"__name__": "short", "part": "last"}, lambda i: float(i), lambda i: i > 2 * count // 3)
    add({"__name__": "flag", "host": "web-1"}, lambda i: float(i // 20 % 2))
    return series


# --- questions

REALISTIC = [
    "sum by ({by}) (rate(cpu_seconds_total[{range}]))",
    "100 * sum by (host) (rate(cpu_seconds_total{{mode!='idle'}}[{range}])) / sum by (host) (rate(cpu_seconds_total[{range}]))",
    "sum by (host, path) (increase(requests_total{{code=~'5..|4..'}}[{range}])) / ignoring () sum by (host, path) (increase(requests_total[{range}]))",
    "histogram_quantile({q}, sum by (le) (rate(latency_seconds_bucket[{range}])))",
    "histogram_quantile({q}, rate(latency_seconds_bucket[{range}]))",
    "rate(latency_seconds_sum[{range}]) / rate(latency_seconds_count[{range}])",
    "topk({k}, sum by (path) (rate(requests_total[{range}])))",
    "bottomk({k}, memory_bytes{{kind='free'}})",
    "1 - memory_bytes{{kind='free'}} / ignoring (kind) memory_bytes{{kind='total'}}",
    "load * on (host) group_left (version) info",
    "max_over_time(sum(rate(requests_total[{range}]))[10m:30s])",
    "avg_over_time(load[{range}])",
    "quantile_over_time({q}, load[{range}])",
    "predict_linear(memory_bytes{{kind='free'}}[{range}], 3600)",
    "deriv(load[{range}])",
    "changes(flag[{range}])",
    "resets(requests_total[{range}])",
    "absent(nothing{{a='b'}})",
    "absent_over_time(short[{range}])",
    "count by ({by}) ({{__name__=~'.+_total'}})",
    "label_replace(load, 'name', '$1-x', 'host', '([a-z]+)-.*')",
    "label_join(load, 'all', '/', 'host', '__name__')",
    "requests_total offset {range} > bool 100",
    "sum(requests_total) without (code, path)",
    "stddev by (host) (cpu_seconds_total)",
    "count_values('value', round(load))",
    "load > 2 and on (host) memory_bytes{{kind='free'}} > 1e9",
    "load unless on (host) flag == 1",
    "load or odd",
    "sort_desc(sum by (host) (irate(requests_total[{range}])))",
    "idelta(load[{range}])",
    "last_over_time(short[{range}])",
    "stdvar_over_time(load[{range}])",
    "clamp(load, 1, 3)",
    "sgn(odd)",
    "time() - timestamp(load)",
    "hour(timestamp(load))",
    "scalar(load{{host='web-1'}}) * 2",
    "vector({k})",
    "present_over_time(short[{range}])",
]

AGGREGATIONS = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]
OVER_TIME = ["avg", "min", "max", "sum", "count", "stddev", "stdvar", "last", "present"]
WINDOWS = ["rate", "increase", "delta", "irate", "idelta", "changes", "resets", "deriv"]
MATH = ["abs", "ln", "log2", "log10", "sqrt", "atan", "tanh", "rad", "deg"]
RANGES = ["1m", "2m30s", "5m", "17m", "1h"]
SELECTORS = [
    "cpu_seconds_total", "cpu_seconds_total{mode='user'}", "cpu_seconds_total{host=~'web-.'}", "requests_total", "requests_total{code!~'5..'}",
    "load", "memory_bytes", "memory_bytes{kind='free'}", "info", "latency_seconds_bucket", "latency_seconds_count", "odd", "odd{what!='nan'}",
    "short", "flag", "nothing", "{__name__=~'lo.*|fl.*'}",
]
LABELS = ["host", "mode", "cpu", "path", "code", "kind", "le", "what"]


class Random:
    def __init__(self, rng):
        self.rng = rng
        self.inside = False

    def one(self, items):
        return self.rng.choice(items)

    def number(self):
        return self.one(["0", "1", "2.5", "-3", "100", "1e3", "0.1"])

    def scalar(self, depth):
        kind = self.rng.randrange(6)
        if depth <= 0 or kind < 3:
            return self.number()
        if kind == 3:
            return f"({self.scalar(depth - 1)} {self.one(['+', '-', '*', '/'])} {self.scalar(depth - 1)})"
        if kind == 4:
            return f"scalar({self.vector(depth - 1)})"
        return self.one(["time()", "pi()"])

    @staticmethod
    def may_be_infinite(query):
        return any(part in query for part in ("odd", "/", "ln", "log", "sqrt"))

    def modifiers(self):
        kind = self.rng.randrange(8)
        if kind == 0:
            return f" offset {self.one(RANGES)}"
        if kind == 1:
            return f" @ {self.end - 1234}"
        return ""

    def matrix(self, depth):
        # Not one within another: steps of the outer one would lie on edges of the inner one.
        if depth > 0 and not self.inside and self.rng.random() < 0.2:
            self.inside = True
            inner = self.call(depth - 1)
            self.inside = False
            return f"{inner}[{self.one(['5m', '12m', '1h'])}:{self.one(['15s', '30s', '1m'])}]{self.modifiers()}"
        return f"{self.one(SELECTORS)}[{self.one(RANGES)}]{self.modifiers()}"

    def grouping(self):
        labels = self.rng.sample(LABELS, self.rng.randrange(3))
        return f"{self.one(['by', 'without'])} ({', '.join(labels)})"

    def call(self, depth):
        """A vector that may stand before a subquery's brackets."""
        return f"({self.vector(depth)})"

    def vector(self, depth):
        kind = self.rng.randrange(12) if depth > 0 else 0
        if kind <= 1:
            return self.one(SELECTORS) + self.modifiers()
        if kind <= 3:
            inner = self.vector(depth - 1)
            infinite = self.may_be_infinite(inner)
            return f"{self.one(AGGREGATIONS[:-2] if infinite else AGGREGATIONS)} {self.grouping()} ({inner})"
        if kind == 4:
            inner = self.matrix(depth - 1)
            infinite = self.may_be_infinite(inner)
            return f"{self.one([f for f in OVER_TIME if not (infinite and f.startswith('std'))])}_over_time({inner})"
        if kind <= 6:
            return f"{self.one(WINDOWS)}({self.matrix(depth - 1)})"
        if kind == 7:
            return f"{self.one(MATH)}({self.vector(depth - 1)})"
        if kind == 8:
            op = self.one(["+", "-", "*", "/", "==", "!=", ">", "<", ">=", "<="])
            if self.rng.random() < 0.5:
                bool_ = " bool" if op in ("==", "!=", ">", "<", ">=", "<=") and self.rng.random() < 0.5 else ""
                return f"({self.vector(depth - 1)} {op}{bool_} {self.scalar(depth - 1)})"
            return f"({self.vector(depth - 1)} {op} on ({self.one(LABELS)}) group_left () {self.vector(depth - 1)})"
        if kind == 9:
            return f"({self.vector(depth - 1)} {self.one(['and', 'or', 'unless'])} on (host) {self.vector(depth - 1)})"
        if kind == 10:
            return f"quantile({self.one(['0', '0.3', '0.9', '1'])}, {self.vector(depth - 1)})"
        return f"clamp_{self.one(['min', 'max'])}({self.vector(depth - 1)}, {self.scalar(0)})"


def answer(base, path, parameters, method="GET"):
    text = urllib.parse.urlencode(parameters)
    if method == "POST":
        status, body = get(f"{base}{path}", text.encode(), {"Content-Type": "application/x-www-form-urlencoded"}, "POST", 60)
    else:
        status, body = get(f"{base}{path}?{text}", timeout=60)
    try:
        return status, json.loads(body)
    except ValueError:
        return status, {"status": "no JSON", "error": body[:200].decode(errors="replace")}


def series_of(body):
    """Series of a result: labels to a list of (time, value)."""
    data = body["data"]
    if data["resultType"] in ("scalar", "string"):
        return {(): [data["result"]]}
    return {
        tuple(sorted(row["metric"].items())): row["values"] if "values" in row else [row["value"]] for row in data["result"]
    }


def number(text):
    return float(text.replace("Inf", "inf").replace("NaN", "nan"))


def difference(theirs, mine):
    """What differs between two answers, or nothing."""
    (their_status, their_body), (my_status, my_body) = theirs, mine
    if their_status != my_status:
        return f"status {their_status} {their_body.get('error', '')!r} and {my_status} {my_body.get('error', '')!r}"
    if their_status != 200:
        if their_body.get("errorType") != my_body.get("errorType"):
            return f"kinds {their_body.get('errorType')} and {my_body.get('errorType')}"
        return None
    if their_body["data"]["resultType"] != my_body["data"]["resultType"]:
        return "types of results"
    a, b = series_of(their_body), series_of(my_body)
    if a.keys() != b.keys():
        return f"series only theirs {list(a.keys() - b.keys())[:2]}, only ours {list(b.keys() - a.keys())[:2]}"
    for labels in a:
        if [point[0] for point in a[labels]] != [point[0] for point in b[labels]]:
            return f"times of {dict(labels)}: {len(a[labels])} and {len(b[labels])} points"
        for (when, x), (_, y) in zip(a[labels], b[labels]):
            if not same(number(x), number(y)):
                return f"{dict(labels)} at {when}: {x} and {y}"
    return None


WRONG = [
    ("/api/v1/query", {"query": "sum("}),
    ("/api/v1/query", {"query": ""}),
    ("/api/v1/query", {"query": "rate(load)"}),
    ("/api/v1/query", {"query": "unknown_function(load)"}),
    ("/api/v1/query", {"query": "load", "time": "yesterday"}),
    ("/api/v1/query", {"query": "load", "timeout": "soon"}),
    ("/api/v1/query", {"query": "{a=''}"}),
    ("/api/v1/query", {"query": "load{host=~'('}"}),
    ("/api/v1/query", {"query": "'text' + 1"}),
    ("/api/v1/query", {"query": "load == on (host) group_left info + load"}),
    ("/api/v1/query", {"query": "cpu_seconds_total + on (host) cpu_seconds_total"}),
    ("/api/v1/query", {"query": "label_replace(load, '1bad', 'x', 'host', '(')"}),
    ("/api/v1/query_range", {"query": "load"}),
    ("/api/v1/query_range", {"query": "load", "start": "10", "end": "5", "step": "1"}),
    ("/api/v1/query_range", {"query": "load", "start": "0", "end": "100000", "step": "1"}),
    ("/api/v1/query_range", {"query": "load", "start": "0", "end": "10", "step": "0"}),
    ("/api/v1/query_range", {"query": "load[5m]", "start": "0", "end": "10", "step": "1"}),
    ("/api/v1/series", {}),
    ("/api/v1/series", {"match[]": "{}"}),
    ("/api/v1/series", {"match[]": "load{"}),
    ("/api/v1/series", {"match[]": "load", "start": "x"}),
    ("/api/v1/labels", {"match[]": "load{"}),
    ("/api/v1/labels", {"start": "x"}),
    ("/api/v1/targets/metadata", {"limit": "x"}),
    ("/api/v1/metadata", {"limit": "x"}),
    ("/api/v1/rules", {"type": "x"}),
    ("/api/v1/nothing", {}),
]


def main():
    rng = random.Random(SEED)
    dir = workdir()
    at = lambda name: os.path.join(dir, name)
    with open(at("config.yml"), "w") as file:
        file.write("{}\n")
    ours, peer = free_port(), free_port()
    flags = lambda port, data: [f"--config.file={at('config.yml')}", f"--storage.tsdb.path={at(data)}", f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver"]
    server = start("metrics", [FOURSIGHT, "metrics", *flags(ours, "ours")], at("ours.log"))
    debian = start("prometheus", ["prometheus", *flags(peer, "peer")], at("peer.log"))
    ours, peer = f"http://127.0.0.1:{ours}", f"http://127.0.0.1:{peer}"
    until("our server is ready", lambda: get(f"{ours}/-/ready")[0] == 200, child=server)
    until("the peer is ready", lambda: get(f"{peer}/-/ready")[0] == 200, child=debian)

    count = 1920
    end = int(time.time()) // 60 * 60 - 300
    start_ms = (end - count * STEP_MS // 1000) * 1000
    all_series = data(rng, start_ms, count)
    # In the order of time, as a sender would.
    for first in range(0, count, 60):
        low, high = start_ms + first * STEP_MS, start_ms + (first + 60) * STEP_MS
        part = [(labels, [s for s in samples if low <= s[0] < high]) for labels, samples in all_series]
        part = [(labels, samples) for labels, samples in part if samples]
        if not (write(ours, part) and write(peer, part)):
            return finish()

    # 7 s behind multiples of every step: no evaluation and no step of a subquery meets an edge.
    moments = [end - rng.randrange(960, 4800) // 60 * 60 + 7 for _ in range(6)]
    asked = wrong = 0

    def compare(query, ranged):
        nonlocal asked, wrong
        asked += 1
        if ranged:
            begin = rng.choice(moments) - 600
            parameters = {"query": query, "start": begin, "end": begin + 1500, "step": rng.choice([15, 60, 71])}
            path = "/api/v1/query_range"
            if parameters["step"] == 71:
                parameters["step"] = 60
        else:
            parameters, path = {"query": query, "time": rng.choice(moments)}, "/api/v1/query"
        different = difference(answer(peer, path, parameters), answer(ours, path, parameters))
        if different:
            wrong += 1
            if wrong <= 20:
                check(False, f"{path} {parameters}: {different}")

    for template in REALISTIC:
        for ranged in (False, True):
            for _ in range(4):
                by = ", ".join(rng.sample(["host", "mode", "path", "code"], rng.randrange(1, 3)))
                compare(template.format(by=by, range=rng.choice(RANGES), q=rng.choice(["0.5", "0.9", "0.99"]), k=rng.choice(["1", "2", "5"])), ranged)
    check(wrong == 0, f"{asked} realistic queries have the same answers")

    realistic, before = asked, wrong
    make = Random(rng)
    make.end = end
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and asked - realistic < QUERIES:
        compare(make.vector(rng.randrange(1, 5)), rng.random() < 0.5)
    check(wrong == before, f"{asked - realistic} random queries (seed {SEED}) have the same answers")

    for path, parameters in WRONG:
        (their_status, theirs), (my_status, mine) = answer(peer, path, parameters), answer(ours, path, parameters)
        same_kind = theirs.get("errorType") == mine.get("errorType")
        check(their_status == my_status and same_kind, f"{path} {parameters}: {their_status} {theirs.get('errorType')} and {my_status} {mine.get('errorType')}")
    window = {"start": start_ms / 1000, "end": end}
    calls = [
        ("/api/v1/labels", window),
        ("/api/v1/labels", {"match[]": "requests_total", **window}),
        ("/api/v1/label/host/values", window),
        ("/api/v1/label/__name__/values", window),
        ("/api/v1/label/path/values", {"match[]": "requests_total{code='500'}", **window}),
        ("/api/v1/label/nothing/values", window),
    ]
    for path, parameters in calls:
        theirs, mine = answer(peer, path, parameters), answer(ours, path, parameters)
        check(theirs == mine, f"{path} {parameters}")
    by_labels = lambda body: sorted(json.dumps(row, sort_keys=True) for row in body.get("data", []))
    for selector in ("load", "{host='web-1'}", "{__name__=~'.*total'}", "nothing"):
        theirs, mine = (answer(base, "/api/v1/series", {"match[]": selector, **window})[1] for base in (peer, ours))
        check(by_labels(theirs) == by_labels(mine), f"/api/v1/series {selector}")
    finish()


if __name__ == "__main__":
    main()
