#!/usr/bin/env python3
"""The whole stack as a user starts it: `foursight up` on free ports, demo traffic, then a burst of errors. An alert goes pending,
fires into the Slack page with its log lines, survives `kill -9` in between without a second message, and resolves. No log line of
Titan is lost or stored twice over the kill. PORTS of the stack are free ones; nothing outside the machine is asked."""

import glob
import json
import os
import signal
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from peers import FOURSIGHT, check, finish, free_port, get, query, start, stop, tail, until, workdir

work = workdir()
data = os.path.join(work, "data")
parts = ["titan", "node", "agent", "metrics", "logs", "dashboards", "slack"]
ports = {part: free_port() for part in parts}
base = {part: f"http://127.0.0.1:{port}" for part, port in ports.items()}
flags = [f"--{part}-port={port}" for part, port in ports.items()]


def up(extra=()):
    child = start("foursight up", [FOURSIGHT, "up", "--data", data, *flags, *extra], os.path.join(work, "up.log"))
    for part, path in [("metrics", "/-/ready"), ("logs", "/ready"), ("dashboards", "/api/health"), ("titan", "/metrics"), ("node", "/metrics")]:
        until(f"{part} answers", lambda part=part, path=path: get(base[part] + path)[0] == 200, 60, child)
    return child


def logs(expr, start_ns, end_ns, limit=5000):
    lines = []
    # Pages of at most `limit`, oldest first.
    while True:
        params = urllib.parse.urlencode({"query": expr, "start": start_ns, "end": end_ns, "limit": limit, "direction": "forward"})
        status, body = get(f"{base['logs']}/loki/api/v1/query_range?{params}", timeout=30)
        if status != 200:
            return f"{status} {body.decode(errors='replace')}"
        page = [(int(at), line) for stream in json.loads(body)["data"]["result"] for at, line, *_ in stream["values"]]
        page.sort()
        lines += page
        if len(page) < limit:
            return lines
        # Lines of the last nanosecond come again with the next page.
        start_ns = page[-1][0]
        lines = [line for line in lines if line[0] != start_ns]


def messages():
    status, body = get(base["slack"] + "/messages")
    return [json.loads(line) for line in body.decode().splitlines()] if status == 200 else []


def about(title, firing):
    """Messages about an alert: what fires is red, what resolved is green; both say so in the title."""
    word = "FIRING" if firing else "RESOLVED"
    return [m for m in messages() if title in json.dumps(m) and word in json.dumps(m["message"]).upper()]


child = up()
first_ns = time.time_ns()
check("Foursight is up" in open(os.path.join(work, "up.log"), encoding="utf-8").read(), "`up` says where to look")

# Live data within seconds.
jobs = {"metrics", "logs", "dashboards", "node", "titan", "agent"}


def all_up():
    found = query(base["metrics"], "up == 1")
    return isinstance(found, dict) and {dict(labels)["job"] for labels in found} == jobs


until("every target is up", all_up, 60, child)
until("requests are counted", lambda: (lambda r: isinstance(r, dict) and sum(r.values()) > 20)(query(base["metrics"], "http_requests_total")), 60, child)
until("log lines arrive", lambda: len(logs('{job="titan"}', first_ns - 60_000_000_000, time.time_ns())) > 20, 60, child)
status, body = get(base["dashboards"] + "/")
check(status == 200 and b"<script" in body, "the dashboards host serves the app")
status, body = get(base["dashboards"] + "/api/search?type=dash-db")
check(status == 200 and {d["uid"] for d in json.loads(body)} >= {"system", "application", "logs"}, "three dashboards are there")
status, body = get(base["dashboards"] + "/api/foursight/hosts")
hosts = json.loads(body)["hosts"] if status == 200 else []
check({h["name"] for h in hosts if h["up"]} == {"web", "metrics", "logs", "dashboards"}, f"four hosts are well: {[(h['name'], h['up']) for h in hosts]}")

