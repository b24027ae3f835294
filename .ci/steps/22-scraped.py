#!/usr/bin/env python3
"""Debian's Prometheus scrapes everything that the stack shows, complains of nothing, sees the same samples as our own server, and writes them
back to it."""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from peers import FOURSIGHT, check, finish, free_port, get, query, start, stop, tail, until, workdir

PARTS = ["titan", "node", "agent", "metrics", "logs", "dashboards", "slack"]


def main():
    if not shutil.which("prometheus"):
        check(False, "Debian's prometheus is installed")
        finish()
    work = workdir()
    ports = {part: free_port() for part in PARTS}
    base = {part: f"http://127.0.0.1:{port}" for part, port in ports.items()}
    flags = [f"--{part}-port={port}" for part, port in ports.items()]
    stack = start("foursight up", [FOURSIGHT, "up", "--data", os.path.join(work, "data"), *flags], os.path.join(work, "up.log"))
    jobs = [part for part in PARTS if part != "slack"]
    until("the stack is up", lambda: query(base["metrics"], f"count(up == 1) >= {len(jobs)}") or None, 60, stack)

    config = os.path.join(work, "prometheus.yml")
    peer_port = free_port()
    with open(config, "w", encoding="utf-8") as file:
        file.write("global: {scrape_interval: 2s, external_labels: {from: debian}}\nscrape_configs:\n")
        for job in jobs:
            file.write(f"- {{job_name: {job}, static_configs: [{{targets: ['127.0.0.1:{ports[job]}']}}]}}\n")
        file.write(f"remote_write: [{{url: '{base['metrics']}/api/v1/write'}}]\n")
    args = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={work}/peer", f"--web.listen-address=127.0.0.1:{peer_port}", "--log.level=debug",
            "--enable-feature=exemplar-storage"]
    peer = start("prometheus", args, os.path.join(work, "peer.log"))
    peer_url = f"http://127.0.0.1:{peer_port}"
    # Five scrapes of each, so that counters move, series come and go and caches are warm.
    enough = lambda: query(peer_url, f"count(count_over_time(up[10m]) >= 5) == {len(jobs)}")
    until("Prometheus has scraped everything five times", lambda: isinstance(enough(), dict) and enough(), 60, peer)
    for job in jobs:
        down = query(peer_url, f'count_over_time((up{{job="{job}"}} == 0)[10m:1s])')
        check(down == {}, f"{job}: every scrape of Prometheus succeeded {down}")
        samples = query(peer_url, f'scrape_samples_scraped{{job="{job}"}}')
        check(samples and min(samples.values()) > 20, f"{job}: {[int(v) for v in samples.values()]} samples at once")
    arrived = lambda: query(base["metrics"], 'count(count by (job) (up{from="debian"}))')
    until("what Prometheus writes arrives", lambda: arrived() == {(): float(len(jobs))}, 30, peer)
    names = lambda url, more: query(url, f'count by (job) (count by (job, __name__) (last_over_time({{job=~".+"{more}}}[2m])))')
    theirs = {labels: n for labels, n in names(peer_url, "").items()}
    # What came through Prometheus has all its names.
    until("as many names of each job as Prometheus has", lambda: names(base["metrics"], ', from="debian"') == names(peer_url, ""), 30, peer)
    check(len(theirs) == len(jobs), f"names of each job: { {dict(labels)['job']: int(n) for labels, n in theirs.items()} }")
    with open(peer.log, encoding="utf-8") as file:
        bad = [line.strip() for line in file if "level=warn" in line or "level=error" in line or "Append failed" in line or "Error on ingesting" in line]
    check(not bad, f"Prometheus complains of nothing {bad[:3]}")

    # Names that are the peers' own are wrong by promtool's rules: they stay.
    for job in jobs:
        status, page = get(f"{base[job]}/metrics")
        found = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
        lines = [line for line in found.stderr.decode().splitlines() + found.stdout.decode().splitlines() if line]
        inherited = [line for line in lines if any(line.startswith(name) for name in INHERITED[job])]
        other = [line for line in lines if line not in inherited]
        check(status == 200 and not other, f"{job}: promtool finds nothing in its page but {len(inherited)} inherited names {other[:3]}")
    stop(peer)
    stop(stack)
    with open(stack.log, encoding="utf-8") as file:
        bad = [line.strip() for line in file if "WARN" in line or "ERROR" in line or "level=warn" in line or "level=error" in line]
    check(not bad, f"the stack complains of nothing {bad[:3]}")
    if bad:
        tail(stack)
    finish()


# Beginnings of the peers' own names that promtool objects to, and which dashboards and alerts ask for.
INHERITED = {
    "titan": (),
    "node": ("node_",),
    "agent": ("loki_source_file_",),
    "metrics": ("prometheus_engine_query_duration_histogram_seconds ", "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total "),
    "logs": ("loki_distributor_lag_ms_total ",),
    "dashboards": (),
}

main()
