"""Kills a server again and again while others write to it."""

import os
import random
import signal
import time

from peers import FOURSIGHT, check, finish, get, start, stop, tail, until


def run(args, log, ready_url, writers, cycles, look):
    """Starts `foursight ARGS`, lets the writers write, kills it, starts it again, and so on. Now and then `look(writer, acknowledged)` compares
    what is stored with what the writer had acknowledged before the kill: how many it looked up and what is wrong, or None when it can't be read."""
    begin = lambda: start(args[0], [FOURSIGHT, *args], log)
    ready = lambda: get(ready_url)[0] == 200
    server = begin()
    until("the server is ready", ready, child=server)
    for writer in writers:
        writer.start()
    checked = 0
    for cycle in range(cycles):
        time.sleep(random.uniform(0.02, 0.3))
        stop(server, signal.SIGTERM if cycle % 10 == 9 else signal.SIGKILL)
        before = [writer.acknowledged.copy() for writer in writers]
        server = begin()
        if not until(f"the server is ready after kill {cycle}", ready, child=server):
            break
        if cycle % 5 and cycle != cycles - 1:
            continue
        for writer, acknowledged in zip(writers, before):
            found = look(writer, acknowledged)
            if found is None:
                check(False, f"the data can be read after kill {cycle}")
                tail(server)
                finish()
            count, wrong = found
            checked += count
            if wrong:
                check(False, f"kill {cycle}, writer {writer.number}: {wrong}")
    for writer in writers:
        writer.running = False
    total = sum(len(writer.acknowledged) for writer in writers)
    check(total > cycles, f"{cycles} kills, {total} writes acknowledged, {checked} looked up")
    stop(server)
    with open(log, encoding="utf-8") as file:
        damage = [line for line in file if "damage" in line]
    check(not damage, f"no damage was reported {damage[:2]}")
