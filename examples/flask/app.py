"""A small shop API in Flask that takes Titan's place: the same metrics, the same three log files."""

import json
import logging
import os
import random
import time
import uuid

from flask import Flask, g, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

LOG_DIR = os.environ.get("LOG_DIR", "logs")
os.makedirs(LOG_DIR, exist_ok=True)

REQUESTS = Counter("http_requests", "HTTP requests.", ["method", "endpoint", "status"])
DURATION = Histogram("http_request_duration_seconds", "Time to answer.", ["method", "endpoint"])
IN_PROGRESS = Gauge("http_requests_in_progress", "Requests being answered.")
ORDERS = Counter("titan_orders", "Orders by how they went.", ["status"])
BUILD = Gauge("titan_build_info", "Version of the application.", ["version"])
BUILD.labels("flask-1.0").set(1)

PRODUCTS = {number: {"id": number, "name": f"Product {number}", "price": 5 + number * 3} for number in range(1, 21)}

app = Flask(__name__)
logging.getLogger("werkzeug").setLevel(logging.WARNING)


def append(name, line):
    with open(os.path.join(LOG_DIR, name), "a", encoding="utf-8") as file:
        file.write(line + "\n")


@app.before_request
def begin():
    g.started = time.monotonic()
    g.trace_id = uuid.uuid4().hex
    IN_PROGRESS.inc()


@app.after_request
def end(response):
    took = time.monotonic() - g.started
    endpoint = request.url_rule.rule.replace("<int:number>", "{id}") if request.url_rule else "other"
    if endpoint != "/metrics":
        REQUESTS.labels(request.method, endpoint, response.status_code).inc()
        DURATION.labels(request.method, endpoint).observe(took)
        when = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
        size = response.calculate_content_length() or 0
        append(
            "access.log",
            f'{request.remote_addr} - - [{when}] "{request.method} {request.full_path.rstrip("?")} HTTP/1.1" '
            f'{response.status_code} {size} "-" "{request.user_agent.string}" {took:.3f}',
        )
    return response


@app.teardown_request
def done(_error):
    IN_PROGRESS.dec()


def error(message, **fields):
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    append("error.log", json.dumps({"ts": now, "level": "error", "msg": message, "trace_id": g.trace_id, **fields}))


def info(message, **fields):
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    pairs = " ".join(f"{name}={value}" for name, value in fields.items())
    append("info.log", f'ts={now} level=info msg="{message}" {pairs}')


@app.get("/")
def home():
    return "A small shop. Try /api/products.\n"


@app.get("/health")
def health():
    return jsonify(status="ok")


@app.get("/api/products")
def products():
    time.sleep(random.expovariate(1 / 0.02))
    return jsonify(list(PRODUCTS.values()))


@app.get("/api/products/<int:number>")
def product(number):
    time.sleep(random.expovariate(1 / 0.01))
    if number not in PRODUCTS:
        return jsonify(error="no such product"), 404
    return jsonify(PRODUCTS[number])


@app.post("/api/orders")
def order():
    time.sleep(random.expovariate(1 / 0.05))
    ORDERS.labels("placed").inc()
    if random.random() < 0.03:
        ORDERS.labels("failed").inc()
        error("payment gateway timed out", gateway="paybox", attempt=3)
        return jsonify(error="payment failed"), 502
    ORDERS.labels("paid").inc()
    info("order paid", order=uuid.uuid4().hex[:8])
    return jsonify(order="paid"), 201


@app.get("/metrics")
def metrics():
    return generate_latest(), 200, {"Content-Type": CONTENT_TYPE_LATEST}


if __name__ == "__main__":
    app.run(host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "5000")), threaded=True)
