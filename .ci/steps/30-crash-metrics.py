#!/usr/bin/env python3
"""Kills the metrics server again and again while it is written to: every acknowledged sample is there afterwards, nothing that was
never sent is. CYCLES and SEED come from the environment."""

import json
import os
import random
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kills
import remote_write
from peers import finish, free_port, get, workdir

CYCLES = int(os.environ.get("CYCLES", "100"))
SEED = int(os.environ.get("SEED", "1"))
WRITERS = 3
SERIES = 20


class Writer(threading.Thread):
    """Sends one batch after the other and remembers which were acknowledged and which were only sent."""

    def __init__(self, number, url):
        super().__init__(daemon=True)
        self.number, self.url = number, url
        self.names = [remote_write.labels(name="crash", series=series, writer=number) for series in range(SERIES)]
        self.acknowledged, self.sent = {}, {}
        self.running, self.now = True, None

    def run(self):
        value = 0
        at_ms = int(time.time() * 1000) - 3_600_000
        while self.running:
            at_ms += 10
            value += 1
            self.sent[at_ms] = float(value)
            status, _ = remote_write.post(self.url, [(name, [(at_ms, float(value))]) for name in self.names])
            if status == 204:
                self.acknowledged[at_ms] = float(value)
            elif status == 0:
                time.sleep(0.02)


def stored(url, writer):
    query = f'crash{{writer="{writer}"}}[3h]'
    status, body = get(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}", timeout=60)
    if status != 200:
        return None
    rows = json.loads(body)["data"]["result"]
    return {int(row["metric"]["series"]): {round(float(time) * 1000): float(value) for time, value in row["values"]} for row in rows}


def main():
    random.seed(SEED)
    dir = workdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with open(os.path.join(dir, "p.yml"), "w") as file:
        file.write("global: {}\n")
    args = ["metrics", f"--config.file={dir}/p.yml", f"--storage.tsdb.path={dir}/data", f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-remote-write-receiver", "--query.max-samples=500000000"]

    def look(writer, acknowledged):
        found = stored(url, writer.number)
        if found is None:
            return None
        sent = dict(writer.sent)
        for series in range(SERIES):
            have = found.get(series, {})
            lost = [at for at in acknowledged if have.get(at) != acknowledged[at]]
            never = [at for at in have if sent.get(at) != have[at]]
            if lost or never:
                return 0, f"series {series}: {len(lost)} lost (first {lost[:2]}), {len(never)} never sent"
        return len(acknowledged) * SERIES, None

    kills.run(args, os.path.join(dir, "log"), f"{url}/-/ready", [Writer(number, url) for number in range(WRITERS)], CYCLES, look)
    finish()


main()
