"""Planned switchovers under stock clients that write to every node: nothing that was acknowledged is lost."""
import re
import threading
import time
import unittest

import psycopg2
import redis
from support import host_port, run, shared_lab, wait_until


class RedisRecords:
    """One hash per run; written straight to every node."""

    def __init__(self, lab):
        status = lab.lab_status()
        self.password = status["credentials"]["redis"]["password"]
        self.nodes = [node for node in status["nodes"] if node["kind"] == "redis"]
        self.key = f"switchover-test-{time.time()}"

    def connect(self, name):
        host, port = host_port(next(node for node in self.nodes if node["name"] == name)["address"])
        return redis.Redis(host=host, port=port, password=self.password, socket_timeout=20, socket_connect_timeout=1)

    def write(self, node, state, record):
        client = state.setdefault("client", self.connect(node["name"]))
        try:
            return client.hset(self.key, record, 1) == 1
        except redis.exceptions.RedisError:
            return False

    def present(self, primary):
        return {key.decode() for key in self.connect(primary).hkeys(self.key)}


class PostgresRecords:
    """One table, made anew; written straight to every node."""

    def __init__(self, lab):
        status = lab.lab_status()
        self.credentials = status["credentials"]["postgres"]
        self.nodes = [node for node in status["nodes"] if node["kind"] == "postgres"]
        with self.connect(lab.status()["stores"]["postgres"]["primary"]).cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS aeterna_dr.switchover_test")
            cursor.execute("CREATE TABLE aeterna_dr.switchover_test(record text)")

    def connect(self, name):
        host, port = host_port(next(node for node in self.nodes if node["name"] == name)["address"])
        connection = psycopg2.connect(host=host, port=port, user=self.credentials["user"], connect_timeout=2,
                                      password=self.credentials["password"], dbname=self.credentials["database"])
        connection.autocommit = True
        return connection

    def write(self, node, state, record):
        try:
            if "connection" not in state:
                state["connection"] = self.connect(node["name"])
            with state["connection"].cursor() as cursor:
                cursor.execute("INSERT INTO aeterna_dr.switchover_test VALUES (%s)", (record,))
            return True
        except psycopg2.errors.ReadOnlySqlTransaction:
            return False
        except psycopg2.Error:
            state.pop("connection", None)
            return False

    def present(self, primary):
        with self.connect(primary).cursor() as cursor:
            cursor.execute("SELECT record FROM aeterna_dr.switchover_test")
            return {row[0] for row in cursor.fetchall()}


class AllNodesWriter:
    """Writes numbered records to every node until it is left; remembers what was acknowledged, and when."""

    def __init__(self, nodes, write):
        self.acknowledged = {}
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(node, write), daemon=True) for node in nodes]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        time.sleep(2)
        return self

    def __exit__(self, *_):
        time.sleep(2)
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)

    def run(self, node, write):
        state = {}
        number = 0
        while not self.stopping.wait(0.005):
            number += 1
            record = f"{node['name']}-{number}"
            if write(node, state, record):
                self.acknowledged[record] = time.monotonic()

    def longest_outage(self):
        times = sorted(self.acknowledged.values())
        return max(after - before for before, after in zip(times, times[1:]))


class SwitchoverTest(unittest.TestCase):
    def switch(self, lab, store, records, *options):
        before = lab.status()["stores"][store]["primary"]
        with AllNodesWriter(records.nodes, records.write) as writer:
            done = lab.cli("switchover", store, *options, "--yes", timeout=200)
        self.assertEqual(done.code, 0, done)
        after = wait_until("serve to see it", lambda: (lambda now: now if now != before else None)(
            lab.status()["stores"][store]["primary"]), 30)
        print(f"     {store}: {before} to {after}, outage {writer.longest_outage():.3f} s", flush=True)
        self.assertGreater(len(writer.acknowledged), 100)
        self.assertEqual(sorted(set(writer.acknowledged) - records.present(after)), [])
        return after

    def test_redis_switchover_loses_nothing(self):
        lab = shared_lab()
        self.switch(lab, "redis", RedisRecords(lab))

    def test_postgres_switchover_loses_nothing_and_goes_to_the_candidate(self):
        lab = shared_lab()
        before = lab.status()["stores"]["postgres"]["primary"]
        records = PostgresRecords(lab)
        candidate = next(node["name"] for node in records.nodes if node["name"] != before)
        self.assertEqual(self.switch(lab, "postgres", records, "--candidate", candidate), candidate)

    def test_without_approval_or_terminal_the_plan_is_shown_and_nothing_is_done(self):
        lab = shared_lab()
        before = lab.status()["stores"]["redis"]["primary"]
        with open(lab.stack) as file:
            text = file.read()
        without = lab.stack.replace("stack.yaml", "stack-without-approvals.yaml")
        with open(without, "w") as file:
            file.write(re.sub(r"approvals: \[[^\]]*\]", "approvals: []", text))
        done = run("--stack", without, "switchover", "redis", timeout=60)
        self.assertEqual(done.code, 7, done)
        self.assertEqual(lab.status()["stores"]["redis"]["primary"], before)

    def test_failover_of_a_healthy_primary_is_refused(self):
        lab = shared_lab()
        for store in ("postgres", "redis"):
            done = lab.cli("failover", store, "--yes", timeout=60)
            self.assertEqual(done.code, 5, done)


if __name__ == "__main__":
    unittest.main()
