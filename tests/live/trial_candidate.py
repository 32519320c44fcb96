"""A failover of PostgreSQL by a person's command, on real servers: to the node that is named, with and without a leader key,
and to whom Patroni chooses."""
import base64
import concurrent.futures
import contextlib
import json
import time
import unittest
import urllib.request

import assisted
from support import run, wait_until


class CandidateTest(assisted.AssistTest):
    def setUp(self):
        super().setUp()
        # serve would be faster than a person.
        opened = self.lab.cli("maintenance", "on", "--store", "postgres", "--for", "30m", "--reason", "a person fails over")
        self.assertEqual(opened.code, 0, opened)
        self.addCleanup(self.lab.cli, "maintenance", "off")
        self.replicas = sorted({f"postgres-{n}" for n in "123"} - {self.primary})

    def etcd(self, path, **fields):
        """Through the gateway of the first member that answers; keys and values in base64 there."""
        body = json.dumps({name: base64.b64encode(value.encode()).decode() for name, value in fields.items()}).encode()
        for node in self.lab.lab_status()["nodes"]:
            if node["kind"] != "etcd":
                continue
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{node['address']}/v3/kv/{path}", body, timeout=5) as answer:
                return json.load(answer)
        self.fail("no etcd answers")

    def keys(self):
        found = self.etcd("range", key="/service/", range_end="/service0").get("kvs", [])
        return [base64.b64decode(one["key"]).decode() for one in found]

    def leader_keys(self):
        return [key for key in self.keys() if key.endswith("/leader")]

    def fail_over(self, candidate, *options):
        named = ["--candidate", candidate] if candidate else []
        return self.lab.cli("--json", "failover", "postgres", *named, "--yes", "--during-maintenance", *options, timeout=240)

    def test_without_a_name_it_acts_as_the_assist_does_and_patroni_chooses(self):
        with assisted.Rows(self.lab) as rows:
            self.lose_node()
            done = self.fail_over(None)
        self.assertEqual(done.code, 0, done)
        facts = self.check_taken_over(self.execution())
        gap = rows.first_sent[facts["new_primary"]] - rows.last[self.primary]
        print(f"     nobody took rows for {gap:.1f} s; {facts['lease_remaining_seconds']:.1f} s of the lease were left", flush=True)
        self.assertGreater(facts["lease_remaining_seconds"], 0)
        self.assertEqual({name for name, _ in rows.acknowledged}, {self.primary, facts["new_primary"]})

    def test_the_named_node_leads_and_no_other_one_before(self):
        candidate = self.replicas[-1]
        with assisted.Rows(self.lab) as rows:
            self.lose_node()
            done = self.fail_over(candidate)
            self.assertEqual(done.code, 0, done)
            wait_until("a row of the new primary", lambda: rows.acknowledged[-1][0] == candidate, 30)
        facts = self.execution()["facts"]
        self.assertEqual((facts["assist"], facts["new_primary"]), ("acted", candidate), facts)
        self.assertEqual({name for name, _ in rows.acknowledged}, {self.primary, candidate}, "nobody led between")

    def test_a_node_that_may_not_win_is_refused_before_anything_is_touched(self):
        self.patch({"maximum_lag_on_failover": -1})
        self.addCleanup(self.patch, {"maximum_lag_on_failover": None})
        wait_until("the setting in every agent", lambda: self.config()["maximum_lag_on_failover"] == -1, 30)
        self.lose_node()
        refused = self.fail_over(self.replicas[0])
        self.assertEqual(refused.code, 5, refused)
        self.assertIn(f"'{self.replicas[0]}' may not take over", refused.err)
        self.assertEqual(self.fences(), [])
        itself = self.fail_over(self.primary)
        self.assertEqual(itself.code, 5, itself)
        self.assertEqual(self.fail_over("postgres-9").code, 2)
        self.assertEqual(self.fail_over(self.replicas[0], "--assist", "off").code, 2)
        self.patch({"maximum_lag_on_failover": None})
        wait_until("the setting in every agent", lambda: self.config().get("maximum_lag_on_failover") != -1, 30)
        done = self.fail_over(self.replicas[0])
        self.assertEqual(done.code, 0, done)

    def test_where_nobody_leads_patroni_is_asked_for_it(self):
        """Patroni promotes nobody: its history names a timeline that no node has."""
        self.patch({"check_timeline": True})
        self.addCleanup(self.patch, {"check_timeline": None})
        history = self.leader_keys()[0].removesuffix("leader") + "history"
        self.etcd("put", key=history, value=json.dumps([[99, 1, "no recovery target specified"]]))
        self.lose_node()
        wait_until("the end of the lease", lambda: not self.leader_keys(), 60)
        time.sleep(12)
        self.assertEqual(self.leader_keys(), [], "nobody leads")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            acting = pool.submit(self.fail_over, self.replicas[1])
            wait_until("a leader", self.leader_keys, 60)
            # Nobody holds the old one down, and nobody starts it either.
            run("lab", "up", "--dir", self.lab.directory, "--only", self.agent)
            done = acting.result()
        self.assertEqual(done.code, 0, done)
        facts = self.execution()["facts"]
        self.assertEqual((facts["old_primary"], facts["new_primary"]), (self.primary, self.replicas[1]))


if __name__ == "__main__":
    unittest.main()
