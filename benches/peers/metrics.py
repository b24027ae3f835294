#!/usr/bin/env python3
"""The metrics server beside Debian's Prometheus and VictoriaMetrics in one run: the same requests by remote write, the same queries,
answers compared. `cargo build --release --workspace && benches/peers/metrics.py [small] [large] [churn]` writes the tables into
docs/performance.md. A peer that is not installed is left out and named (apt-get install prometheus victoria-metrics).
CPU seconds are those of the server's process."""

import json
import math
import os
import shutil
import statistics
import sys
import time
import urllib.parse

from common import RELEASE, WORK, Server, free_port, get, load, machine, table, write_section

SETS = {"small": (10, 1440), "large": (194, 240)}
REPEAT = int(os.environ.get("REPEAT", "5"))


def servers(name):
    found, missing = [], []
    port = free_port()
    data = os.path.join(WORK, name, "foursight")
    config = os.path.join(WORK, "empty.yml")
    open(config, "w", encoding="utf-8").write("global: {scrape_interval: 15s}\n")
    base = f"http://127.0.0.1:{port}"
    foursight = [os.path.join(RELEASE, "foursight"), "metrics", f"--config.file={config}", f"--storage.tsdb.path={data}",
                 f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver", "--web.enable-admin-api"]
    found.append(Server("foursight", foursight, base, "/-/ready", data))
    if shutil.which("prometheus"):
        port = free_port()
        data = os.path.join(WORK, name, "prometheus")
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}", f"--web.listen-address=127.0.0.1:{port}",
                   "--web.enable-remote-write-receiver", "--web.enable-admin-api", "--query.lookback-delta=5m"]
        found.append(Server("prometheus", command, f"http://127.0.0.1:{port}", "/-/ready", data))
    else:
        missing.append("prometheus")
    if shutil.which("victoria-metrics"):
        port = free_port()
        data = os.path.join(WORK, name, "victoria")
        command = ["victoria-metrics", f"-storageDataPath={data}", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=1y",
                   "-search.disableCache", "-search.maxUniqueTimeseries=2000000", "-search.latencyOffset=0s"]
        found.append(Server("victoria-metrics", command, f"http://127.0.0.1:{port}", "/health", data))
    else:
        missing.append("victoria-metrics")
    return found, missing


def queries(start, end):
    """Name, kind, parameters. Times in seconds, a millisecond behind full ones: 2.42 counts a sample on the older edge of a window, 3.x does not."""
    end += 0.001
    hour, six = end - 3600, max(start + 600, end - 6 * 3600)

    def instant(query):
        return ("query", {"query": query, "time": end})

    def over(query, begin, step):
        return ("query_range", {"query": query, "start": begin, "end": end, "step": step})

    return [
        ("one series, whole range", over('node_load1{instance="host-0001.dc1.example.net:9100"}', six, 60)),
        ("instant selector, one host", instant('{instance="host-0001.dc1.example.net:9100"}')),
        ("instant selector, all hosts", instant("node_memory_MemAvailable_bytes")),
        ("count of everything by name", instant('count by (__name__) ({__name__!=""})')),
        ("count of everything", instant('count({__name__!=""})')),
        ("rate by mode, 60 s steps", over("sum by (mode) (rate(node_cpu_seconds_total[5m]))", six, 60)),
        ("rate by mode, 15 s steps", over("sum by (mode) (rate(node_cpu_seconds_total[5m]))", hour, 15)),
        ("busy by instance", over('100 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])) * 100', hour, 60)),
        ("memory used ratio", over("1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes", hour, 60)),
        ("file systems, regex", over('100 - node_filesystem_avail_bytes{fstype!~"tmpfs|overlay"} * 100 / node_filesystem_size_bytes{fstype!~"tmpfs|overlay"}', hour, 60)),
        ("network by device", over("sum by (device) (irate(node_network_receive_bytes_total[5m]))", hour, 60)),
        ("topk of rates", over("topk(5, sum by (instance) (rate(node_network_transmit_bytes_total[5m])))", hour, 60)),
        ("quantile over hosts", over("quantile(0.95, node_load1)", six, 60)),
        ("avg_over_time", over("avg_over_time(node_load5[30m])", six, 60)),
        ("max of deriv", over("max by (instance) (deriv(node_memory_Cached_bytes[15m]))", hour, 60)),
        ("subquery", over("max_over_time(sum by (instance) (rate(node_cpu_seconds_total[5m]))[30m:1m])", hour, 120)),
        ("join with group_left", over("node_load1 * on (instance) group_left (nodename) node_uname_info", hour, 60)),
        ("regex on names", instant('count by (__name__) ({__name__=~"node_memory_.*_bytes"})')),
        ("label values with a matcher", ("label/instance/values", {"match[]": 'node_load1{datacenter="dc1"}', "start": hour, "end": end})),
        ("series", ("series", {"match[]": 'node_cpu_seconds_total{mode="idle"}', "start": hour, "end": end})),
    ]


