#!/usr/bin/env python3
"""examples/four-hosts as four machines: each server with its own configuration file and address, as network namespaces where that is
allowed and as loopback addresses otherwise. Samples and lines of the web host reach the dashboards host."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from peers import ROOT, check, finish, get, query, start, stop, tail, until, workdir

dir = workdir()


def can_make_namespaces():
    made = subprocess.run(["ip", "netns", "add", "fs-probe"], capture_output=True).returncode == 0
    if made:
        subprocess.run(["ip", "netns", "del", "fs-probe"], capture_output=True)
    return made


mode = os.environ.get("MODE") or ("netns" if os.geteuid() == 0 and can_make_namespaces() else "loopback")
prefix = {"netns": "10.42.0.1", "loopback": "127.0.0.1"}[mode]
script = os.path.join(ROOT, "examples/four-hosts/run.sh")
child = start("four hosts", ["bash", script, os.path.join(dir, "hosts")], os.path.join(dir, "log"), env={"MODE": mode})
web, metrics, logs, dashboards = (f"http://{prefix}{number}" for number in (1, 2, 3, 4))
for name, url in [("metrics", f"{metrics}:9090/-/ready"), ("logs", f"{logs}:3100/ready"), ("dashboards", f"{dashboards}:3000/api/health"), ("titan", f"{web}:5000/metrics")]:
    until(f"{name} answers on its own host ({mode})", lambda url=url: get(url)[0] == 200, 60, child)
jobs = {"metrics", "logs", "dashboards", "node", "titan", "agent"}


def up_jobs():
    found = query(f"{metrics}:9090", "up == 1")
    return {dict(labels)["job"] for labels in found} if isinstance(found, dict) else set()


until("every target is up", lambda: up_jobs() == jobs, 60, child)
check(up_jobs() == jobs, f"targets that are up: {sorted(up_jobs())}")


def lines():
    params = urllib.parse.urlencode({"query": '{job="titan"}', "limit": 10})
    status, body = get(f"{dashboards}:3000/api/datasources/proxy/uid/logs/loki/api/v1/query_range?{params}")
    return status == 200 and json.loads(body)["data"]["result"]


until("lines of the web host are found through the dashboards host", lines, 60, child)
status, body = get(f"{dashboards}:3000/api/datasources/proxy/uid/metrics/api/v1/query?query=up")
check(status == 200, "samples are found through the dashboards host")
status, body = get(f"{dashboards}:3000/api/foursight/hosts")
hosts = json.loads(body)["hosts"] if status == 200 else []
check({host["name"] for host in hosts if host["up"]} == {"web", "metrics", "logs", "dashboards"}, f"four hosts are well: {[(h['name'], h['up']) for h in hosts]}")
if mode == "netns":
    check(get("http://127.0.0.1:9090/-/ready", timeout=2)[0] == 0, "nothing listens outside the namespaces")
stop(child)
finish()
