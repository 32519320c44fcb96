"""Servers that live and yet do not serve: a postmaster that hangs alone, a Redis master that loads its data."""
import secrets
import unittest

import redis
from support import run, shared_lab, wait_until
from watching import (await_incident, await_no_incident, detectors_seen, incidents, kill, node_status, reasons, seen,
                      stopped)


class HungPostmasterTest(unittest.TestCase):
    def test_only_the_postmaster_is_said_to_hang_while_its_sessions_live_on(self):
        lab = shared_lab()
        primary = seen(lab)["stores"]["postgres"]["primary"]
        number = primary.rsplit("-", 1)[1]
        # Patroni and the server's other processes go on: its open session answers, the lease is renewed.
        with stopped(lab.node(primary)["pid"]):
            incident = await_incident(lab, "postgres.hung_postmaster")
            self.assertEqual(incident["subject"], primary)
            self.assertEqual(incident["severity"], "critical")
            self.assertIn(f"{primary} connect: silent", reasons(incident))
            self.assertIn(f"patroni-{number} REST: PostgreSQL is 'running'", reasons(incident))
            # Nobody new gets in: that is true. Everything else lives, also longer than any silence is waited for.
            self.assertLessEqual(detectors_seen(lab, 8), {"postgres.hung_postmaster", "postgres.client_path_down"})
            status = seen(lab)["stores"]["postgres"]
            self.assertEqual(status["health"], "degraded")
            self.assertEqual(status["primary"], primary)
            self.assertIn(f"'{primary}' accepts connections, but starts no new session", status["reasons"])
            states = {node["name"]: node["state"] for node in status["nodes"]}
            self.assertEqual(states.pop(primary), "running")
            self.assertEqual(set(states.values()), {"streaming", "running"}, states)
        await_no_incident(lab, "postgres.hung_postmaster")
        lab.await_healthy(60)


class LoadingTest(unittest.TestCase):
    KEYS = 700
    SECONDS_PER_KEY = 0.03

    def tearDown(self):
        shared_lab().await_healthy(120)

    def connect(self, lab, node):
        host, port = node["address"].rsplit(":", 1)
        return redis.Redis(host=host, port=int(port), password=lab.lab_status()["credentials"]["redis"]["password"])

    def settle(self, client, delay, interval):
        client.config_set("key-load-delay", delay)
        client.config_set("loading-process-events-interval-bytes", interval)
        client.execute_command("CONFIG", "REWRITE")

    def test_a_master_that_loads_is_no_dead_master(self):
        lab = shared_lab()
        master = seen(lab)["stores"]["redis"]["primary"]
        node = lab.node(master)
        client = self.connect(lab, node)
        client.flushall()  # how long it loads goes by the number of keys, whoever wrote them
        for number in range(self.KEYS):
            client.set(f"loading-test:{number}", secrets.token_hex(150))
        client.bgrewriteaof()
        wait_until("one file with all keys", lambda: self.is_rewritten(client), 30)
        self.settle(client, int(self.SECONDS_PER_KEY * 1e6), 1024)
        try:
            kill(node["pid"])
            done = run("lab", "up", "--dir", lab.directory, "--only", master, prefix=lab.prefix)
            self.assertEqual(done.code, 0, done)
            wait_until("loading", lambda: node_status(lab, "redis", master)["state"] == "loading", 20)
            # The kill itself may have been seen; that is over once it answers.
            await_no_incident(lab, "redis.master_down", 5)
            incident = await_incident(lab, "redis.loading")
            self.assertNotIn("redis.master_down", incidents(lab))
            self.assertEqual(incident["subject"], master)
            self.assertIn("loading:1", reasons(incident))
            status = seen(lab)["stores"]["redis"]
            self.assertIn(f"{master} loads its data", status["reasons"])
            self.assertNotIn("also says it is master", "\n".join(status["reasons"]))
            await_no_incident(lab, "redis.loading")
            self.assertEqual(seen(lab)["stores"]["redis"]["primary"], master)
        finally:
            wait_until("the end of loading", lambda: self.has_loaded(client), 60)
            self.settle(client, 0, 2097152)
            client.flushdb()

    @staticmethod
    def is_rewritten(client):
        persistence = client.info("persistence")
        return persistence["aof_rewrite_in_progress"] == 0 and persistence["aof_rewrite_scheduled"] == 0

    @staticmethod
    def has_loaded(client):
        try:
            return client.info("persistence")["loading"] == 0
        except redis.exceptions.RedisError:
            return False


if __name__ == "__main__":
    unittest.main()
