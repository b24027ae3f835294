#!/usr/bin/env python3
"""Clients as people use them against our log server: what python-logging-loki, OpenTelemetry and winston-loki write is read back."""

import json
import os
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from peers import FOURSIGHT, ROOT, check, finish, free_port, get, start, stop, until, workdir

CLIENTS = os.path.join(ROOT, "target", "log-clients")
PIP = ["python-logging-loki==0.3.1", "opentelemetry-sdk==1.45.2", "opentelemetry-exporter-otlp-proto-http==1.45.2"]
NPM = ["winston@3.19.0", "winston-loki@6.1.7"]
# More than fits into one batch of any of the clients.
LINES = 1000
ODD = 'tab\tquote" backslash\\ é 漢 \U0001f600 {braces}'

PYTHON = r"""
import logging, sys
import logging_loki

url, count, odd = sys.argv[1], int(sys.argv[2]), sys.argv[3]
problems = []
for version, path in (("0", "/api/prom/push"), ("1", "/loki/api/v1/push")):
    handler = logging_loki.LokiHandler(url=url + path, tags={"application": "python" + version}, version=version)
    handler.handleError = lambda record: problems.append(repr(sys.exc_info()[1]))
    logger = logging.getLogger("shop.checkout" + version)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    for n in range(20):
        logger.info("order %d", n, extra={"tags": {"service": "my-service", "a b.c": "odd name"}})
    logger.error(odd)
    try:
        1 / 0
    except ZeroDivisionError:
        logger.exception("failed")
sys.exit("; ".join(problems) or 0)
"""

OTLP = r"""
import sys
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

url, count, odd = sys.argv[1], int(sys.argv[2]), sys.argv[3]
for compression in (Compression.NoCompression, Compression.Gzip):
    resource = Resource.create({"service.name": "otlp-" + compression.value, "service.namespace": "shop", "host.ip": "::1"})
    provider = LoggerProvider(resource=resource)
    exporter = OTLPLogExporter(endpoint=url + "/otlp/v1/logs", compression=compression)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = provider.get_logger("checkout", "1.2")
    for n in range(count):
        logger.emit(LogRecord(
            timestamp=1_000_000 * n + int(sys.argv[4]), severity_number=SeverityNumber.WARN, severity_text="WARN",
            body=odd if n == 0 else f"record {n}", trace_id=0xABC, span_id=0xDEF, attributes={"user.id": 7, "ok": True},
        ))
    if not provider.force_flush():
        sys.exit("not flushed")
    provider.shutdown()
"""

NODE = r"""
const winston = require('winston');
const Loki = require('winston-loki');
const [url, count, odd] = [process.argv[2], Number(process.argv[3]), process.argv[4]];
const problems = [];
async function write(json) {
  const transport = new Loki({
    host: url, json, interval: 1, labels: {app: json ? 'winston-json' : 'winston-protobuf'}, batching: true,
    gracefulShutdown: false, format: winston.format.json(), onConnectionError: (e) => problems.push(String(e)),
  });
  const logger = winston.createLogger({level: 'debug', transports: [transport]});
  for (let n = 0; n < count; n++) logger.info({message: 'line ' + n, labels: {part: 'p' + n % 3}});
  logger.warn({message: odd, user: 'kim'});
  await new Promise((done) => setTimeout(done, 500));
  await transport.flush();
}
write(true).then(() => write(false)).then(() => {
  if (problems.length) { console.error(problems); process.exit(1); }
  process.exit(0);
});
"""


def install():
    """Python's and node's interpreters with the clients; what cannot be installed is `None`, and said."""
    python = os.path.join(CLIENTS, "venv", "bin", "python")
    done = lambda name: os.path.join(CLIENTS, name)
    wanted = {"pip": " ".join(PIP), "npm": " ".join(NPM)}
    commands = {
        "pip": [[sys.executable, "-m", "venv", os.path.join(CLIENTS, "venv")],
                [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PIP]],
        "npm": [["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", CLIENTS, *NPM]],
    }
    os.makedirs(CLIENTS, exist_ok=True)
    ready = {}
    for tool, steps in commands.items():
        stamp = done(f"{tool}.installed")
        if os.path.exists(stamp) and open(stamp, encoding="utf-8").read() == wanted[tool]:
            ready[tool] = True
            continue
        try:
            for command in steps:
                subprocess.run(command, check=True, capture_output=True, timeout=300)
            with open(stamp, "w", encoding="utf-8") as file:
                file.write(wanted[tool])
            ready[tool] = True
        except (OSError, subprocess.SubprocessError) as error:
            text = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip()[-300:]
            print(f"\n######## skipped: no {'PyPI' if tool == 'pip' else 'npm registry'} ({error} {text}) ########\n")
            ready[tool] = False
    return python if ready["pip"] else None, "node" if ready["npm"] else None


