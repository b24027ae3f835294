#!/usr/bin/env python3
"""Debian's Prometheus, Alertmanager and promtool against ours: scraping, remote write, queries, federation, alerts."""

import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from peers import FOURSIGHT, check, finish, free_port, get, query, same, start, stop, tail, until, without, workdir

# Names that the peers give their own metrics and that promtool finds fault with, in the peers as in ours.
PEERS_OWN = ("camelCase", "node_entropy_", "name should not include type 'histogram'")

QUERIES = """
up
count by (job) (up)
sum by (mode) (rate(node_cpu_seconds_total[30s]))
100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)
node_filesystem_avail_bytes{mountpoint="/"}
rate(node_network_receive_bytes_total{device!~"lo|veth.*"}[30s])
sum by (endpoint, status) (rate(http_requests_total[30s]))
histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket[30s])))
topk(3, sum by (endpoint) (increase(http_requests_total[30s])))
max_over_time(http_requests_in_progress[30s])
avg_over_time(node_load1[30s])
count({__name__=~"node_.*"})
count by (__name__) ({job="titan"})
label_replace(up, "host", "$1", "instance", "([^:]+):.*")
node_load1 > bool 0
node_load1 * on (instance) group_left (nodename) node_uname_info
changes(process_start_time_seconds[30s])
absent(nonexistent_metric)
sum(rate(prometheus_http_requests_total[30s])) without (code)
quantile(0.5, node_cpu_seconds_total)
stddev(node_cpu_seconds_total)
max_over_time(sum(rate(http_requests_total[10s]))[30s:5s])
process_resident_memory_bytes offset 5s
time() - node_boot_time_seconds > bool 0
""".strip().splitlines()


