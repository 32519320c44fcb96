"""Detectors of PostgreSQL's rarer failures on real servers: two nodes that accept writes, and a sync key of another leader."""
import contextlib
import json
import time
import unittest
import urllib.request
from pathlib import Path

import assisted
import servers
from support import shared_lab, wait_until
from watching import await_incident, await_no_incident, detectors_seen, incidents, seen


def others_than(lab, primary):
    return [node["name"] for node in lab.lab_status()["nodes"] if node["kind"] == "postgres" and node["name"] != primary]


class TwoPrimariesTest(unittest.TestCase):
    """A replica is promoted by hand while Patroni is paused: it leaves both as they are."""

    def setUp(self):
        self.lab = shared_lab()
        self.primary = seen(self.lab)["stores"]["postgres"]["primary"]
        self.second = others_than(self.lab, self.primary)[0]
        self.executions_before = self.executions()
        self.addCleanup(self.lab.await_healthy, 180)
        self.addCleanup(self.reinitialize)
        self.addCleanup(assisted.patch, self.lab, {"pause": None})
        self.assertTrue(assisted.patch(self.lab, {"pause": True}))
        wait_until("the pause", lambda: "Patroni is paused" in seen(self.lab)["stores"]["postgres"]["reasons"], 30)

    def executions(self):
        return self.lab.cli("--json", "execution", "list").json()["executions"]

    def promote(self):
        """Returns once it is promoted."""
        servers.command(servers.BIN / "pg_ctl", "-D", Path(self.lab.directory, "data", self.second), "-w", "promote")

    def reinitialize(self):
        """By a person: pg_rewind sees no fork where there has been no checkpoint since, and so Patroni mends nothing."""
        address = self.lab.node("patroni-" + self.second[-1])["address"]
        request = urllib.request.Request(f"http://{address}/reinitialize", method="POST", data=b'{"force": true}')

        def done():
            with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status == 200
        wait_until("a new copy", done, 30)

    def test_two_nodes_that_accept_writes_are_told_and_left_to_a_person(self):
        with assisted.Rows(self.lab) as rows:
            self.assertNotIn("postgres.two_primaries", incidents(self.lab))
            self.promote()
            promoted = time.monotonic()
            incident = await_incident(self.lab, "postgres.two_primaries", 10)
            print(f"     told {time.monotonic() - promoted:.1f} s after the promotion", flush=True)
            wait_until("rows on both", lambda: {name for name, _ in rows.acknowledged} == {self.primary, self.second}, 10)
            pair = sorted((self.primary, self.second))
            self.assertEqual(incident["severity"], "critical")
            self.assertEqual(incident["summary"], f"'{pair[0]}' and '{pair[1]}' both accept writes")
            self.assertEqual(incident["reasons"], [*(f"{name} SQL: not in recovery" for name in pair),
                                                   f"etcd: '{self.primary}' holds the leader key"])
            # It stays open, and neither is taken for dead.
            told = detectors_seen(self.lab, 5)
            self.assertIn("postgres.two_primaries", told)
            self.assertNotIn("postgres.primary_down", told)
            self.assertIn("postgres.two_primaries", incidents(self.lab))
            # Patroni demotes the one without the key as soon as it may.
            self.assertTrue(assisted.patch(self.lab, {"pause": None}))
            await_no_incident(self.lab, "postgres.two_primaries", 60)
            self.assertFalse(rows.is_primary(self.second))
        self.assertEqual(seen(self.lab)["stores"]["postgres"]["primary"], self.primary)
        self.assertEqual(self.executions(), self.executions_before, "whose rows are to go is not ours to say")

    def test_a_replica_on_a_fork_of_its_own_is_told(self):
        """It waits for WAL that never comes: \"highest timeline 1 of the primary is behind recovery timeline 2\"."""
        self.promote()
        await_incident(self.lab, "postgres.two_primaries", 10)
        self.assertTrue(assisted.patch(self.lab, {"pause": None}))
        await_no_incident(self.lab, "postgres.two_primaries", 60)
        incident = await_incident(self.lab, "postgres.timeline_mismatch", 60)
        self.assertEqual(incident["subject"], self.second)


class SyncKeyTest(assisted.AssistTest):
    """Patroni 3.0.2 leaves a sync key alone that names the right standby and the wrong leader."""

    LOOP_WAIT = 10

    @classmethod
    def options(cls):
        return ["--sync"]

    def test_a_sync_key_of_another_leader_is_told_after_two_loops(self):
        etcd = assisted.Etcd(self.lab)
        key = etcd.get("sync")
        self.assertEqual(json.loads(key)["leader"], self.primary)
        other = next(name for name in others_than(self.lab, self.primary) if name != json.loads(key)["sync_standby"])
        self.addCleanup(etcd.put, "sync", key)
        before = time.monotonic()
        etcd.put("sync", json.dumps({**json.loads(key), "leader": other}))
        put = time.monotonic()
        incident = await_incident(self.lab, "postgres.sync_key_mismatch", 4 * self.LOOP_WAIT)
        took = time.monotonic() - before
        print(f"     told {took:.1f} s after the change", flush=True)
        self.assertGreaterEqual(took, 2 * self.LOOP_WAIT)
        self.assertLess(time.monotonic() - put, 3 * self.LOOP_WAIT)
        self.assertEqual(incident["severity"], "degraded")
        self.assertEqual(incident["reasons"],
                         [f"etcd: the sync key names '{other}', the leader key '{self.primary}'"])
        self.assertLessEqual(detectors_seen(self.lab, 2 * self.LOOP_WAIT), {"postgres.sync_key_mismatch"})
        etcd.put("sync", key)
        await_no_incident(self.lab, "postgres.sync_key_mismatch", 10)
        self.assertEqual([one for one in self.executions() if one["id"] not in self.known], [])
        self.lab.await_healthy(60)

    def test_a_mismatch_of_a_moment_is_not_told(self):
        etcd = assisted.Etcd(self.lab)
        key = etcd.get("sync")
        self.addCleanup(etcd.put, "sync", key)
        for _ in range(2):  # one long one that was interrupted is none
            etcd.put("sync", json.dumps({**json.loads(key), "leader": others_than(self.lab, self.primary)[0]}))
            told = detectors_seen(self.lab, 1.5 * self.LOOP_WAIT)
            etcd.put("sync", key)
            self.assertNotIn("postgres.sync_key_mismatch", told | detectors_seen(self.lab, 3))


if __name__ == "__main__":
    unittest.main()
