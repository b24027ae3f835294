#!/usr/bin/env python3
"""The log server on the corpus: ingest over HTTP, disk, queries, every answer checked against what the generator knows.
`cargo build --release --workspace && benches/peers/logs.py [MEGABYTES]` writes the table into docs/performance.md.
Neither Loki nor VictoriaLogs is packaged by Debian: their columns are figures taken on the same kind of machine (2 cores,
2.5 GHz Xeon) with a corpus of 1,020 MB of the same make. CPU figures are those of the server's process."""

import json
import os
import statistics
import sys
import time
import urllib.parse

from common import RELEASE, WORK, Server, free_port, get, load, machine, table, write_section

REPEAT = int(os.environ.get("REPEAT", "3"))
ALL = '{job=~".+"}'
# What Loki (August 2026) and VictoriaLogs 1.26 took, in CPU milliseconds.
PEERS = {
    "trace id over everything": (13257, 43), "absent word over everything": (12710, 17), "1,000 hits over everything": (12890, 1070),
    "common word, newest 100 lines": (530, 70), "regex over one kind of stream, count": (200, 50), "case-insensitive count": (3423, 143),
    "|= a != b |~ c, count": (4960, 780), "count_over_time by host, 1 m steps": (7507, 183), "errors by level, rate": (567, 20),
    "count of everything by job": (21300, 403), "JSON, status 5xx, 1 m steps": (5187, 47), "JSON, two fields": (2620, 83),
    "logfmt, p99 of a duration": (7610, 4370), "top paths after a pattern parser": (953, 157), "volume by job": (0, 363),
}
JOBS = {"nginx": "web", "api": "json", "gateway": "logfmt", "syslog": "system"}


def queries(start, end, truth):
    """Name, path, parameters, check of the answer's data."""
    span = f"{round((end - start) / 1e9)}s"

    def lines(query, limit=100):
        return ("query_range", {"query": query, "start": start, "end": end, "limit": limit})

    def instant(query):
        return ("query", {"query": query, "time": end - 1})

    def steps(query):
        return ("query_range", {"query": query, "start": start + 60_000_000_000, "end": end - 1, "step": "60s"})

    def count(n):
        return lambda data: sum(len(s["values"]) for s in data["result"]) == n

    def total(n):
        return lambda data: sum(float(s["value"][1]) for s in data["result"]) == n

    def some(data):
        return len(data["result"]) > 0

    def of_jobs(data):
        return {s["metric"]["job"]: int(float(s["value"][1])) for s in data["result"]} == {job: truth[kind] for job, kind in JOBS.items()}

    def volume(data):
        found = {s["metric"]["job"]: int(s["value"][1]) for s in data["result"]}
        return set(found) == set(JOBS) and sum(found.values()) == truth["bytes"]

    return [
        ("trace id over everything", *lines(f'{ALL} |= "c0ffee5eed4bf92f3577b34da6a3ce92"'), count(truth["trace"])),
        ("absent word over everything", *lines(f'{ALL} |= "zyzzyvaless"'), count(0)),
        ("1,000 hits over everything", *lines(f'{ALL} |= "quasarflux"', 5000), count(truth["thousand"])),
        ("common word, newest 100 lines", *lines(f'{ALL} |= "GET"'), count(100)),
        ("regex over one kind of stream, count", *instant(f'sum(count_over_time({{job="nginx"}} |~ "HTTP/1\\\\.1\\" 50[0-9] " [{span}]))'), total(truth["web_5xx"])),
        ("case-insensitive count", *instant(f'sum(count_over_time({ALL} |~ "(?i)TIMEOUT" [{span}]))'), some),
        ("|= a != b |~ c, count", *instant(f'sum(count_over_time({{job=~"api|gateway"}} |= "error" != "timeout" |~ "order|stock" [{span}]))'), some),
        ("count_over_time by host, 1 m steps", *steps(f"sum by (host) (count_over_time({ALL}[1m]))"), some),
        ("errors by level, rate", *steps('sum by (level) (rate({job="api"} |= "error" [1m]))'), some),
        ("count of everything by job", *instant(f"sum by (job) (count_over_time({ALL}[{span}]))"), of_jobs),
        ("JSON, status 5xx, 1 m steps", *instant(f'sum(count_over_time({{job="api"}} | json | status >= 500 [{span}]))'), total(truth["json_5xx"])),
        ("JSON, two fields", *instant(f'sum by (service, level) (count_over_time({{job="api"}} | json level="level", service="service" [{span}]))'), some),
        ("logfmt, p99 of a duration", *steps('quantile_over_time(0.99, {job="gateway"} | logfmt | unwrap duration(duration) [5m]) by (host)'), some),
        ("top paths after a pattern parser", *instant(f'topk(10, sum by (path) (count_over_time({{job="nginx"}} | pattern `<_> "<method> <path> <_>" <status> <_>` [{span}])))'), some),
        ("volume by job", "index/volume", {"query": ALL, "start": start, "end": end, "targetLabels": "job", "limit": 100}, volume),
    ]


