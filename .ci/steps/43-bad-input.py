#!/usr/bin/env python3
"""What goes wrong outside: broken files, ports and directories that cannot be had, full disks, rubbish in requests and from targets.
Every host says what is wrong and goes on. Words on the command line choose parts: config ports disk garbage lines targets reload."""

import base64
import json
import os
import random
import socket
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import rubbish
import remote_write
from peers import FOURSIGHT, check, finish, free_port, get, query, start, stop, until, workdir
from targets import BEHAVIOURS, target

DIR = workdir()
random.seed(int(os.environ.get("SEED", "1")))


def at(*names):
    path = os.path.join(DIR, *names)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def write(text, *names):
    path = at(*names)
    with open(path, "wb" if isinstance(text, bytes) else "w") as file:
        file.write(text)
    return path


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def run(args, seconds=30, env=None):
    """Exit code and standard error of a command that is expected to end by itself; a code of None says that it did not."""
    try:
        done = subprocess.run([FOURSIGHT, *args], capture_output=True, timeout=seconds, check=False, env={**os.environ, **(env or {})})
        return done.returncode, done.stderr.decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        return None, (late.stderr or b"").decode(errors="replace")


def no_panic(child):
    text = read(child.log)
    found = [line for line in text.splitlines() if "panicked" in line or "overflowed its stack" in line]
    return check(not found and child.poll() is None, f"{child.name} runs and did not panic {found[:2]}{'' if child.poll() is None else ' exit ' + str(child.poll())}")


# --- the hosts ------------------------------------------------------------------------------------------------------------------------


def metrics_args(config, data, port, *more):
    return ["metrics", f"--config.file={config}", f"--storage.tsdb.path={data}", f"--web.listen-address=127.0.0.1:{port}", *more]


def logs_text(data, port, limits=""):
    return f"""auth_enabled: false
server: {{http_listen_address: 127.0.0.1, http_listen_port: {port}, grpc_listen_port: 0}}
common:
  path_prefix: {data}
  replication_factor: 1
  ring: {{kvstore: {{store: inmemory}}}}
  storage: {{filesystem: {{chunks_directory: {data}/chunks, rules_directory: {data}/rules}}}}
schema_config:
  configs:
  - {{from: 2024-01-01, store: tsdb, object_store: filesystem, schema: v13, index: {{prefix: index_, period: 24h}}}}
compactor: {{retention_enabled: true, delete_request_store: filesystem}}
pattern_ingester: {{enabled: true}}
limits_config:
  volume_enabled: true
  {limits or 'retention_period: 31d'}
"""


def logs_args(config):
    return ["logs", f"-config.file={config}"]


def ini_text(data, port):
    return f"""[server]
http_addr = 127.0.0.1
http_port = {port}
[paths]
data = {data}
[security]
admin_password = secret
"""


def dashboards_args(config, provisioning=None):
    return ["dashboards", f"--config={config}", *([f"--provisioning={provisioning}"] if provisioning else [])]


def agent_args(config, data, port):
    return ["agent", "run", f"--storage.path={data}", f"--server.http.listen-addr=127.0.0.1:{port}", config]


def agent_text(logs_port, pattern, more=""):
    return f"""local.file_match "f" {{
  path_targets = [{{ __path__ = "{pattern}", job = "files" }}]
  sync_period  = "1s"
}}

loki.source.file "f" {{
  targets    = local.file_match.f.targets
  forward_to = [loki.write.w.receiver]
}}

loki.write "w" {{
  endpoint {{
    url        = "http://127.0.0.1:{logs_port}/loki/api/v1/push"
    batch_wait = "200ms"
  }}
}}
{more}"""


# --- broken configuration files -------------------------------------------------------------------------------------------------------