def main():
    dir = workdir()
    at = lambda name: os.path.join(dir, name)
    ports = {name: free_port() for name in ("titan", "node", "ours", "peer", "am")}
    url = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    address = {name: f"127.0.0.1:{port}" for name, port in ports.items()}

    titan = start("titan", [FOURSIGHT, "titan", f"--listen-address={address['titan']}", f"--log-dir={at('logs')}"], at("titan.log"))
    start("node", [FOURSIGHT, "node", f"--web.listen-address={address['node']}"], at("node.log"))
    start("traffic", [FOURSIGHT, "traffic", f"--target={url['titan']}"], at("traffic.log"))
    with open(at("rules.yml"), "w") as file:
        file.write(
            "groups:\n- name: interop\n  interval: 1s\n  rules:\n"
            "  - alert: TitanDown\n    expr: up{job='titan',from=''} == 0\n    labels: {severity: critical}\n"
            "    annotations: {summary: '{{ $labels.instance }} is down'}\n"
        )
    with open(at("ours.yml"), "w") as file:
        json.dump(
            {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [at("rules.yml")],
                "alerting": {"alertmanagers": [{"static_configs": [{"targets": [address["am"]]}]}]},
                "scrape_configs": [
                    {"job_name": "titan", "static_configs": [{"targets": [address["titan"]]}]},
                    {
                        "job_name": "federate",
                        "honor_labels": True,
                        "metrics_path": "/federate",
                        "params": {"match[]": ['node_load1{from="peer"}', 'up{job="node"}']},
                        "static_configs": [{"targets": [address["peer"]]}],
                    },
                ],
            },
            file,
        )
    with open(at("peer.yml"), "w") as file:
        job = lambda name, target: {"job_name": name, "static_configs": [{"targets": [target]}]}
        json.dump(
            {
                "global": {"scrape_interval": "2s", "external_labels": {"from": "peer"}},
                "remote_write": [{"url": f"{url['ours']}/api/v1/write", "queue_config": {"batch_send_deadline": "500ms"}}],
                "scrape_configs": [
                    job("titan", address["titan"]),
                    job("node", address["node"]),
                    job("ours", address["ours"]),
                    {
                        "job_name": "federate",
                        "honor_labels": True,
                        "metrics_path": "/federate",
                        "params": {"match[]": ['scrape_samples_scraped{job="federate"}']},
                        "static_configs": [{"targets": [address["ours"]]}],
                    },
                ],
            },
            file,
        )
    with open(at("am.yml"), "w") as file:
        file.write("route: {receiver: none, group_wait: 1s}\nreceivers: [{name: none}]\n")
    start(
        "alertmanager",
        ["prometheus-alertmanager", f"--config.file={at('am.yml')}", f"--storage.path={at('am')}", f"--web.listen-address={address['am']}", "--cluster.listen-address="],
        at("am.log"),
    )
    ours_args = [
        FOURSIGHT,
        "metrics",
        f"--config.file={at('ours.yml')}",
        f"--storage.tsdb.path={at('data')}",
        f"--web.listen-address={address['ours']}",
        "--web.enable-remote-write-receiver",
        "--web.enable-lifecycle",
    ]
    ours = start("metrics", ours_args, at("ours.log"))
    peer = start(
        "prometheus",
        ["prometheus", f"--config.file={at('peer.yml')}", f"--storage.tsdb.path={at('peer')}", f"--web.listen-address={address['peer']}",
         "--web.enable-remote-write-receiver", "--web.enable-lifecycle"],
        at("peer.log"),
    )
    until("our server is ready", lambda: get(f"{url['ours']}/-/ready")[0] == 200, child=ours)
    until("the peer is ready", lambda: get(f"{url['peer']}/-/ready")[0] == 200, child=peer)
    until("the peer scrapes all of ours", lambda: len([v for v in query(url["peer"], "up").values() if v == 1]) >= 4, 30)
    time.sleep(40)

    # The same samples on both sides give the same answers. Series that the peer scraped carry its external label in ours.
    moment = int(time.time()) - 6
    only_peers = '{from="peer"}'
    for text in QUERIES:
        theirs = without(query(url["peer"], text, moment), "from")
        ours_text = text
        result = query(url["ours"], with_matcher(text), moment)
        mine = without(result, "from")
        if isinstance(theirs, str) or isinstance(mine, str):
            check(False, f"{ours_text}: {theirs if isinstance(theirs, str) else mine}")
            continue
        missing = [labels for labels in theirs if labels not in mine]
        extra = [labels for labels in mine if labels not in theirs]
        different = [labels for labels in theirs if labels in mine and not same(theirs[labels], mine[labels])]
        good = not missing and not extra and not different
        check(good, f"{ours_text} ({len(theirs)} series)")
        if not good:
            for labels in (missing + extra + different)[:3]:
                print("      ", dict(labels), theirs.get(labels), mine.get(labels))

    # The peer complains of nothing.
    with open(at("peer.log"), encoding="utf-8") as file:
        complaints = [line for line in file if ("level=warn" in line or "level=error" in line) and "connection refused" not in line]
    check(not complaints, f"the peer's log has no warning {complaints[:3]}")
    for name in ("titan", "node", "ours"):
        page = get(f"{url[name]}/metrics")[1]
        lint = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
        text = lint.stderr.decode().splitlines() + lint.stdout.decode().splitlines()
        faults = [line for line in text if line and not any(own in line for own in PEERS_OWN)]
        check(not faults, f"promtool finds nothing wrong with {name}'s page {faults[:5]}")
        mine = subprocess.run([FOURSIGHT, "tool", "check", "metrics"], input=page, capture_output=True, check=False)
        check(mine.returncode in (0, 3), f"our own check reads {name}'s page")

    # Federation, both ways.
    until("we federate from the peer", lambda: query(url["ours"], 'node_load1{job="node",from="peer"}'))
    mine = f'scrape_samples_scraped{{job="federate",instance="{address["peer"]}"}}'
    until("the peer federates from us", lambda: query(url["peer"], mine))

    # Remote write from ours to the peer, and remote read both ways: each has series that only it has.
    with open(at("rules.yml"), "a") as file:
        file.write(
            "- name: relay\n  interval: 1s\n  rules:\n"
            "  - {record: relayed, expr: 'vector(7)', labels: {only: relay}}\n"
            "  - {record: kept, expr: 'vector(8)', labels: {only: ours}}\n"
        )
    config = json.load(open(at("ours.yml"), encoding="utf-8"))
    # What comes back from the peer has its external label, and does not go round.
    keep = [{"source_labels": ["__name__", "from"], "regex": "relayed;", "action": "keep"}]
    queue = {"batch_send_deadline": "500ms"}
    config["remote_write"] = [{"url": f"{url['peer']}/api/v1/write", "write_relabel_configs": keep, "queue_config": queue}]
    config["remote_read"] = [{"url": f"{url['peer']}/api/v1/read", "required_matchers": {"job": "self"}, "read_recent": True}]
    json.dump(config, open(at("ours.yml"), "w", encoding="utf-8"))
    config = json.load(open(at("peer.yml"), encoding="utf-8"))
    config["remote_read"] = [
        {"url": f"{url['ours']}/api/v1/read", "required_matchers": {"only": "ours"}, "read_recent": True, "filter_external_labels": False}
    ]
    config["remote_write"][0]["write_relabel_configs"] = [{"source_labels": ["job"], "regex": "self", "action": "drop"}]
    config["scrape_configs"].append({"job_name": "self", "static_configs": [{"targets": [address["peer"]]}]})
    json.dump(config, open(at("peer.yml"), "w", encoding="utf-8"))
    for name in ("ours", "peer"):
        status, body = get(f"{url[name]}/-/reload", b"")
        check(status == 200, f"{name} takes its new configuration {body[:300].decode(errors='replace') if status != 200 else ''}")
    values = lambda name, expr: list(query(url[name], expr).values()) if not isinstance(query(url[name], expr), str) else []
    until("the peer gets what we write", lambda: values("peer", 'relayed{only="relay"}') == [7.0])
    until("the peer reads from us", lambda: values("peer", 'kept{only="ours"}') == [8.0])
    until("we read from the peer", lambda: values("ours", 'up{job="self"}') == [1.0])
    check(values("peer", 'kept{only="relay"}') == [], "what is not to be written is not")

    # promtool as a client of ours.
    for args in (["query", "instant", url["ours"], "up"], ["query", "labels", url["ours"], "job"], ["query", "series", "--match=up", url["ours"]],
                 ["query", "range", url["ours"], "up"]):
        done = subprocess.run(["promtool", *args], capture_output=True, check=False)
        check(done.returncode == 0 and done.stdout.strip(), f"promtool {' '.join(args[:2])} {done.stderr.decode().strip()[:200]}")

    # Alerts fire at the Alertmanager, and resolve; a restart in between changes nothing.
    alerts = lambda: json.loads(get(f"{url['am']}/api/v2/alerts")[1] or b"[]")
    firing = lambda: [a for a in alerts() if a["labels"]["alertname"] == "TitanDown"]
    check(not firing(), "no alert while Titan runs")
    stop(titan)
    until("the alert fires at the Alertmanager", firing)
    stop(ours)
    ours = start("metrics", ours_args, at("ours.log"))
    until("our server is ready again", lambda: get(f"{url['ours']}/-/ready")[0] == 200, child=ours)
    check(len(firing()) == 1, "the alert goes on firing over a restart")
    start("titan", [FOURSIGHT, "titan", f"--listen-address={address['titan']}", f"--log-dir={at('logs')}"], at("titan.log"))
    until("the alert resolves", lambda: not firing(), 60)

    # A kill loses nothing that was scraped or written before.
    before = query(url["ours"], "count_over_time(up[1m])", moment)
    stop(ours, 9)
    ours = start("metrics", ours_args, at("ours.log"))
    until("our server is ready after a kill", lambda: get(f"{url['ours']}/-/ready")[0] == 200, child=ours)
    check(query(url["ours"], "count_over_time(up[1m])", moment) == before, "history is the same after kill -9")
    with open(at("ours.log"), encoding="utf-8") as file:
        errors = [line for line in file if "level=error" in line and "error sending alerts" not in line]
    if not check(not errors, f"our log has no error {errors[:3]}"):
        tail(ours)
    finish()


def with_matcher(text):
    """The query restricted to what the peer wrote: every selector gets from="peer"."""
    import re

    out = []
    names = r"(?<![\w:\"])((?:node|http|process|prometheus)_\w+|up|nonexistent_metric)(\{[^}]*\})?"
    last = 0
    if text.startswith("count({"):
        return text.replace("({", '({from="peer",')
    if text.startswith("count by (__name__) ({"):
        return text.replace("({", '({from="peer",')
    for match in re.finditer(names, text):
        if text[match.end():match.end() + 1] == "(":
            continue
        out.append(text[last:match.start()])
        inner = (match.group(2) or "{}")[1:-1]
        out.append(match.group(1) + "{" + 'from="peer"' + ("," + inner if inner else "") + "}")
        last = match.end()
    out.append(text[last:])
    return "".join(out)


main()