def main():
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 1020
    note = machine()
    end = int(time.time()) // 60 * 60_000_000_000 - 60_000_000_000
    file = os.path.join(WORK, "logs.requests")
    truth = load("logs", megabytes, end, file)
    start = truth["start_ns"]
    port = free_port()
    data = os.path.join(WORK, "foursight")
    config = os.path.join(WORK, "loki.yaml")
    open(config, "w", encoding="utf-8").write(f"""auth_enabled: false
server: {{http_listen_address: 127.0.0.1, http_listen_port: {port}}}
common: {{path_prefix: {data}}}
limits_config:
  ingestion_rate_mb: 10000
  ingestion_burst_size_mb: 10000
  per_stream_rate_limit: 1GB
  per_stream_rate_limit_burst: 1GB
  max_global_streams_per_user: 0
  volume_enabled: true
  max_query_series: 100000
  discover_log_levels: false
  discover_service_name: []
""")
    server = Server("foursight", [os.path.join(RELEASE, "foursight"), "logs", f"-config.file={config}"], f"http://127.0.0.1:{port}", "/ready", data)
    os.makedirs(data, exist_ok=True)
    server.start()
    before = server.cpu()
    sent = load("send", server.base + "/loki/api/v1/push", file, 8)
    pushed = server.cpu() - before
    get(server.base + "/flush", data=b"", method="POST")
    time.sleep(3)
    server.settle()
    used = server.cpu() - before
    raw = truth["bytes"]
    rows = [
        ["ingest, raw MB per server CPU second, flush included", f"{raw / used / 1e6:.1f}", "14.5", "10-18"],
        ["the same until the last push was answered", f"{raw / pushed / 1e6:.1f}", "", ""],
        ["ingest, raw MB/s on the wall, eight connections", f"{raw / sent['seconds'] / 1e6:.1f}", "29", "20"],
        ["peak resident MB in ingest", f"{server.status('VmHWM') / 1e6:.0f}", "1,153", "337-429"],
        ["disk / raw", f"{server.disk() / raw:.3f}", "0.232", "0.221-0.229"],
    ]
    print(rows, flush=True)
    wrong = []
    for name, path, params, check in queries(start, end, truth):
        times = []
        for _ in range(REPEAT + 1):
            before = server.cpu()
            status, body = get(f"{server.base}/loki/api/v1/{path}?{urllib.parse.urlencode(params)}")
            times.append((server.cpu() - before) * 1000)
        if status != 200:
            good = body[:300].decode(errors="replace")
        else:
            good = check(json.loads(body)["data"])
        if good is not True:
            wrong.append(name)
            print(name, "is wrong:", good, body[:300], flush=True)
        loki, victoria = PEERS[name]
        rows.append([name + ", CPU ms" if name.startswith("trace") else name, f"{statistics.median(times[1:]):.1f} (first {times[0]:.1f})" + ("" if good is True else " WRONG"), f"{loki:,}", f"{victoria:,}"])
        print(rows[-1], flush=True)
    server.stop()
    text = f"{note}. {raw / 1e6:.0f} MB, {truth['lines']:,} lines.\n\n" + table(["", "Foursight", "Loki", "VictoriaLogs"], rows)
    write_section("logs", text)
    sys.exit(1 if wrong else 0)


main()
