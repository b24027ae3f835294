"""Scrape targets that misbehave, each in its own way."""

import gzip
import random
import socket
import threading
import time

# 80 MB of samples.
BOMB = gzip.compress(b"a 1\n" * (20 << 20), 1)
HEADER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n"


def hang(sock):
    sock.recv(65536)
    time.sleep(60)


def hang_mid(sock):
    sock.recv(65536)
    sock.sendall(HEADER + b"\r\na 1\n")
    time.sleep(60)


def rubbish_page(sock):
    sock.recv(65536)
    body = b"a 1\n}}} what {\n\xff\xfe\n" * 100
    sock.sendall(HEADER + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def no_http(sock):
    sock.recv(65536)
    sock.sendall(random.randbytes(4000))


def endless(sock):
    sock.recv(65536)
    sock.sendall(HEADER + b"\r\n")
    number = 0
    while True:
        sock.sendall(b"".join(b'endless{number="%d"} 1\n' % (number + i) for i in range(1000)))
        number += 1000


def endless_line(sock):
    sock.recv(65536)
    sock.sendall(HEADER + b"\r\na{b=\"")
    while True:
        sock.sendall(b"x" * 65536)


def closes_mid(sock):
    sock.recv(65536)
    sock.sendall(HEADER + b"Content-Length: 1000000\r\n\r\na 1\nb 2\nc{d=")


def bomb(sock):
    sock.recv(65536)
    sock.sendall(HEADER + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB)


def status_500(sock):
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")


BEHAVIOURS = {
    "hangs": (hang, "deadline"), "hangs mid-page": (hang_mid, "deadline"), "rubbish": (rubbish_page, ""), "no HTTP": (no_http, ""), "endless": (endless, ""),
    "an endless line": (endless_line, ""), "closes mid-page": (closes_mid, ""), "a bomb": (bomb, "body size limit"), "status 500": (status_500, "500"),
}


def target(behaviour):
    """A server on a port of its own that treats every connection so."""
    listener = socket.create_server(("127.0.0.1", 0))

    def one(sock):
        with sock:
            try:
                behaviour(sock)
            except OSError:
                pass

    def accept():
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=one, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]
