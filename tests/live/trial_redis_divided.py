"""A division of Redis that no Sentinel ends, on real servers at stock timings: serve reconciles it (docs/decisions/019)."""
import time
import unittest
from pathlib import Path

from assisted_redis import AssistCase, show
from support import wait_until

NOTICED_SECONDS = 20  # redis.divided


class DividedTest(AssistCase):
    def setUp(self):
        super().setUp()
        self.known = set(self.reconciliations())
        self.quorum = self.stack.client(self.stack.sentinels[0]).sentinel_master(self.stack.master_name)["quorum"]

    def reconciliations(self):
        return [execution["id"] for execution in self.lab.cli("--json", "execution", "list").json()["executions"]
                if execution["runbook"] == "reconcile"]

    def tell(self, sentinel, node):
        client = self.stack.client(sentinel)
        settings = client.sentinel_master(self.stack.master_name)
        client.sentinel_remove(self.stack.master_name)
        client.sentinel_monitor(self.stack.master_name, *self.stack.addresses[node], self.quorum)
        client.sentinel_set(self.stack.master_name, "auth-pass", self.stack.password)
        for name in ("down-after-milliseconds", "failover-timeout", "parallel-syncs"):
            client.sentinel_set(self.stack.master_name, name, settings[name])

    def others(self):
        return [name for name in self.stack.nodes if name != self.master]

    def reconciled(self):
        def ended():
            new = [one for one in self.reconciliations() if one not in self.known]
            return new and (execution := show(self.lab, new[0]))["state"] != "running" and execution
        execution = wait_until("the end of the division", ended, 90)
        self.assertEqual(execution["state"], "succeeded", execution)
        self.assertEqual(execution["facts"]["redis.new_master"], self.master)
        wait_until("Sentinels that agree", lambda: self.stack.named_master() == self.master, 10)
        wait_until("replicas", lambda: all(self.stack.is_replica_with_link(name) for name in self.others()), 30)
        for sentinel in self.stack.sentinels:
            seen = self.stack.client(sentinel).sentinel_master(self.stack.master_name)
            self.assertEqual((seen["quorum"], seen["down-after-milliseconds"]), (self.quorum, 30000), sentinel)
        return execution

    def await_division(self):
        """Nobody ends it: as long as serve waits for the Sentinels, and longer than these need."""
        time.sleep(NOTICED_SECONDS - 2)
        self.assertEqual([one for one in self.reconciliations() if one not in self.known], [])

    def test_a_sentinel_that_names_a_replica_is_told(self):
        self.tell(self.stack.sentinels[2], self.others()[0])
        self.await_division()
        self.assertIsNone(self.stack.named_master(), "they agree by themselves")
        execution = self.reconciled()
        self.assertIn(f"{self.stack.sentinels[2]} names {self.others()[0]}", execution["facts"]["redis.division"])

    def test_what_a_forgotten_second_master_took_is_kept_and_it_follows(self):
        second = self.others()[1]
        client = self.stack.client(second)
        client.replicaof("NO", "ONE")
        for sentinel in self.stack.sentinels:
            self.tell(sentinel, self.master)
        client.mset({f"only-here-{number}": "1" for number in range(5)})
        client.rpush("only-here", "a", "b")
        self.await_division()
        self.assertEqual(self.stack.role(second), "master", "a Sentinel has turned it")
        salvaged = self.reconciled()["facts"]["salvaged"]
        # A key whose time is over, serve's own among them, is deleted by a write of its own.
        self.assertRegex(salvaged["summary"], r"^\d+ writes: (del \d+, )?mset 1, rpush 1, which")
        tail = Path(salvaged["directory"], f"{second}-tail.aof").read_bytes()
        self.assertIn(b"only-here-4", tail)
        self.assertIn(b"RPUSH", tail.upper())
        self.assertEqual(self.stack.client(second).exists("only-here"), 0)

    def test_a_replica_of_a_replica_is_turned(self):
        """Which the Sentinels would turn if they knew it."""
        first, astray = self.others()
        self.stack.client(astray).replicaof(*self.stack.addresses[first])
        for sentinel in self.stack.sentinels:
            self.tell(sentinel, self.master)
        self.await_division()
        self.assertEqual(self.stack.client(astray).info("replication")["master_port"], self.stack.addresses[first][1])
        self.reconciled()


if __name__ == "__main__":
    unittest.main()
