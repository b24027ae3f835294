#!/usr/bin/env python3
"""Kills the log server again and again while lines are pushed: every acknowledged line is there afterwards, once; nothing that was never
sent is. A push whose answer got lost is sent again, as an agent does: still once. CYCLES and SEED come from the environment."""

import json
import os
import random
import sys
import threading
import time
import urllib.parse
from collections import Counter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kills
from peers import check, finish, free_port, get, workdir

CYCLES = int(os.environ.get("CYCLES", "60"))
SEED = int(os.environ.get("SEED", "1"))
WRITERS = 3
LINES = 20
BEGIN_NS = (int(time.time()) - 3600) * 1_000_000_000


class Writer(threading.Thread):
    """Pushes one batch after the other, each until it is taken."""

    def __init__(self, number, url):
        super().__init__(daemon=True)
        self.number, self.url = number, url
        self.acknowledged, self.sent, self.refused = set(), set(), []
        self.running = True

    def run(self):
        batch = 0
        rng = random.Random(SEED + self.number)
        while self.running:
            batch += 1
            # Not in order: any order within retention is taken.
            base = BEGIN_NS + (batch * LINES + (-40 * LINES if rng.random() < 0.1 else 0)) * 1_000_000
            entries = [(base + line * 1_000, f"writer={self.number} batch={batch} line={line} noise={rng.random()}") for line in range(LINES)]
            stream = {"job": "crash", "writer": str(self.number)}
            body = json.dumps({"streams": [{"stream": stream, "values": [[str(at), line] for at, line in entries]}]}).encode()
            self.sent.update(entries)
            while self.running:
                status, answer = get(f"{self.url}/loki/api/v1/push", data=body, headers={"Content-Type": "application/json"}, timeout=5)
                if status == 204:
                    self.acknowledged.update(entries)
                    break
                if status not in (0, 429, 500, 503):
                    self.refused.append((status, answer[:200]))
                    return
                time.sleep(0.02)


def stored(url, writer):
    lines, begin = Counter(), BEGIN_NS - 3_600_000_000_000
    while True:
        params = {"query": f'{{job="crash",writer="{writer}"}}', "start": begin, "end": BEGIN_NS + 7_200_000_000_000, "limit": 5000, "direction": "forward"}
        status, body = get(f"{url}/loki/api/v1/query_range?{urllib.parse.urlencode(params)}", timeout=60)
        if status != 200:
            print(status, body[:300])
            return None
        page = [(int(value[0]), value[1]) for stream in json.loads(body)["data"]["result"] for value in stream["values"]]
        page.sort()
        if len(page) < 5000:
            lines.update(page)
            return lines
        # Lines of the last nanosecond come again with the next page.
        begin = page[-1][0]
        lines.update(entry for entry in page if entry[0] != begin)


def main():
    random.seed(SEED)
    dir = workdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with open(os.path.join(dir, "loki.yaml"), "w", encoding="utf-8") as file:
        file.write(f"""auth_enabled: false
server: {{http_listen_address: 127.0.0.1, http_listen_port: {port}}}
common: {{path_prefix: {dir}/data}}
limits_config: {{ingestion_rate_mb: 1000, ingestion_burst_size_mb: 1000, per_stream_rate_limit: 1GB, per_stream_rate_limit_burst: 1GB}}
ingester: {{chunk_idle_period: 1s, max_chunk_age: 2s}}
""")
    writers = [Writer(number, url) for number in range(WRITERS)]

    def look(writer, acknowledged):
        found = stored(url, writer.number)
        if found is None:
            return None
        lost = acknowledged - found.keys()
        never = found.keys() - set(writer.sent)
        twice = [entry for entry, times in found.items() if times > 1]
        if lost or never or twice:
            return 0, f"{len(lost)} lost, {len(never)} never sent, {len(twice)} twice ({(sorted(lost) + sorted(never) + twice)[:2]})"
        return len(acknowledged), None

    kills.run(["logs", f"-config.file={dir}/loki.yaml"], os.path.join(dir, "log"), f"{url}/ready", writers, CYCLES, look)
    for writer in writers:
        check(not writer.refused, f"writer {writer.number} is never refused {writer.refused[:1]}")
    finish()


main()
