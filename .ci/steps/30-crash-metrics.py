#!/usr/bin/env python3
"""Kills the metrics server again and again while it is written to: every acknowledged sample is there afterwards, nothing that was
never sent is. CYCLES and SEED come from the environment."""

import json
import os
import random
import signal
import struct
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from messages import REMOTE_WRITE, field, snappy, varint
from peers import FOURSIGHT, check, finish, free_port, get, start, stop, tail, until, workdir

CYCLES = int(os.environ.get("CYCLES", "100"))
SEED = int(os.environ.get("SEED", "1"))
WRITERS = 3
SERIES = 20


def label(name, value):
    return field(1, field(1, name.encode()) + field(2, value.encode()))


def request(writer, at_ms, value):
    message = b""
    for series in range(SERIES):
        labels = label("__name__", "crash") + label("series", str(series)) + label("writer", str(writer))
        sample = b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at_ms)
        message += field(1, labels + field(2, sample))
    return snappy(message)


class Writer(threading.Thread):
    """Sends one batch after the other and remembers which were acknowledged and which were only sent."""

    def __init__(self, number, url):
        super().__init__(daemon=True)
        self.number, self.url = number, url
        self.acknowledged, self.sent = {}, {}
        self.running, self.now = True, None

    def run(self):
        value = 0
        at_ms = int(time.time() * 1000) - 3_600_000
        while self.running:
            at_ms += 10
            value += 1
            self.sent[at_ms] = float(value)
            status, _ = get(f"{self.url}/api/v1/write", data=request(self.number, at_ms, value), headers=REMOTE_WRITE, timeout=5)
            if status == 204:
                self.acknowledged[at_ms] = float(value)
            elif status == 0:
                time.sleep(0.02)


def stored(url):
    status, body = get(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': 'crash[3h]'})}", timeout=60)
    if status != 200:
        return None
    found = {}
    for row in json.loads(body)["data"]["result"]:
        key = (int(row["metric"]["writer"]), int(row["metric"]["series"]))
        found[key] = {round(float(time) * 1000): float(value) for time, value in row["values"]}
    return found


def main():
    random.seed(SEED)
    dir = workdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with open(os.path.join(dir, "p.yml"), "w") as file:
        file.write("global: {}\n")
    args = [FOURSIGHT, "metrics", f"--config.file={dir}/p.yml", f"--storage.tsdb.path={dir}/data", f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-remote-write-receiver", "--query.max-samples=500000000"]
    log = os.path.join(dir, "log")
    ready = lambda: get(f"{url}/-/ready")[0] == 200
    server = start("metrics", args, log)
    until("the server is ready", ready, child=server)
    writers = [Writer(number, url) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    checked = 0
    for cycle in range(CYCLES):
        time.sleep(random.uniform(0.02, 0.3))
        if cycle % 10 == 9:
            stop(server, signal.SIGTERM)
        else:
            stop(server, signal.SIGKILL)
        before = [dict(writer.acknowledged) for writer in writers]
        server = start("metrics", args, log)
        if not until(f"the server is ready after kill {cycle}", ready, child=server):
            break
        if cycle % 5 and cycle != CYCLES - 1:
            continue
        found = stored(url)
        if found is None:
            check(False, f"the data can be read after kill {cycle}")
            tail(server)
            break
        for writer, acknowledged in zip(writers, before):
            sent = dict(writer.sent)
            for series in range(SERIES):
                have = found.get((writer.number, series), {})
                lost = [at for at in acknowledged if have.get(at) != acknowledged[at]]
                never = [at for at in have if sent.get(at) != have[at]]
                if lost or never:
                    check(False, f"kill {cycle}, writer {writer.number}, series {series}: {len(lost)} lost (first {lost[:2]}), {len(never)} never sent")
                checked += len(acknowledged)
    for writer in writers:
        writer.running = False
    total = sum(len(writer.acknowledged) for writer in writers) * SERIES
    check(total > CYCLES, f"{CYCLES} kills, {total} samples acknowledged, {checked} looked up")
    stop(server)
    with open(log, encoding="utf-8") as file:
        damage = [line for line in file if "damage" in line]
    check(not damage, f"no damage was reported {damage[:2]}")
    finish()


main()