# The rules are the user's: shorter intervals, then a restart.
stop(child)
rules = os.path.join(data, "config/provisioning/alerting/rules.yaml")
text = open(rules, encoding="utf-8").read().replace("interval: 1m", "interval: 10s").replace("for: 30s", "for: 10s")
open(rules, "w", encoding="utf-8").write(text)
policies = os.path.join(data, "config/provisioning/alerting/policies.yaml")
text = open(policies, encoding="utf-8").read().replace("group_interval: 1m", "group_interval: 10s").replace("group_wait: 10s", "group_wait: 5s")
open(policies, "w", encoding="utf-8").write(text)
before = len(messages())
child = up()

title = "Titan error ratio"
burst = start("traffic", [FOURSIGHT, "traffic", "--profile", "error-burst", "--target", base["titan"], "--duration", "75s", "--rate", "20", "--quiet"], os.path.join(work, "traffic.log"))


def state(title):
    status, body = get(base["dashboards"] + "/api/prometheus/grafana/api/v1/rules")
    if status != 200:
        return None
    for group in json.loads(body)["data"]["groups"]:
        for rule in group["rules"]:
            if rule["name"] == title:
                return rule["state"]
    return None


until("the alert is pending or fires", lambda: state(title) in ("pending", "firing"), 90, child)
until("the firing message is on the Slack page", lambda: about(title, True), 90, child)
fired = about(title, True)
if fired:
    shown = json.dumps(fired[-1]["message"])
    check("5" in shown and "%" in shown, "the message has the value")
    check(base["dashboards"] in shown, "the message has links to the dashboards host")
    check("level" in shown and "error" in shown, f"the message has matching log lines: {shown[:600]}")

# Killed while it fires: nothing is sent twice, nothing forgotten.
child.kill()
child.wait()
time.sleep(1)
child = up()
time.sleep(25)
check(len(about(title, True)) == len(fired), f"no second message after the restart: {len(about(title, True))} and {len(fired)}")
until("the alert resolves", lambda: state(title) == "inactive", 180, child)
until("the resolved message is on the Slack page", lambda: about(title, False), 90, child)
burst.wait(120)

# Titan rotates nothing in so short a time: what its files hold is what the store holds, once.
stop(child)
child = up(["--quiet-traffic"])
time.sleep(3)
written = []
for path in sorted(glob.glob(os.path.join(data, "titan/logs/*.log*"))):
    written += [line.rstrip("\n") for line in open(path, encoding="utf-8")]


def stored():
    found = logs('{job="titan"}', first_ns - 120_000_000_000, time.time_ns())
    return found if isinstance(found, list) else []


until("every line is stored", lambda: len(stored()) >= len(written), 30, child)
lines = sorted(line for _, line in stored())
missing = len(written) - len(lines)
check(set(written) <= set(lines), f"every one of {len(written)} lines is stored")
check(lines == sorted(written), f"no line is stored twice: {len(lines)} stored, {len(written)} written")

# A gap in `up` for each restart, no more: scrapes go on where they stopped.
status, body = get(base["metrics"] + "/api/v1/query?" + urllib.parse.urlencode({"query": 'count_over_time(up{job="titan"}[10m])'}))
found = json.loads(body)["data"]["result"]
check(found and float(found[0]["value"][1]) >= 20, "samples from before the kill are there")
status, body = get(base["dashboards"] + f"/api/v1/rules/history?from={first_ns // 1_000_000}&to={time.time_ns() // 1_000_000}&limit=1000")
events = [e for e in json.loads(body)["events"] if e["ruleTitle"] == title] if status == 200 else []
check({"Pending", "Alerting", "Normal"} <= {e["current"].split(" ")[0] for e in events}, f"the history has every state: {sorted({e['current'] for e in events})}")

# Broken input: an error that names the place, and the rest goes on.
broken = os.path.join(data, "config/dashboards/broken.json")
open(broken, "w", encoding="utf-8").write('{"title": "x",\n  "panels": [}\n')
stop(child)
child = up(["--quiet-traffic"])
until("the log names the broken dashboard", lambda: "broken.json" in open(os.path.join(work, "up.log"), encoding="utf-8").read(), 30, child)
os.remove(broken)
stop(child)
if child.returncode != 0:
    tail(child)
check(child.returncode == 0, "a signal ends it cleanly")
finish()
