"""Majorities that are lost: etcd without a quorum, Sentinel without a majority. Nothing may be claimed, nothing hangs."""
import json
import time
import unittest

import psycopg2
from support import run, shared_lab, wait_until
from watching import await_incident, incidents, kill, reasons, seen, stopped

DEADLINE_SECONDS = 10
# A process that ends later than its deadline by this much hangs.
GRACE_SECONDS = 10


def executions(lab, store):
    return [execution for execution in lab.cli("--json", "execution", "list").json()["executions"]
            if execution["store"] == store]


class EtcdQuorumTest(unittest.TestCase):
    def assert_refused(self, lab, *command):
        """One clear line within the deadline, nothing journaled; exit 1 where etcd says no, 8 where it stays silent."""
        before = [execution["id"] for execution in executions(lab, command[1])]
        begin = time.monotonic()
        done = lab.cli("--timeout", f"{DEADLINE_SECONDS}s", *command, "--yes", timeout=60)
        self.assertLess(time.monotonic() - begin, DEADLINE_SECONDS + GRACE_SECONDS, command)
        self.assertIn(done.code, (1, 8), done)
        lines = [line for line in done.err.splitlines() if line.startswith("aeterna-dr: ")]
        self.assertEqual(len(lines), 1, done)
        self.assertIn("etcd does not grant the actor lock", lines[0])
        self.assertIn("without the lock nothing is done", done.err)
        self.assertEqual([execution["id"] for execution in executions(lab, command[1])], before)

    def in_recovery(self, lab, node):
        credentials = lab.lab_status()["credentials"]["postgres"]
        host, port = lab.node(node)["address"].rsplit(":", 1)
        try:
            with psycopg2.connect(host=host, port=port, user=credentials["user"], password=credentials["password"],
                                  dbname="postgres", connect_timeout=2) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT pg_is_in_recovery()")
                return cursor.fetchone()[0]
        except psycopg2.Error:
            return None

    def test_without_quorum_nobody_acts_and_the_demoted_primary_is_judged_as_it_is(self):
        lab = shared_lab()
        primary = seen(lab)["stores"]["postgres"]["primary"]
        acted_before = executions(lab, "postgres")
        with stopped(lab.node("etcd-1")["pid"], lab.node("etcd-2")["pid"]):
            incident = await_incident(lab, "postgres.etcd_quorum")
            self.assertEqual(incident["summary"], "etcd has no quorum: 0 of 3 members know a leader")
            self.assertIn(lab.node("etcd-1")["address"], reasons(incident))
            for command in (("switchover", "redis"), ("failover", "redis"), ("switchover", "postgres"),
                            ("failover", "postgres")):
                with self.subTest(command):
                    self.assert_refused(lab, *command)
            # Patroni cannot renew its lease and demotes: no node writes, and that is what is said.
            incident = await_incident(lab, "postgres.primary_down", 90)
            self.assertEqual(incident["summary"], f"no node accepts writes: '{primary}' is in recovery")
            self.assertTrue(self.in_recovery(lab, primary))
            status = seen(lab)["stores"]["postgres"]
            self.assertEqual((status["health"], status["primary"]), ("down", None))
            self.assertEqual(seen(lab)["stores"]["redis"]["health"], "ok")
            self.assert_refused(lab, "failover", "postgres")
            await_incident(lab, "postgres.primary_down")
            wait_until("the policy's refusal", lambda: "policy: not begun: etcd does not grant the actor lock" in
                       reasons(incidents(lab)["postgres.primary_down"]), 30)
            self.assertEqual(executions(lab, "postgres"), acted_before)
        lab.await_healthy(120)
        # What may have begun since has met a living primary, or has seen one promoted.
        for execution in executions(lab, "postgres")[:-len(acted_before) or None]:
            self.assertIn(execution["state"], ("refused", "succeeded"), json.dumps(execution))


class SentinelMajorityTest(unittest.TestCase):
    """Two Sentinels that do not answer may live all the same and act unseen. Where they are dead, the assist promotes by
    hand: trial_redis_assist.py."""

    def test_a_dead_master_without_a_sentinel_majority_is_explained_and_left_to_a_person(self):
        lab = shared_lab()
        master = seen(lab)["stores"]["redis"]["primary"]
        with stopped(lab.node("sentinel-1")["pid"], lab.node("sentinel-2")["pid"]):
            try:
                incident = await_incident(lab, "redis.sentinel_quorum")
                self.assertIn("sentinel-1", reasons(incident))
                self.assertIn("sentinel-2", reasons(incident))
                self.assertEqual(seen(lab)["stores"]["redis"]["primary"], master)
                kill(lab.node(master)["pid"])
                incident = await_incident(lab, "redis.master_down")
                self.assertEqual(incident["subject"], master)
                trigger = f"incident:{incident['id']}"
                # serve waits first; it holds the actor lock meanwhile.
                own = wait_until("the end of serve's runbook", lambda: next(
                    (execution for execution in executions(lab, "redis")
                     if execution["trigger"] == trigger and execution["state"] != "running"), None), 60)
                self.assertEqual(own["state"], "awaiting_approval")
                self.assertIn("1 of 3 Sentinels answer, 2 must authorise a failover", own["summary"])
                begin = time.monotonic()
                done = lab.cli("--timeout", "60s", "failover", "redis", "--yes", timeout=90)
                self.assertLess(time.monotonic() - begin, 60)
                self.assertEqual(done.code, 7, done)
                self.assertIn("silent: sentinel-1, sentinel-2", done.out)
                self.assertIn("hint: Start the missing Sentinels", done.out)
                self.assertEqual(seen(lab)["stores"]["redis"]["primary"], None)
            finally:
                # Before the Sentinels go on: nobody has to be promoted then.
                run("lab", "up", "--dir", lab.directory, "--only", master, prefix=lab.prefix)
        lab.await_healthy(120)


if __name__ == "__main__":
    unittest.main()
