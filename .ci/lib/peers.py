"""What the interop steps share: free ports, processes that end with the step, HTTP and comparisons. Standard library only."""

import atexit
import json
import math
import os
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
FOURSIGHT = os.path.join(ROOT, "target", "release", "foursight")
_children = []
_ports = set()
failures = []


def free_port():
    while True:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        if port not in _ports:
            _ports.add(port)
            return port


def workdir():
    path = tempfile.mkdtemp(prefix="foursight-ci-")
    if not os.environ.get("KEEP"):
        atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def start(name, args, log, env=None, cwd=None):
    with open(log, "ab") as out:
        child = subprocess.Popen(args, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}, cwd=cwd)
    child.name, child.log = name, log
    _children.append(child)
    return child


def stop(child, how=signal.SIGTERM, seconds=20):
    if child.poll() is None:
        child.send_signal(how)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            check(False, f"{child.name} did not end within {seconds} s of the signal")
            child.kill()
            child.wait()


@atexit.register
def _end():
    for child in _children:
        if child.poll() is None:
            child.kill()
            child.wait()


def get(url, data=None, headers=None, method=None, timeout=10):
    """Status and body of a request; a refused connection is status 0."""
    request = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except (urllib.error.URLError, OSError) as error:
        return 0, str(error).encode()


def until(what, condition, seconds=30, child=None):
    """Waits for a condition; a failure names it. Returns what the condition returned."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        if child is not None and child.poll() is not None:
            break
        time.sleep(0.1)
    check(False, f"{what}: not within {seconds} s")
    if child is not None:
        tail(child)
    return None


def tail(child, lines=20):
    with open(child.log, encoding="utf-8", errors="replace") as file:
        print(f"--- end of {child.log}")
        print("".join(file.readlines()[-lines:]))


def check(good, what):
    if good:
        print(f"ok    {what}")
    else:
        print(f"WRONG {what}")
        failures.append(what)
    return good


def finish():
    if failures:
        print(f"{len(failures)} checks failed")
        sys.exit(1)
    print("all checks passed")


def query(base, expr, at=None):
    """Result of an instant query as {labels: value}, or the error's text."""
    params = {"query": expr}
    if at is not None:
        params["time"] = at
    status, body = get(f"{base}/api/v1/query?{urllib.parse.urlencode(params)}")
    if status != 200:
        return f"{status} {body.decode(errors='replace')}"
    data = json.loads(body)["data"]
    if data["resultType"] == "scalar":
        return {(): float(data["result"][1])}
    return {tuple(sorted(row["metric"].items())): float(row["value"][1]) for row in data["result"]}


def same(a, b, relative=1e-5):
    if math.isnan(a) and math.isnan(b):
        return True
    if math.isinf(a) or math.isinf(b):
        return a == b
    return abs(a - b) <= relative * max(abs(a), abs(b), 1e-12)


def without(result, *names):
    """A result without some labels."""
    if isinstance(result, str):
        return result
    return {tuple(pair for pair in labels if pair[0] not in names): value for labels, value in result.items()}
