#!/usr/bin/python3
"""Observes outages with stock clients only: psycopg2 and redis-py, straight to every node of a lab.

    observer.py LAB_STATUS.json OUTPUT.json

Writes to each PostgreSQL and Redis node every 20 ms until SIGTERM, then prints per store the longest time without an
acknowledgement by any node: {"postgres": {"last_before", "first_after", "outage_seconds", "acknowledged",
"jitter_seconds"}, …}, wall clock in Unix seconds; the jitter is the second longest such time, by which clients on a busy
machine may be late. It shares no code with aeterna-dr; the two figures are compared by the tests.
"""
import json
import signal
import sys
import threading
import time

import psycopg2
import redis

stopping = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopping.set())


def host_port(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


def watch_postgres(node, credentials, acks):
    host, port = host_port(node["address"])
    connection = None
    number = 0
    while not stopping.wait(0.02):
        try:
            if connection is None:
                connection = psycopg2.connect(host=host, port=port, user=credentials["user"],
                                              password=credentials["password"], dbname=credentials["database"],
                                              connect_timeout=2, options="-c statement_timeout=2000")
                connection.autocommit = True
            number += 1
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO aeterna_dr.observer(node, number) VALUES (%s, %s)", (node["name"], number))
            acks.append(time.time())
        except psycopg2.errors.ReadOnlySqlTransaction:
            pass
        except psycopg2.Error:
            connection = None


def watch_redis(node, credentials, acks):
    host, port = host_port(node["address"])
    client = redis.Redis(host=host, port=port, password=credentials["password"], socket_timeout=1,
                         socket_connect_timeout=1)
    number = 0
    while not stopping.wait(0.02):
        try:
            number += 1
            client.set(f"observer:{node['name']}:{number}", number, ex=600)
            acks.append(time.time())
        except redis.exceptions.RedisError:
            pass


def longest_gap(acks):
    acks = sorted(acks)
    gaps = sorted((after - before, before, after) for before, after in zip(acks, acks[1:]))
    if len(gaps) < 2:
        return {"outage_seconds": None, "acknowledged": len(acks)}
    outage, before, after = gaps[-1]
    return {"last_before": before, "first_after": after, "outage_seconds": outage, "acknowledged": len(acks),
            "jitter_seconds": gaps[-2][0]}


def create_table(nodes, credentials):
    for node in nodes:
        host, port = host_port(node["address"])
        try:
            connection = psycopg2.connect(host=host, port=port, user=credentials["user"],
                                          password=credentials["password"], dbname=credentials["database"])
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("CREATE TABLE IF NOT EXISTS aeterna_dr.observer(node text, number bigint)")
            connection.close()
            return
        except psycopg2.Error:
            continue
    sys.exit("observer: no node lets the table be created")


def main():
    with open(sys.argv[1]) as file:
        status = json.load(file)
    credentials = status["credentials"]
    nodes = {kind: [node for node in status["nodes"] if node["kind"] == kind] for kind in ("postgres", "redis")}
    create_table(nodes["postgres"], credentials["postgres"])
    acks = {"postgres": [], "redis": []}
    threads = []
    for kind, watch in (("postgres", watch_postgres), ("redis", watch_redis)):
        for node in nodes[kind]:
            threads.append(threading.Thread(target=watch, args=(node, credentials[kind], acks[kind]), daemon=True))
    for thread in threads:
        thread.start()
    print("observing", flush=True)
    stopping.wait()
    for thread in threads:
        thread.join(5)
    with open(sys.argv[2], "w") as file:
        json.dump({store: longest_gap(times) for store, times in acks.items()}, file)


main()
