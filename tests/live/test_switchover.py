"""Planned switchovers under a ledger: nothing that was acknowledged is lost."""
import threading
import time
import unittest

import psycopg2
import redis
from support import shared_lab


def host_port(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


class AllNodesWriter:
    """Writes numbered records to every node of one store until stopped; remembers what was acknowledged."""

    def __init__(self, nodes, write):
        self.acknowledged = {}
        self.times = []
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
            thread.join(10)

    def run(self, node, write):
        state = {}
        number = 0
        while not self.stopping.wait(0.005):
            number += 1
            record = f"{node['name']}-{number}"
            if write(node, state, record):
                now = time.monotonic()
                self.acknowledged[record] = now
                self.times.append(now)

    def longest_outage(self):
        times = sorted(self.times)
        return max(after - before for before, after in zip(times, times[1:]))


class SwitchoverTest(unittest.TestCase):
    def test_redis_switchover_loses_nothing(self):
        lab = shared_lab()
        status = lab.lab_status()
        password = status["credentials"]["redis"]["password"]
        nodes = [node for node in status["nodes"] if node["kind"] == "redis"]
        run = f"switchover-test-{time.time()}"

        def connect(node):
            host, port = host_port(node["address"])
            return redis.Redis(host=host, port=port, password=password, socket_timeout=20, socket_connect_timeout=1)

        def write(node, state, record):
            client = state.setdefault("client", connect(node))
            try:
                return client.hset(run, record, 1) == 1
            except redis.exceptions.RedisError:
                return False

        before = lab.status()["stores"]["redis"]["primary"]
        with AllNodesWriter(nodes, write) as writer:
            done = lab.cli("switchover", "redis", "--yes", timeout=120)
        self.assertEqual(done.code, 0, done)
        after = lab.status()["stores"]["redis"]["primary"]
        self.assertNotEqual(after, before)
        master = connect(next(node for node in nodes if node["name"] == after))
        present = {key.decode() for key in master.hkeys(run)}
        print(f"     redis: {before} → {after}, outage {writer.longest_outage():.3f} s", flush=True)
        self.assertGreater(len(writer.acknowledged), 100)
        self.assertEqual(sorted(set(writer.acknowledged) - present), [])
        master.delete(run)

    def test_postgres_switchover_loses_nothing_and_goes_to_the_candidate(self):
        lab = shared_lab()
        status = lab.lab_status()
        credentials = status["credentials"]["postgres"]
        nodes = [node for node in status["nodes"] if node["kind"] == "postgres"]

        def connect(node):
            host, port = host_port(node["address"])
            connection = psycopg2.connect(host=host, port=port, user=credentials["user"], connect_timeout=2,
                                          password=credentials["password"], dbname=credentials["database"])
            connection.autocommit = True
            return connection

        def write(node, state, record):
            try:
                if "connection" not in state:
                    state["connection"] = connect(node)
                with state["connection"].cursor() as cursor:
                    cursor.execute("INSERT INTO aeterna_dr.switchover_test VALUES (%s)", (record,))
                return True
            except psycopg2.errors.ReadOnlySqlTransaction:
                return False
            except psycopg2.Error:
                state.pop("connection", None)
                return False

        before = lab.status()["stores"]["postgres"]["primary"]
        primary = connect(next(node for node in nodes if node["name"] == before))
        with primary.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS aeterna_dr.switchover_test")
            cursor.execute("CREATE TABLE aeterna_dr.switchover_test(record text)")
        candidate = next(node["name"] for node in nodes if node["name"] != before)
        with AllNodesWriter(nodes, write) as writer:
            done = lab.cli("switchover", "postgres", "--candidate", candidate, "--yes", timeout=200)
        self.assertEqual(done.code, 0, done)
        self.assertEqual(lab.status()["stores"]["postgres"]["primary"], candidate)
        with connect(next(node for node in nodes if node["name"] == candidate)).cursor() as cursor:
            cursor.execute("SELECT record FROM aeterna_dr.switchover_test")
            present = {row[0] for row in cursor.fetchall()}
        print(f"     postgres: {before} → {candidate}, outage {writer.longest_outage():.3f} s", flush=True)
        self.assertGreater(len(writer.acknowledged), 100)
        self.assertEqual(sorted(set(writer.acknowledged) - present), [])

    def test_without_approval_or_terminal_the_plan_is_shown_and_nothing_is_done(self):
        lab = shared_lab()
        before = lab.status()["stores"]["redis"]["primary"]
        with open(lab.stack) as file:
            text = file.read()
        without = lab.stack.replace("stack.yaml", "stack-without-approvals.yaml")
        import re
        with open(without, "w") as file:
            file.write(re.sub(r"approvals: \[[^\]]*\]", "approvals: []", text))
        from support import run
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
