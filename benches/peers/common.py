"""What the comparisons share: processes with their figures (CPU seconds, memory, bytes written), requests, tables in the docs."""

import atexit
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RELEASE = os.environ.get("BIN", os.path.join(ROOT, "target", "release"))
WORK = tempfile.mkdtemp(prefix="foursight-peers-", dir=os.environ.get("TMPDIR"))
if not os.environ.get("KEEP"):
    atexit.register(shutil.rmtree, WORK, ignore_errors=True)
_servers = []


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Server:
    """A server under measurement. Its CPU clock is the kernel's clock of that process: nanoseconds, threads that ended included."""

    def __init__(self, name, command, base, ready, data):
        self.name, self.command, self.base, self.ready, self.data = name, command, base, ready, data
        self.child = None
        _servers.append(self)

    def start(self):
        """Starts it; seconds until it answers."""
        begin = time.monotonic()
        log = open(os.path.join(WORK, self.name + ".log"), "ab")
        self.child = subprocess.Popen(self.command, stdout=log, stderr=log)
        while time.monotonic() < begin + 120:
            if get(self.base + self.ready)[0] == 200:
                return time.monotonic() - begin
            if self.child.poll() is not None:
                sys.exit(f"{self.name} ended: see {log.name}")
            time.sleep(0.01)
        sys.exit(f"{self.name} is not ready after 120 s: see {log.name}")

    def stop(self, how=signal.SIGTERM):
        if self.child and self.child.poll() is None:
            self.child.send_signal(how)
            self.child.wait()

    def cpu(self):
        return time.clock_gettime((~self.child.pid << 3) | 2)

    def status(self, key):
        with open(f"/proc/{self.child.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key + ":"))

    def written(self):
        with open(f"/proc/{self.child.pid}/io", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("write_bytes:"))

    def disk(self):
        total = 0
        for folder, _, files in os.walk(self.data):
            for name in files:
                try:
                    stat = os.stat(os.path.join(folder, name))
                except OSError:
                    continue
                # Preallocated tails count by what is on the disk.
                total += min(stat.st_size, stat.st_blocks * 512)
        return total

    def settle(self, seconds=1.5):
        """Waits until it has nothing to do."""
        quiet = 0
        while quiet < 3:
            before = self.cpu()
            time.sleep(seconds / 3)
            quiet = quiet + 1 if self.cpu() - before < 0.02 else 0


@atexit.register
def _end():
    for server in _servers:
        if server.child and server.child.poll() is None:
            server.child.kill()
            server.child.wait()


def get(url, data=None, method=None, timeout=120):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data, method=method), timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError as error:
        return 0, str(error).encode()


def load(*args):
    """Runs the load tool; what it printed, as JSON."""
    tool = os.path.join(RELEASE, "load")
    if not os.path.exists(tool):
        sys.exit(f"{tool} is missing: cargo build --release --workspace")
    run = subprocess.run([tool, *map(str, args)], capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"load {args[0]}: {run.stderr.strip()}")
    return json.loads(run.stdout)


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "| --- |" + " ---: |" * (len(header) - 1)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def machine():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown processor")
    load1 = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, {model}, {time.strftime('%Y-%m-%d')}, load {load1:.1f} at the start"


def write_section(name, text):
    """Replaces a section of docs/performance.md between its marks, or prints the text when the page has no such section."""
    path = os.path.join(ROOT, "docs", "performance.md")
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    page = open(path, encoding="utf-8").read() if os.path.exists(path) else ""
    if begin not in page:
        print(text)
        return
    page = re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: f"{begin}\n{text}\n{end}", page, flags=re.S)
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)
    print(f"docs/performance.md: {name}")