def streams(url, selector):
    """What a query finds: (labels, lines in the order of their times) for each stream."""
    params = urllib.parse.urlencode({"query": selector, "since": "1h", "limit": 5000, "direction": "forward"})
    status, body = get(f"{url}/loki/api/v1/query_range?{params}")
    if status != 200:
        return [({"error": body.decode(errors="replace")}, [])]
    return [(row["stream"], [value[1] for value in row["values"]]) for row in json.loads(body)["data"]["result"]]


def lines(url, selector):
    return sorted(line for _, found in streams(url, selector) for line in found)


def has(url, selector, labels, wanted):
    """Exactly these lines, all of them with at least these labels."""
    found = streams(url, selector)
    texts = [line for _, some in found for line in some]
    good = all(labels.items() <= all_labels.items() for all_labels, _ in found) and sorted(texts) == sorted(wanted)
    if not check(good, f"{selector}: {len(wanted)} lines"):
        print("      ", len(texts), [(labels, some[:3]) for labels, some in found[:3]])


def run(what, command, env=None):
    done = subprocess.run(command, capture_output=True, check=False, timeout=120, env={**os.environ, **(env or {})})
    text = (done.stderr + done.stdout).decode(errors="replace").strip()
    return check(done.returncode == 0, f"{what} writes without complaint {text[-500:] if done.returncode else ''}")


def main():
    python, node = install()
    if not python and not node:
        return
    dir = workdir()
    at = lambda name: os.path.join(dir, name)
    url = f"http://127.0.0.1:{(port := free_port())}"
    with open(at("loki.yaml"), "w", encoding="utf-8") as file:
        file.write(
            f"auth_enabled: false\nserver: {{http_listen_address: 127.0.0.1, http_listen_port: {port}}}\n"
            f"common: {{path_prefix: {at('data')}}}\n"
        )
    server = start("logs", [FOURSIGHT, "logs", f"-config.file={at('loki.yaml')}"], at("server.log"))
    until("the server is ready", lambda: get(f"{url}/ready")[0] == 200, child=server)

    arguments = [url, str(LINES), ODD]
    if python and run("python-logging-loki", [python, "-c", PYTHON, *arguments]):
        for version in "01":
            labels = {"application": f"python{version}", "logger": f"shop.checkout{version}"}
            selector = lambda rest: f'{{application="python{version}", {rest}}}'
            info = {**labels, "severity": "info", "service": "my-service", "a_b_c": "odd name"}
            has(url, selector('severity="info"'), info, [f"order {n}" for n in range(20)])
            failed = lines(url, selector('severity="error"') + ' |= "Traceback"')
            check(len(failed) == 1 and failed[0].endswith("ZeroDivisionError: division by zero"), "a line with a stack trace")
            has(url, selector('severity="error"') + ' != "Traceback"', {**labels, "severity": "error"}, [ODD])

    begin = str(time.time_ns() - 60_000_000_000)
    if python and run("OpenTelemetry", [python, "-c", OTLP, *arguments, begin]):
        for compression in ("none", "gzip"):
            service = f"otlp-{compression}"
            labels = {"service_name": service, "service_namespace": "shop", "severity_text": "WARN", "severity_number": "13"}
            labels |= {"user_id": "7", "ok": "true", "scope_name": "checkout", "scope_version": "1.2", "host_ip": "::1"}
            labels |= {"trace_id": f"{0xABC:032x}", "span_id": f"{0xDEF:016x}", "detected_level": "warn"}
            has(url, f'{{service_name="{service}"}}', labels, [ODD, *(f"record {n}" for n in range(1, LINES))])
            found = lines(url, f'{{service_name="{service}"}} | trace_id="{0xABC:032x}" | user_id="7" |= "record 12"')
            check(len(found) == 11, f"{service}: {len(found)} lines by their metadata")

    with open(at("write.js"), "w", encoding="utf-8") as file:
        file.write(NODE)
    modules = {"NODE_PATH": os.path.join(CLIENTS, "node_modules")}
    if node and run("winston-loki", [node, at("write.js"), *arguments], modules):
        for app in ("winston-json", "winston-protobuf"):
            texts = lambda selector: sorted(json.loads(line)["message"] for line in lines(url, selector))
            for part in range(3):
                wanted = sorted(f"line {n}" for n in range(LINES) if n % 3 == part)
                got = texts(f'{{app="{app}", level="info", part="p{part}"}}')
                if not check(got == wanted, f"{app}: {len(wanted)} lines of part {part}"):
                    print("      ", len(got), got[:3], streams(url, f'{{app="{app}"}}')[:1])
            check(texts(f'{{app="{app}", level="warn"}} | json | user="kim"') == [ODD], f"{app}: odd characters")

    # All of it is there after a kill.
    before = {app: len(lines(url, f'{{app="{app}"}}')) for app in ("winston-json", "winston-protobuf")}
    stop(server, 9)
    server = start("logs", [FOURSIGHT, "logs", f"-config.file={at('loki.yaml')}"], at("server.log"))
    until("the server is ready again", lambda: get(f"{url}/ready")[0] == 200, child=server)
    after = {app: len(lines(url, f'{{app="{app}"}}')) for app in before}
    check(before == after, f"the same lines after kill -9 {after}")


main()
finish()