def ask(server, kind, params):
    status, body = get(f"{server.base}/api/v1/{kind}?{urllib.parse.urlencode(params)}")
    if status != 200:
        return f"{status} {body[:200].decode(errors='replace')}"
    return json.loads(body)["data"]


def canonical(kind, data):
    if isinstance(data, str):
        return data
    if kind.startswith("label"):
        return sorted(data)
    if kind == "series":
        return sorted(tuple(sorted(row.items())) for row in data)
    rows = {}
    for row in data["result"]:
        points = row["values"] if "values" in row else [row["value"]]
        rows[tuple(sorted(row["metric"].items()))] = [(float(t), float(v)) for t, v in points]
    return rows


def equal(a, b):
    if not isinstance(a, dict) or not isinstance(b, dict):
        return a == b
    if a.keys() != b.keys():
        return False
    for key, points in a.items():
        other = b[key]
        if [t for t, _ in points] != [t for t, _ in other]:
            return False
        for (_, x), (_, y) in zip(points, other):
            if not (math.isnan(x) and math.isnan(y)) and abs(x - y) > 1e-5 * max(abs(x), abs(y), 1e-9):
                return False
    return True


def measure(server, kind, params):
    """CPU milliseconds of one answer: the first, and the median of those after it."""
    before = server.cpu()
    data = ask(server, kind, params)
    cold = (server.cpu() - before) * 1000
    warm = []
    for _ in range(REPEAT):
        before = server.cpu()
        ask(server, kind, params)
        warm.append((server.cpu() - before) * 1000)
    return cold, statistics.median(warm), canonical(kind, data)


