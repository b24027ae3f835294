#!/usr/bin/env python3
"""A metrics server's life in fast motion: weeks of samples, late ones among them, queries, deletes, clean-ups, merges, ends and kills.
What it answers is recomputed from what was sent, all along and at the end. SOAK_SECONDS (a real soak: 1800) and SEED come from the environment."""

import json
import math
import os
import random
import signal
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import remote_write
from peers import FOURSIGHT, check, finish, free_port, get, start, stop, tail, until, workdir

SECONDS = int(os.environ.get("SOAK_SECONDS", "60"))
SEED = int(os.environ.get("SEED", "1"))
SERIES = 40
STEP_MS = 15_000
HOUR_MS = 3_600_000
# Two hours of samples, a block's range, in some two seconds.
PACE = 4_000
MAX_RESIDENT = 400 << 20


def value(series, at_ms):
    tick = at_ms // STEP_MS
    match series % 4:
        case 0:
            return float(series)
        case 1:
            return float(tick * (series + 1))
        case 2:
            return tick * 7919 % 1000 / 8
        case _:
            return math.sin(tick + series)


class Model:
    """What was acknowledged: every step from `begin` to `end`, late samples, less what was deleted."""

    def __init__(self, begin):
        self.begin, self.end = begin, begin
        self.late = [{} for _ in range(SERIES)]
        self.deleted = [[] for _ in range(SERIES)]

    def samples(self, series, after_ms, until_ms):
        first = max(self.begin, (after_ms // STEP_MS + 1) * STEP_MS)
        found = {at: value(series, at) for at in range(first, min(until_ms + 1, self.end), STEP_MS)}
        found.update({at: v for at, v in self.late[series].items() if after_ms < at <= until_ms})
        for low, high in self.deleted[series]:
            if low <= until_ms and high > after_ms:
                found = {at: v for at, v in found.items() if not low <= at <= high}
        return found


class Server:
    """Ends and begins again now and then, mostly without a warning."""

    def __init__(self, rng):
        self.rng, self.dir, self.port = rng, workdir(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ends, self.resident, self.running = 0, 0, True
        with open(os.path.join(self.dir, "p.yml"), "w", encoding="utf-8") as file:
            file.write("storage: {tsdb: {out_of_order_time_window: 1h, retention: {time: 10y}}}\n")
        self.begin()

    def begin(self):
        args = [FOURSIGHT, "metrics", f"--config.file={self.dir}/p.yml", f"--storage.tsdb.path={self.dir}/data", f"--web.listen-address=127.0.0.1:{self.port}",
                "--web.enable-remote-write-receiver", "--web.enable-admin-api", "--query.max-samples=500000000"]
        self.child = start("metrics", args, os.path.join(self.dir, "log"))
        return until("the server is ready", lambda: get(f"{self.url}/-/ready")[0] == 200, child=self.child)

    def live(self):
        while self.running:
            for _ in range(self.rng.randrange(10, 60)):
                time.sleep(0.1)
                self.measure()
                if not self.running:
                    return
            stop(self.child, signal.SIGTERM if self.rng.random() < 0.3 else signal.SIGKILL)
            self.ends += 1
            if not self.begin():
                self.running = False

    def measure(self):
        try:
            with open(f"/proc/{self.child.pid}/status", encoding="utf-8") as file:
                self.resident = max([self.resident] + [int(line.split()[1]) << 10 for line in file if line.startswith("VmRSS")])
        except OSError:
            pass

    def ask(self, what, send, good):
        """Asks until there is an answer: the server may be on its way down or up."""
        while self.running:
            status, body = send()
            if status in good:
                return body
            if status not in (0, 503):
                check(False, f"{what}: {status} {body[:300]}")
                self.running = False
            time.sleep(0.02)
        return None

    def post(self, path, **params):
        data = urllib.parse.urlencode(params, doseq=True).encode()
        return self.ask(path, lambda: get(f"{self.url}{path}", data=data, method="POST", timeout=120), (200, 204))

    def stored(self, selector, range_ms, until_ms):
        params = {"query": f"{selector}[{range_ms}ms]", "time": until_ms / 1000}
        body = self.post("/api/v1/query", **params)
        if body is None:
            return None
        rows = json.loads(body)["data"]["result"]
        return {int(row["metric"]["series"]): {round(float(at) * 1000): float(v) for at, v in row["values"]} for row in rows}


def compare(server, model, series, after_ms, until_ms):
    """Compares a range of one series, or of all (None); the number of samples, or None after a difference."""
    selector = "soak" if series is None else f'soak{{series="{series}"}}'
    found = server.stored(selector, until_ms - after_ms, until_ms)
    if found is None:
        return None
    count = 0
    for number in range(SERIES) if series is None else [series]:
        want, have = model.samples(number, after_ms, until_ms), found.get(number, {})
        count += len(want)
        if want != have:
            lost, wrong = [at for at in want if at not in have], [at for at in have if want.get(at) != have[at]]
            check(False, f"series {number} in ({after_ms}, {until_ms}]: {len(lost)} lost (first {lost[:2]}), {len(wrong)} wrong (first {wrong[:2]})")
            server.running = False
            return None
    return count


def main():
    rng = random.Random(SEED)
    began = time.monotonic()
    begin = (int(time.time() * 1000) - SECONDS * PACE * 1000 - 2 * HOUR_MS) // STEP_MS * STEP_MS
    model, server = Model(begin), Server(random.Random(SEED + 1))
    names = [remote_write.labels(name="soak", series=number) for number in range(SERIES)]
    life = threading.Thread(target=server.live, daemon=True)
    life.start()
    compared, deletes, late = 0, 0, 0
    while server.running and (elapsed := time.monotonic() - began) < SECONDS:
        if model.end - begin > elapsed * PACE * 1000:
            time.sleep(0.01)
            continue
        times = range(model.end, model.end + 20 * STEP_MS, STEP_MS)
        batch = [[(at, value(number, at)) for at in times] for number in range(SERIES)]
        tardy = {}
        if rng.random() < 0.05 and model.end - begin > HOUR_MS:
            number = rng.randrange(SERIES)
            tardy = {model.end - rng.randrange(1, 100) * STEP_MS + 7: rng.random() for _ in range(3)}
            tardy = {at: v for at, v in tardy.items() if at not in model.late[number]}
            batch[number] += sorted(tardy.items())
            late += len(tardy)
        if server.ask("write", lambda: remote_write.post(server.url, list(zip(names, batch)), timeout=30), (204,)) is None:
            break
        model.end += 20 * STEP_MS
        if tardy:
            model.late[number].update(tardy)
        if rng.random() < 0.05:
            until_ms = rng.randrange(begin, model.end + HOUR_MS)
            compared += compare(server, model, rng.randrange(SERIES), until_ms - rng.randrange(1, 30) * HOUR_MS, until_ms) or 0
        if rng.random() < 0.02 and model.end - begin > 8 * HOUR_MS:
            # Older than what may still come late.
            high = rng.randrange(begin, model.end - 3 * HOUR_MS)
            low, number = high - rng.randrange(1, 20) * HOUR_MS, rng.randrange(SERIES)
            server.post("/api/v1/admin/tsdb/delete_series", **{"match[]": f'soak{{series="{number}"}}', "start": low / 1000, "end": high / 1000})
            model.deleted[number].append((low, high))
            deletes += 1
        if rng.random() < 0.003:
            server.post("/api/v1/admin/tsdb/clean_tombstones")
    whole = server.running
    server.running = False
    life.join()
    server.running = whole
    day = 24 * HOUR_MS
    final = 0
    for after_ms in range(begin - 1, model.end, day):
        if not server.running:
            break
        final += compare(server, model, None, after_ms, min(after_ms + day, model.end)) or 0
    blocks = len(os.listdir(os.path.join(server.dir, "data", "blocks")))
    check(server.running and final > 0, f"{final} samples of {(model.end - begin) / day:.1f} days are what was sent: {late} late, {deletes} deletes, {server.ends} ends, {compared} compared on the way, {blocks} blocks")
    check(server.resident < MAX_RESIDENT, f"at most {server.resident >> 20} MiB resident")
    stop(server.child)
    with open(server.child.log, encoding="utf-8") as file:
        bad = [line for line in file if "damage" in line or "panic" in line]
    check(not bad, f"no damage and no panic was reported {bad[:2]}")
    if not server.running:
        tail(server.child)
    finish()


main()