# Kind of fault, text, what the error has to hold beside the file's name.
METRICS_BAD = [
    ("syntax", "global:\n  scrape_interval: [15s\nrule_files: []\n", [":"]),
    ("a tab", "global:\n\tscrape_interval: 15s\n", [":2"]),
    ("unknown field", "global:\n  scrape_intervall: 15s\n", [":2", "scrape_intervall"]),
    ("unknown section", "global: {}\nscrapes: []\n", [":2", "scrapes"]),
    ("wrong type", "scrape_configs:\n- job_name: a\n  static_configs: 5\n", [":3", "static_configs"]),
    ("a list for a text", "scrape_configs:\n- job_name: [a]\n", [":2", "job_name"]),
    ("bad regex", "scrape_configs:\n- job_name: a\n  relabel_configs:\n  - source_labels: [b]\n    regex: '(('\n", [":5", "regex"]),
    ("bad duration", "global:\n  scrape_interval: 15 parsecs\n", [":2", "scrape_interval", "15 parsecs"]),
    ("twice the job", "scrape_configs:\n- job_name: a\n- job_name: a\n", [":3", "a"]),
    ("binary", b"\x00\xff\xfe\x01" * 20, []),
    ("nested deep", "a: " + "[" * 100000, []),
    ("aliases that explode", "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(12)), []),
]

LOGS_BAD = [
    ("syntax", "server:\n  http_listen_port: [3100\ncommon: {}\n", [":"]),
    ("unknown field", "server:\n  http_listen_portt: 3100\n", ["http_listen_portt", ":2"]),
    ("wrong type", "server:\n  http_listen_port: much\n", [":2", "http_listen_port"]),
    ("a list for a section", "limits_config: [a]\n", [":1", "limits_config"]),
    ("bad duration", "limits_config:\n  retention_period: 5 parsecs\n", [":2", "retention_period"]),
    ("bad size", "limits_config:\n  max_line_size: 5 elephants\n", [":2", "max_line_size"]),
    ("bad selector", "limits_config:\n  retention_stream:\n  - {selector: '{a=~\"((\"}', priority: 1, period: 24h}\n", [":3", "selector"]),
    ("binary", b"\x00\xff\xfe\x01" * 20, []),
    ("nested deep", "a: " + "{a: " * 100000, []),
]

INI_BAD = [
    ("syntax", "[server\nhttp_port = 3000\n", [":1"]),
    ("a line without =", "[server]\nhttp_port\n", [":2"]),
    ("wrong type", "[server]\nhttp_port = many\n", [":2", "http_port"]),
    ("bad switch", "[auth.anonymous]\nenabled = perhaps\n", [":2", "enabled"]),
    ("bad duration", "[auth]\nlogin_maximum_lifetime_duration = 5 parsecs\n", [":2", "login_maximum_lifetime_duration"]),
    ("binary", b"\x00\xff\xfe\x01" * 20, []),
]

AGENT_BAD = [
    ("syntax", "loki.write \"w\" {\n  endpoint {\n", [":"]),
    ("unknown component", "loki.wriet \"w\" {\n}\n", [":1", "loki.wriet"]),
    ("unknown attribute", "loki.write \"w\" {\n  endpoint {\n    url  = \"http://x\"\n    urll = \"http://x\"\n  }\n}\n", [":4", "urll"]),
    ("wrong type", "local.file_match \"f\" {\n  path_targets = 5\n}\n", [":2", "path_targets"]),
    ("bad duration", "local.file_match \"f\" {\n  path_targets = []\n  sync_period = \"5 parsecs\"\n}\n", [":3", "sync_period"]),
    ("bad regex", "loki.process \"p\" {\n  forward_to = []\n  stage.regex {\n    expression = \"((\"\n  }\n}\n", [":4", "expression"]),
    ("unknown reference", "loki.source.file \"f\" {\n  targets = local.file_match.none.targets\n  forward_to = []\n}\n", [":2", "local.file_match.none"]),
    ("a ring", "local.file_match \"a\" {\n  path_targets = local.file_match.b.targets\n}\nlocal.file_match \"b\" {\n  path_targets = local.file_match.a.targets\n}\n", ["local.file_match.a"]),
    ("binary", b"\x00\xff\xfe\x01" * 20, []),
    ("nested deep", "a = " + "[" * 100000, []),
]

PROVISIONING_BAD = [
    ("datasources", "syntax", "apiVersion: 1\ndatasources: [\n- name: a\n", [":"]),
    ("datasources", "wrong type", "apiVersion: 1\ndatasources:\n- name: [a]\n", [":3", "name"]),
    ("dashboards", "wrong type", "apiVersion: 1\nproviders:\n- name: a\n  options: 7\n", [":4", "options"]),
    ("alerting", "bad duration", "apiVersion: 1\ngroups:\n- name: g\n  folder: f\n  interval: 5 parsecs\n  rules: []\n", [":5", "interval"]),
    ("alerting", "unknown receiver", "apiVersion: 1\npolicies:\n- receiver: nobody\n", ["nobody"]),
]


def refused(host, kind, args, path, words):
    code, err = run(args)
    missing = [word for word in [os.path.basename(path), *words] if word not in err]
    good = code not in (0, None) and code > 0 and not missing and "panicked" not in err
    check(good, f"{host}: {kind}" + ("" if good else f": exit {code}, {missing} is not in {err.strip()[-500:]!r}"))


def config_part():
    write("groups:\n- name: g\n  rules:\n  - record: a\n    expr: sum(\n", "config", "bad-rules.yml")
    path = write("rule_files: [bad-rules.yml]\n", "config", "with-rules.yml")
    rules = os.path.join(DIR, "config", "bad-rules.yml")
    rows = [("metrics", "bad rules", metrics_args(path, at("config", "m", "x"), free_port()), rules, [":5", "expr"])]
    for number, (kind, text, words) in enumerate(METRICS_BAD):
        path = write(text, "config", f"metrics{number}.yml")
        rows.append(("metrics", kind, metrics_args(path, at("config", "m", "x"), free_port()), path, words))
    for number, (kind, text, words) in enumerate(LOGS_BAD):
        path = write(text, "config", f"logs{number}.yaml")
        rows.append(("logs", kind, logs_args(path), path, words))
    for number, (kind, text, words) in enumerate(INI_BAD):
        path = write(text, "config", f"d{number}.ini")
        rows.append(("dashboards", kind, [*dashboards_args(path), f"--data={at('config', 'd', 'x')}", f"--web.listen-address=127.0.0.1:{free_port()}"], path, words))
    for number, (kind, text, words) in enumerate(AGENT_BAD):
        path = write(text, "config", f"a{number}.alloy")
        rows.append(("agent", kind, agent_args(path, at("config", "a", "x"), free_port()), path, words))
        rows.append(("agent validate", kind, ["agent", "validate", path], path, words))
    absent = at("config", "absent.file")
    for host, args in [
        ("metrics", metrics_args(absent, at("config", "m", "x"), free_port())),
        ("logs", logs_args(absent)),
        ("dashboards", dashboards_args(absent)),
        ("agent", agent_args(absent, at("config", "a", "x"), free_port())),
        ("web", ["web", f"--config.file={absent}"]),
        ("node", ["node", f"--web.config.file={absent}", f"--web.listen-address=127.0.0.1:{free_port()}"]),
        ("titan", ["titan", f"--web.config.file={absent}", f"--log-dir={at('config', 't', 'x')}", f"--listen-address=127.0.0.1:{free_port()}"]),
    ]:
        rows.append((host, "missing file", args, absent, []))
    for row in rows:
        refused(*row)
    provisioning()
    code, err = run(["--help"])
    done = subprocess.run([FOURSIGHT, "--help"], capture_output=True, check=False)
    names = ["up", "metrics", "logs", "dashboards", "web", "agent", "node", "titan", "traffic", "query", "logs-query", "tail", "tool"]
    missing = [name for name in names if f"\n  {name} " not in done.stdout.decode()]
    check(done.returncode == 0 and not missing, f"--help shows all commands {missing}")
    for args in (["metrics", "--no.such.flag"], ["logs", "-no.such.flag"], ["dashboards", "--no-such"], ["web", "--no-such"], ["node", "--no-such"], ["nonsense"]):
        code, err = run(args)
        check(code not in (0, None) and args[-1].lstrip("-") in err, f"an unknown flag is refused: {' '.join(args)}: {code} {err[:200] if code in (0, None) else ''}")


def provisioning():
    """A file of provisioning that is broken takes nothing else down: the host starts, and its log names the place."""
    for number, (folder, kind, text, words) in enumerate(PROVISIONING_BAD):
        port = free_port()
        ini = write(ini_text(at("config", f"p{number}", "data"), port), "config", f"p{number}", "d.ini")
        path = write(text, "config", f"p{number}", "provisioning", folder, "broken.yaml")
        child = start("dashboards", [FOURSIGHT, *dashboards_args(ini, at("config", f"p{number}", "provisioning"))], at("config", f"p{number}", "log"))
        until("dashboards answers", lambda port=port: get(f"http://127.0.0.1:{port}/api/health")[0] == 200, child=child)
        said = [line for line in read(child.log).splitlines() if "level=error" in line and all(word in line for word in words)]
        check(said and (folder == "alerting" or path in said[0]), f"dashboards: {folder}: {kind}: {said[:1] or read(child.log)}")
        stop(child)


# --- ports and directories that cannot be had -----------------------------------------------------------------------------------------


def ports_part():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        empty = write("global: {}\n", "ports", "m.yml")
        alloy = write("logging {}\n", "ports", "a.alloy")
        logs = write(logs_text(at("ports", "l", "data"), port), "ports", "l.yaml")
        ini = write(ini_text(at("ports", "d", "data"), port), "ports", "d.ini")
        address = f"127.0.0.1:{port}"
        for host, args in [
            ("metrics", metrics_args(empty, at("ports", "m", "data"), port)),
            ("logs", logs_args(logs)),
            ("dashboards", dashboards_args(ini)),
            ("agent", agent_args(alloy, at("ports", "a", "data"), port)),
            ("node", ["node", f"--web.listen-address={address}"]),
            ("titan", ["titan", f"--listen-address={address}", f"--log-dir={at('ports', 't', 'log')}"]),
            ("up", ["up", f"--data={at('ports', 'up', 'data')}", "--quiet-traffic", f"--metrics-port={port}",
                    *(f"--{name}-port={free_port()}" for name in ("titan", "node", "agent", "logs", "dashboards", "slack"))]),
        ]:
            code, err = run(args)
            check(code not in (0, None) and address in err and "in use" in err, f"{host}: the port is taken: exit {code} {err.strip()[-300:]}")
    file = write("no directory\n", "ports", "file")
    inside = os.path.join(file, "data")
    for what, path in [("a file", file), ("in a file", inside)]:
        port = free_port()
        logs = write(logs_text(path, port), "ports", "l.yaml")
        ini = write(ini_text(path, port), "ports", "d.ini")
        for host, args in [
            ("metrics", metrics_args(empty, path, port)),
            ("logs", logs_args(logs)),
            ("dashboards", dashboards_args(ini)),
            ("agent", agent_args(write(agent_text(1, "/nowhere/*"), "ports", "f.alloy"), path, port)),
            ("titan", ["titan", f"--listen-address=127.0.0.1:{port}", f"--log-dir={path}"]),
            ("up", ["up", f"--data={path}", "--quiet-traffic", *(f"--{name}-port={free_port()}" for name in ("metrics", "titan", "node", "agent", "logs", "dashboards", "slack"))]),
        ]:
            code, err = run(args)
            check(code not in (0, None) and file in err and "panicked" not in err, f"{host}: the data directory is {what}: exit {code} {err.strip()[-300:]}")


# --- log lines ------------------------------------------------------------------------------------------------------------------------


def push(port, lines, labels=None, timeout=30):
    """Pushes lines with the times given; the answer."""
    body = {"streams": [{"stream": labels or {"job": "push"}, "values": [[str(ns), line] for ns, line in lines]}]}
    return get(f"http://127.0.0.1:{port}/loki/api/v1/push", json.dumps(body).encode(), {"Content-Type": "application/json"}, timeout=timeout)


def stored_lines(port, selector, limit=5000, back_s=3600):
    now = time.time_ns()
    params = {"query": selector, "limit": limit, "start": now - back_s * 10**9, "end": now + 60 * 10**9, "direction": "forward"}
    status, body = get(f"http://127.0.0.1:{port}/loki/api/v1/query_range?{urllib.parse.urlencode(params)}", timeout=30)
    if status != 200:
        return None
    return [(int(ns), line) for stream in json.loads(body)["data"]["result"] for ns, line, *_ in stream["values"]]


# --- full disks -----------------------------------------------------------------------------------------------------------------------


def private_mounts():
    """Mounts of this process and its children from now on are nobody else's. False where that is not permitted."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    new_namespace, recursive_private = 0x20000, 0x4000 | 0x40000
    return libc.unshare(new_namespace) == 0 and libc.mount(b"none", b"/", None, recursive_private, None) == 0


def small_disk(*names):
    path = at(*names, "x")[:-2]
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "none", path], capture_output=True, check=False)
    return path if done.returncode == 0 else None


def fill(disk):
    """Takes all space that is left."""
    path = os.path.join(disk, "filler")
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                pass
    return path


def space_words(body):
    return b"space" in body.lower()


def disk_part():
    if os.geteuid() != 0 or not private_mounts():
        print("SKIPPED full disks: mounting is not permitted here")
        return
    if small_disk("disk", "probe") is None:
        print("SKIPPED full disks: tmpfs cannot be mounted here")
        return
    full_metrics()
    full_logs()
    full_dashboards()
    full_agent()


def full_metrics():
    disk = small_disk("disk", "metrics")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    config = write("global: {scrape_interval: 1s}\nscrape_configs: [{job_name: self, static_configs: [{targets: ['127.0.0.1:%d']}]}]\n" % port, "disk", "m.yml")
    args = [FOURSIGHT, *metrics_args(config, os.path.join(disk, "data"), port, "--web.enable-remote-write-receiver")]
    child = start("metrics", args, at("disk", "m.log"))
    ready = lambda: get(f"{url}/-/ready")[0] == 200
    until("metrics is ready", ready, child=child)
    begin_ms = int(time.time() * 1000) - 600_000
    acknowledged = {}

    def send(number):
        at_ms = begin_ms + number * 10
        status, body = get(f"{url}/api/v1/write", remote_write.numbered("disk", 200, at_ms, float(number)), remote_write.HEADERS)
        if status == 204:
            acknowledged[at_ms] = float(number)
        return status, body

    for number in range(50):
        send(number)
    check(len(acknowledged) == 50, "metrics: writes are taken while there is space")
    filler = fill(disk)
    refusal = None
    for number in range(50, 3000):
        status, body = send(number)
        if status != 204:
            refusal = (status, body)
            break
    check(refusal and 500 <= refusal[0] < 600 and space_words(refusal[1]), f"metrics: a full disk refuses writes and says why: {refusal}")
    for what, path in [("healthy", "/-/healthy"), ("ready", "/-/ready"), ("metrics", "/metrics"), ("targets", "/api/v1/targets")]:
        check(get(url + path)[0] == 200, f"metrics: {what} answers with a full disk")

    def lost():
        params = urllib.parse.urlencode({"query": "disk{number='7'}[1h]"})
        status, body = get(f"{url}/api/v1/query?{params}")
        rows = json.loads(body)["data"]["result"] if status == 200 else []
        have = {round(float(time) * 1000): float(value) for row in rows for time, value in row["values"]}
        return [at_ms for at_ms, value in acknowledged.items() if have.get(at_ms) != value]

    check(not lost(), f"metrics: all {len(acknowledged)} acknowledged writes are read with a full disk, {len(lost())} are not")
    os.remove(filler)
    until("metrics: writes are taken again when there is space", lambda: send(5000 + len(acknowledged))[0] == 204, 40, child)
    count = len(acknowledged)
    for number in range(9000, 9020):
        send(number)
    check(len(acknowledged) == count + 20, "metrics: and they go on being taken")
    check(not lost(), f"metrics: nothing acknowledged is lost after that {lost()[:3]}")
    until("metrics: scrapes are stored again", lambda: query(url, "time() - timestamp(up) < bool 5") and list(query(url, "time() - timestamp(up) < bool 5").values()) == [1.0], 30, child)
    no_panic(child)
    stop(child, 9)
    child = start("metrics", args, at("disk", "m.log"))
    until("metrics is ready after a kill", ready, child=child)
    check(not lost(), f"metrics: nothing acknowledged is lost after a kill {lost()[:3]}")
    stop(child)


def full_logs():
    disk = small_disk("disk", "logs")
    port = free_port()
    config = write(logs_text(os.path.join(disk, "data"), port), "disk", "l.yaml")
    args = [FOURSIGHT, *logs_args(config)]
    child = start("logs", args, at("disk", "l.log"))
    ready = lambda: get(f"http://127.0.0.1:{port}/ready")[0] == 200
    until("logs is ready", ready, 60, child)
    begin = time.time_ns() - 60 * 10**9
    acknowledged = []

    def send(number):
        lines = [(begin + number * 10**6 + i, f"line {number} {i} " + random.randbytes(60).hex()) for i in range(20)]
        status, body = push(port, lines)
        if status == 204:
            acknowledged.extend(lines)
        return status, body

    for number in range(20):
        send(number)
    check(len(acknowledged) == 400, "logs: pushes are taken while there is space")
    filler = fill(disk)
    refusal = None
    for number in range(20, 3000):
        status, body = send(number)
        if status != 204:
            refusal = (status, body)
            break
    check(refusal and 500 <= refusal[0] < 600 and space_words(refusal[1]), f"logs: a full disk refuses pushes and says why: {refusal}")
    for path in ("/metrics", "/loki/api/v1/labels", "/config"):
        check(get(f"http://127.0.0.1:{port}{path}")[0] == 200, f"logs: {path} answers with a full disk")
    lost = lambda: sorted(set(acknowledged) - set(stored_lines(port, '{job="push"}', 5000) or []))
    check(not lost(), f"logs: all {len(acknowledged)} acknowledged lines are read with a full disk, {len(lost())} are not")
    os.remove(filler)
    until("logs: pushes are taken again when there is space", lambda: send(4000 + len(acknowledged))[0] == 204, 40, child)
    count = len(acknowledged)
    for number in range(9000, 9010):
        send(number)
    check(len(acknowledged) == count + 200, "logs: and they go on being taken")
    check(not lost(), f"logs: nothing acknowledged is lost after that {lost()[:2]}")
    no_panic(child)
    stop(child, 9)
    child = start("logs", args, at("disk", "l.log"))
    until("logs is ready after a kill", ready, 60, child)
    check(not lost(), f"logs: nothing acknowledged is lost after a kill {lost()[:2]}")
    stop(child)


ADMIN = {"Authorization": "Basic " + base64.b64encode(b"admin:secret").decode(), "Content-Type": "application/json"}


def full_dashboards():
    disk = small_disk("disk", "dashboards")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    config = write(ini_text(os.path.join(disk, "data"), port), "disk", "d.ini")
    args = [FOURSIGHT, *dashboards_args(config)]
    child = start("dashboards", args, at("disk", "d.log"))
    ready = lambda: get(f"{url}/api/health")[0] == 200
    until("dashboards is ready", ready, child=child)
    saved = []

    def save(number):
        board = {"uid": f"b{number}", "title": f"Board {number}", "panels": [], "description": random.randbytes(2000).hex()}
        status, body = get(f"{url}/api/dashboards/db", json.dumps({"dashboard": board, "overwrite": True}).encode(), ADMIN)
        if status == 200:
            saved.append(board)
        return status, body

    for number in range(5):
        save(number)
    check(len(saved) == 5, "dashboards: saving works while there is space")
    filler = fill(disk)
    refusal = None
    for number in range(5, 3000):
        status, body = save(number)
        if status != 200:
            refusal = (status, body)
            break
    check(refusal and 500 <= refusal[0] < 600 and space_words(refusal[1]), f"dashboards: a full disk refuses to save and says why: {refusal}")

    def lost():
        differs = lambda board: json.loads(get(f"{url}/api/dashboards/uid/{board['uid']}", headers=ADMIN)[1]).get("dashboard", {}).get("description") != board["description"]
        return [board["uid"] for board in saved if differs(board)]

    check(not lost(), f"dashboards: what was saved is read with a full disk {lost()[:3]}")
    os.remove(filler)
    until("dashboards: saving works again when there is space", lambda: save(5000 + len(saved))[0] == 200, 40, child)
    check(not lost(), f"dashboards: nothing saved is lost {lost()[:3]}")
    no_panic(child)
    stop(child, 9)
    child = start("dashboards", args, at("disk", "d.log"))
    until("dashboards is ready after a kill", ready, child=child)
    check(not lost(), f"dashboards: nothing saved is lost after a kill {lost()[:3]}")
    stop(child)


def full_agent():
    disk = small_disk("disk", "agent")
    logs_port, port = free_port(), free_port()
    logs = start("logs", [FOURSIGHT, *logs_args(write(logs_text(at("disk", "al", "data"), logs_port), "disk", "al.yaml"))], at("disk", "al.log"))
    until("logs is ready", lambda: get(f"http://127.0.0.1:{logs_port}/ready")[0] == 200, 60, logs)
    source = write("first\n", "disk", "files", "a.log")
    config = write(agent_text(logs_port, at("disk", "files", "*.log")), "disk", "a.alloy")
    child = start("agent", [FOURSIGHT, *agent_args(config, os.path.join(disk, "data"), port)], at("disk", "a.log"))
    have = lambda: [line for _, line in stored_lines(logs_port, '{job="files"}') or []]
    until("agent: lines arrive", lambda: "first" in have(), 40, child)
    filler = fill(disk)
    with open(source, "a") as file:
        file.write("second\n")
    until("agent: lines arrive with a full disk", lambda: "second" in have(), 40, child)
    until("agent: its log says that positions cannot be kept", lambda: "space" in read(child.log).lower(), 60, child)
    check(get(f"http://127.0.0.1:{port}/-/ready")[0] == 200, "agent: ready answers with a full disk")
    os.remove(filler)
    with open(source, "a") as file:
        file.write("third\n")
    until("agent: lines arrive after that", lambda: "third" in have(), 40, child)
    check(sorted(have()) == ["first", "second", "third"], f"agent: each line came once {have()}")
    no_panic(child)
    stop(child)
    stop(logs)


# --- rubbish in requests --------------------------------------------------------------------------------------------------------------


def garbage_part():
    ports = {name: free_port() for name in ("metrics", "logs", "dashboards", "agent", "titan", "node")}
    config = write("global: {}\n", "garbage", "m.yml")
    logs = write(logs_text(at("garbage", "l", "data"), ports["logs"], "allow_structured_metadata: true"), "garbage", "l.yaml")
    ini = write(ini_text(at("garbage", "d", "data"), ports["dashboards"]), "garbage", "d.ini")
    alloy = write("logging {}\n", "garbage", "a.alloy")
    commands = {
        "metrics": metrics_args(config, at("garbage", "m", "data"), ports["metrics"], "--web.enable-remote-write-receiver", "--web.enable-otlp-receiver", "--web.enable-admin-api"),
        "logs": logs_args(logs),
        "dashboards": dashboards_args(ini),
        "agent": agent_args(alloy, at("garbage", "a", "data"), ports["agent"]),
        "titan": ["titan", f"--listen-address=127.0.0.1:{ports['titan']}", f"--log-dir={at('garbage', 't', 'log')}", "--delay-factor=0"],
        "node": ["node", f"--web.listen-address=127.0.0.1:{ports['node']}"],
    }
    children = {name: start(name, [FOURSIGHT, *args], at("garbage", f"{name}.log")) for name, args in commands.items()}
    paths = {"metrics": rubbish.METRICS_PATHS, "logs": rubbish.LOGS_PATHS, "dashboards": rubbish.DASHBOARDS_PATHS, "agent": rubbish.AGENT_PATHS, "titan": rubbish.TITAN_PATHS, "node": rubbish.NODE_PATHS}
    admin = {"Authorization": ADMIN["Authorization"]}
    for name, child in children.items():
        until(f"{name} answers", lambda name=name: get(f"http://127.0.0.1:{ports[name]}/metrics")[0] == 200, 60, child)
        rubbish.send_all(name, ports[name], paths[name], admin if name == "dashboards" else None)
        no_panic(child)
    for child in children.values():
        stop(child)


# --- long lines -----------------------------------------------------------------------------------------------------------------------


def lines_part():
    giant = "x" * (10 << 20)
    source = write("", "lines", "files", "a.log")
    for what, limits in [("refused", "max_line_size: 256KB"), ("cut", "max_line_size: 256KB\n  max_line_size_truncate: true")]:
        port, agent_port = free_port(), free_port()
        config = write(logs_text(at("lines", what, "data"), port, limits), "lines", f"{what}.yaml")
        logs = start("logs", [FOURSIGHT, *logs_args(config)], at("lines", f"{what}.log"))
        until("logs is ready", lambda port=port: get(f"http://127.0.0.1:{port}/ready")[0] == 200, 60, logs)
        now = time.time_ns() - 10**9
        status, body = push(port, [(now, "before"), (now + 1, giant), (now + 2, "after")])
        have = {line if len(line) < 100 else f"{len(line)} bytes" for _, line in stored_lines(port, '{job="push"}')}
        if what == "refused":
            good = all(words in body for words in (b"max entry size '262144' bytes exceeded for stream '{job=", b"with length '10485760' bytes"))
            check(status == 400 and good, f"a line of 10 MB is refused: {status} {body[:300]}")
            check(have == {"before", "after"}, f"the other lines of the push are stored: {have}")
        else:
            check(status == 204 and have == {"before", "after", "262144 bytes"}, f"a line of 10 MB is cut: {status} {body[:300]} {have}")
        os.remove(source)
        with open(source, "w") as file:
            file.write(f"one\n{giant}\ntwo\n")
        agent = start("agent", [FOURSIGHT, *agent_args(write(agent_text(port, at("lines", "files", "*.log")), "lines", f"{what}.alloy"), at("lines", what, "agent"), agent_port)], at("lines", f"{what}-agent.log"))
        lines = lambda: {line for _, line in stored_lines(port, '{job="files"}') or [] if len(line) < 100}
        until("the lines around a giant one come through the agent", lambda: lines() == {"one", "two"}, 60, agent)
        with open(source, "a") as file:
            file.write("three\n")
        until("and those after them", lambda: "three" in lines(), 60, agent)
        if what == "refused":
            check("exceeded" in read(agent.log) or "too long" in read(agent.log), f"the agent's log tells of the line: {read(agent.log)[-600:]}")
        no_panic(agent)
        no_panic(logs)
        stop(agent)
        stop(logs)


# --- targets that misbehave -----------------------------------------------------------------------------------------------------------

def resident_mb(child):
    for line in read(f"/proc/{child.pid}/status").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) // 1024
    return 0


def targets_part():
    port = free_port()
    jobs = [{"job_name": "good", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}]
    for name, (behaviour, _) in BEHAVIOURS.items():
        jobs.append({"job_name": name, "body_size_limit": "20MB", "static_configs": [{"targets": [f"127.0.0.1:{target(behaviour)}"]}]})
    refused = free_port()
    jobs.append({"job_name": "refused", "static_configs": [{"targets": [f"127.0.0.1:{refused}"]}]})
    config = write(json.dumps({"global": {"scrape_interval": "2s", "scrape_timeout": "1s"}, "scrape_configs": jobs}), "targets", "m.yml")
    child = start("metrics", [FOURSIGHT, *metrics_args(config, at("targets", "data"), port)], at("targets", "m.log"))
    url = f"http://127.0.0.1:{port}"

    def shown():
        status, body = get(f"{url}/api/v1/targets")
        return {one["labels"]["job"]: one for one in json.loads(body)["data"]["activeTargets"]} if status == 200 else {}

    until("every target was scraped", lambda: len(shown()) == len(BEHAVIOURS) + 2 and all(one["health"] != "unknown" for one in shown().values()), 40, child)
    now = shown()
    check(now["good"]["health"] == "up" and not now["good"]["lastError"], f"the good target is up: {now['good']}")
    ups = query(url, "up")
    for name, (_, words) in [*BEHAVIOURS.items(), ("refused", (None, "refused"))]:
        one = now[name]
        value = next((value for labels, value in ups.items() if dict(labels)["job"] == name), None) if isinstance(ups, dict) else ups
        check(one["health"] == "down" and one["lastError"] and words in one["lastError"] and value == 0, f"{name}: {one['health']} up {value}: {one['lastError']}")
    scraped = lambda: list(query(url, 'count_over_time(up{job="good"}[11s]) >= bool 4').values()) == [1.0]
    until("the good target is scraped as ever", scraped, 60, child)
    left = query(url, 'count({__name__=~"a|b|c|endless",job!="good"})')
    check(left == {}, f"nothing of a page that failed is stored: {left}")
    check(resident_mb(child) < 600, f"memory stays bounded: {resident_mb(child)} MB")
    no_panic(child)
    stop(child)


# --- files that break while a host runs -----------------------------------------------------------------------------------------------


def reload_part():
    metrics_reload()
    agent_reload()
    logs_rules()
    dashboards_reload()


def metrics_reload():
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    good = "groups:\n- name: g\n  rules:\n  - {record: kept, expr: vector(1)}\n"
    rules = write(good, "reload", "rules.yml")
    text = "global: {evaluation_interval: 1s}\nrule_files: [rules.yml]\n"
    config = write(text, "reload", "m.yml")
    child = start("metrics", [FOURSIGHT, *metrics_args(config, at("reload", "m", "data"), port, "--web.enable-lifecycle")], at("reload", "m.log"))
    until("metrics is ready", lambda: get(f"{url}/-/ready")[0] == 200, child=child)
    until("the rule is evaluated", lambda: query(url, "kept"), child=child)
    for what, path, broken, repaired, place in [
        ("a broken rule file", rules, "groups:\n- name: g\n  rules:\n  - {record: kept, expr: 'sum('}\n", good, "rules.yml:4"),
        ("a rule file that is no YAML", rules, "groups: [\n", good, "rules.yml:"),
        ("a broken configuration", config, "global: {}\nrule_filess: []\n", text, "m.yml:2"),
        ("a configuration that is gone", config, None, text, "m.yml"),
    ]:
        if broken is None:
            os.remove(path)
        else:
            with open(path, "w") as file:
                file.write(broken)
        status, body = get(f"{url}/-/reload", b"")
        check(400 <= status < 600 and place.encode() in body, f"metrics: {what} is not loaded: {status} {body[:300]}")
        check("kept" in json.dumps(json.loads(get(f"{url}/api/v1/rules")[1])), f"metrics: the old rules are kept after {what}")
        check(b"prometheus_config_last_reload_successful 0" in get(f"{url}/metrics")[1], f"metrics: the metric of reloads tells of {what}")
        with open(path, "w") as file:
            file.write(repaired)
        check(get(f"{url}/-/reload", b"")[0] == 200, f"metrics: the repaired file is loaded after {what}")
    check(b"prometheus_config_last_reload_successful 1" in get(f"{url}/metrics")[1], "metrics: the last reload was a success")
    no_panic(child)
    stop(child)


def agent_reload():
    logs_port, port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    logs = start("logs", [FOURSIGHT, *logs_args(write(logs_text(at("reload", "l", "data"), logs_port), "reload", "l.yaml"))], at("reload", "l.log"))
    until("logs is ready", lambda: get(f"http://127.0.0.1:{logs_port}/ready")[0] == 200, 60, logs)
    source = write("first\n", "reload", "files", "a.log")
    text = agent_text(logs_port, at("reload", "files", "*.log"))
    config = write(text, "reload", "a.alloy")
    args = [FOURSIGHT, *agent_args(config, at("reload", "a", "data"), port)]
    child = start("agent", args, at("reload", "a.log"))
    have = lambda: sorted(line for _, line in stored_lines(logs_port, '{job="files"}') or [])
    until("agent: lines arrive", lambda: have() == ["first"], 40, child)
    with open(config, "w") as file:
        file.write(text + "\nloki.wriet \"x\" {\n}\n")
    status, body = get(f"{url}/-/reload", b"")
    check(400 <= status < 600 and b"a.alloy:" in body and b"loki.wriet" in body, f"agent: a broken configuration is not loaded: {status} {body[:300]}")
    with open(source, "a") as file:
        file.write("second\n")
    until("agent: the old configuration goes on", lambda: have() == ["first", "second"], 40, child)
    with open(config, "w") as file:
        file.write(text)
    check(get(f"{url}/-/reload", b"")[0] == 200, "agent: the repaired one is loaded")
    stop(child)
    positions = [os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(DIR, "reload", "a", "data")) for name in names if "positions" in name]
    check(len(positions) == 1, f"agent: there is a file of positions {positions}")
    for path in positions:
        with open(path, "wb") as file:
            file.write(b"positions: [\x00\xff{{{")
    with open(source, "a") as file:
        file.write("third\n")
    child = start("agent", args, at("reload", "a2.log"))
    until("agent: lines arrive in spite of broken positions, or it says why not", lambda: "third" in have() or child.poll() is not None, 40)
    said = [line for line in read(child.log).splitlines() if "positions" in line]
    check(said and any(path in said[0] for path in positions), f"agent: its log tells of the broken file of positions {said[:2]}")
    if child.poll() is None:
        no_panic(child)
    stop(child)
    stop(logs)


def logs_rules():
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    config = write(logs_text(at("reload", "lr", "data"), port) + f"ruler:\n  storage: {{type: local, local: {{directory: {at('reload', 'lr', 'data')}/rules}}}}\n", "reload", "lr.yaml")
    child = start("logs", [FOURSIGHT, *logs_args(config)], at("reload", "lr.log"))
    until("logs is ready", lambda: get(f"{url}/ready")[0] == 200, 60, child)
    for what, text, words in [
        ("no YAML", b"name: [\n", b""),
        ("a bad expression", b"name: g\nrules:\n- alert: A\n  expr: sum(rate({a=\"b\"}[1m]\n", b"parse error"),
        ("an unknown field", b"name: g\nruless: []\n", b"ruless"),
    ]:
        status, body = get(f"{url}/loki/api/v1/rules/space", text, {"Content-Type": "application/yaml"})
        check(400 <= status < 500 and words in body, f"logs: rules with {what} are refused: {status} {body[:300]}")
    no_panic(child)
    stop(child)


def dashboards_reload():
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    ini = write(ini_text(at("reload", "d", "data"), port), "reload", "d.ini")
    good = "apiVersion: 1\ndatasources:\n- {name: Kept, uid: kept, type: prometheus, url: http://127.0.0.1:1}\n"
    path = write(good, "reload", "provisioning", "datasources", "a.yaml")
    board = write(json.dumps({"uid": "kept", "title": "Kept", "panels": []}), "reload", "boards", "a.json")
    providers = f"apiVersion: 1\nproviders:\n- {{name: p, type: file, updateIntervalSeconds: 1, options: {{path: {os.path.dirname(board)}}}}}\n"
    write(providers, "reload", "provisioning", "dashboards", "p.yaml")
    child = start("dashboards", [FOURSIGHT, *dashboards_args(ini, at("reload", "provisioning"))], at("reload", "d.log"))
    until("dashboards is ready", lambda: get(f"{url}/api/health")[0] == 200, child=child)
    until("dashboards: the provisioned dashboard is there", lambda: get(f"{url}/api/dashboards/uid/kept", headers=ADMIN)[0] == 200, child=child)
    with open(path, "w") as file:
        file.write("apiVersion: 1\ndatasources:\n- name: [Kept]\n")
    status, body = get(f"{url}/api/admin/provisioning/datasources/reload", b"", ADMIN)
    check(400 <= status < 600 and b"a.yaml:3" in body, f"dashboards: broken provisioning is not loaded: {status} {body[:300]}")
    check(get(f"{url}/api/datasources/uid/kept", headers=ADMIN)[0] == 200, "dashboards: the old data source is kept")
    with open(path, "w") as file:
        file.write(good)
    status, body = get(f"{url}/api/admin/provisioning/datasources/reload", b"", ADMIN)
    check(status == 200, f"dashboards: the repaired file is loaded {status} {body[:200]}")
    with open(board, "w") as file:
        file.write('{"uid": "kept", "title": ')
    until("dashboards: its log tells of a broken dashboard", lambda: os.path.basename(board) in "".join(line for line in read(child.log).splitlines() if "level=error" in line or "level=warn" in line), 30, child)
    check(get(f"{url}/api/dashboards/uid/kept", headers=ADMIN)[0] == 200, "dashboards: the old dashboard is kept")
    no_panic(child)
    stop(child)


PARTS = {
    "config": config_part, "ports": ports_part, "disk": disk_part, "garbage": garbage_part, "lines": lines_part, "targets": targets_part, "reload": reload_part,
}


def main():
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()
    finish()


main()