def run_set(name):
    hosts, scrapes = SETS[name]
    # The end is a full minute ago, so that every server takes the last sample and no query reaches into the future.
    end = int(time.time()) // 60 * 60 - 60
    start = end - scrapes * 15
    file = os.path.join(WORK, name + ".requests")
    shape = load("metrics", hosts, scrapes, end * 1000, file)
    samples, series = shape["samples"], shape["series"]
    found, missing = servers(name)
    rows, answers = [], {}
    for server in found:
        os.makedirs(server.data, exist_ok=True)
        server.start()
        before = server.cpu()
        path = "/api/v1/write"
        sent = load("send", server.base + path, file, 8)
        ingest = server.cpu() - before
        peak = server.status("VmHWM")
        time.sleep(2)
        server.settle()
        settled = server.cpu() - before
        figures = {"ingest": samples / ingest / 1e6, "with background work": samples / settled / 1e6, "wall": samples / sent["seconds"] / 1e6, "peak": peak / series}
        answers[server.name] = [measure(server, kind, params) for _, (kind, params) in queries(start, end)]
        # Everything into blocks or parts, as after compaction.
        if server.name == "victoria-metrics":
            get(server.base + "/internal/force_flush")
            get(server.base + "/internal/force_merge")
            time.sleep(2)
            server.settle()
            figures["disk"] = server.disk() / samples
        else:
            status, body = get(server.base + "/api/v1/admin/tsdb/snapshot", data=b"", method="POST")
            if status == 200:
                folder = os.path.join(server.data, "snapshots", json.loads(body)["data"]["name"])
                figures["disk"] = sum(os.path.getsize(os.path.join(at, f)) for at, _, files in os.walk(folder) for f in files) / samples
                shutil.rmtree(folder)
            else:
                figures["disk"] = float("nan")
        figures["written"] = server.written() / samples
        server.stop()
        figures["restart"] = server.start()
        server.stop()
        rows.append((server.name, figures))
        print(name, server.name, {key: round(value, 3) for key, value in figures.items()}, flush=True)
    header = [f"{name}: {series:,} series, {samples / 1e6:.1f} M samples"] + [server for server, _ in rows]
    labels = [("ingest", "ingest, M samples per server CPU second", "{:.2f}"), ("with background work", "the same with work in the background until it is quiet", "{:.2f}"),
              ("wall", "ingest, M samples a second on the wall", "{:.2f}"), ("peak", "peak resident bytes a series", "{:,.0f}"),
              ("disk", "disk, bytes a sample, all in blocks", "{:.2f}"), ("written", "written to disk, bytes a sample", "{:.2f}"),
              ("restart", "restart to ready, s", "{:.2f}")]
    text = table(header, [[title] + [form.format(figures[key]) for _, figures in rows] for key, title, form in labels])
    ours = answers["foursight"]
    query_rows, ratios = [], {server: [] for server, _ in rows[1:]}
    for at, (title, (kind, _)) in enumerate(queries(start, end)):
        cells = [title]
        for server, _ in rows:
            cold, warm, _ = answers[server][at]
            cells.append(f"{cold:.1f} / {warm:.1f}")
            if server != "foursight":
                ratios[server].append(warm / max(ours[at][1], 1e-3))
        for server, _ in rows[1:]:
            # VictoriaMetrics' rate and its like differ by design, so only Prometheus' answers decide.
            if server == "prometheus":
                cells.append("equal" if equal(ours[at][2], answers[server][at][2]) else "DIFFERS")
        query_rows.append(cells)
    header = ["server CPU ms, first / later"] + [server for server, _ in rows] + (["answers"] if "prometheus" in answers else [])
    text += "\n\n" + table(header, query_rows)
    for server, values in ratios.items():
        text += f"\n\nMedian over these queries: {server} takes {statistics.median(values):.1f} times as much CPU; least {min(values):.1f} times."
    if missing:
        text += f"\n\nNot measured, because not installed: {', '.join(missing)}."
    return text


def run_churn():
    count = int(os.environ.get("CHURN", "1000000"))
    end = int(time.time()) // 60 * 60
    file = os.path.join(WORK, "churn.requests")
    load("churn", count, end * 1000, file)
    rows = []
    for server in servers("churn")[0]:
        os.makedirs(server.data, exist_ok=True)
        server.start()
        before = server.cpu()
        sent = load("send", server.base + "/api/v1/write", file, 8)
        used = server.cpu() - before
        rows.append([server.name, f"{count / used / 1e3:.0f}", f"{sent['seconds']:.1f}", f"{server.status('VmHWM') / count:,.0f}"])
        print("churn", rows[-1], flush=True)
        server.stop()
    return table([f"{count:,} new series, one sample each", "thousand series per CPU second", "seconds", "peak bytes a series"], rows)


def main():
    wanted = sys.argv[1:] or ["small", "large", "churn"]
    note = machine()
    for name in wanted:
        text = run_churn() if name == "churn" else run_set(name)
        write_section(f"metrics-{name}", f"{note}\n\n{text}")


main()
