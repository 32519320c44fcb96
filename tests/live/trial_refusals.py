"""When the assist leaves a lost primary of PostgreSQL to Patroni, on real servers: each refusal with its reason, no fence,
and the cluster is well again once the hindrance is gone. And what is no hindrance: one replica far behind."""
import contextlib
import json
import os
import re
import signal
import subprocess
import time
import unittest
import urllib.request
from pathlib import Path

import assisted
from support import run, wait_until
from watching import incidents, reasons, stopped


class RefusalCase(assisted.AssistTest):
    def start_again(self):
        """What a person does once the hindrance is gone."""
        run("lab", "up", "--dir", self.lab.directory, "--only", self.agent)

    def assert_left_alone(self, reason):
        refused = wait_until("a refusal", self.refusal, 60)
        self.assertIn(reason, refused)
        self.assertEqual(self.fences(), [])
        self.assertIsNone(self.lab.node(self.agent)["pid"], "nobody started it")


class RefusalTest(RefusalCase):
    def said_by(self, agent):
        try:
            with urllib.request.urlopen(f"http://{self.lab.node(agent)['address']}/patroni", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return {}

    def test_a_paused_cluster_is_left_alone(self):
        self.patch({"pause": True})
        self.addCleanup(self.patch, {"pause": None})
        wait_until("the pause in every agent", lambda: all(self.said_by(f"patroni-{n}").get("pause") for n in "123"), 30)
        self.lose_node()
        self.assert_left_alone("the cluster is paused")
        self.patch({"pause": None})
        self.start_again()
        self.lab.await_healthy(180)

    def test_a_standby_cluster_is_left_alone(self):
        self.patch({"standby_cluster": {"host": "127.0.0.1", "port": 1}})
        self.addCleanup(self.patch, {"standby_cluster": None})
        # Its leader is demoted: nobody writes, and that is no loss.
        refused = wait_until("a refusal", self.refusal, 90)
        self.assertIn("standby cluster", refused)
        self.assertEqual(self.fences(), [])
        self.patch({"standby_cluster": None})
        self.lab.await_healthy(180)

    def test_nobody_is_promoted_against_a_tag(self):
        replicas = [n for n in "123" if n != self.primary[-1]]
        files = {n: next(Path(self.lab.directory, "etc", f"patroni-{n}").glob("patroni.y*ml")) for n in replicas}
        before = {n: files[n].read_text() for n in replicas}

        def reload(texts):
            for n in replicas:
                files[n].write_text(texts[n])
                os.kill(self.lab.node(f"patroni-{n}")["pid"], signal.SIGHUP)

        def tagged():
            return all(self.said_by(f"patroni-{n}").get("tags", {}).get("nofailover") for n in replicas)

        reload({n: re.sub(r"(?m)^tags:.*\n(?: .*\n)*", "", before[n]) + "tags:\n  nofailover: true\n" for n in replicas})
        self.addCleanup(reload, before)
        wait_until("the tag", tagged, 60)
        time.sleep(11)  # one loop of Patroni, after which the member keys in etcd say so too
        self.lose_node()
        self.assert_left_alone("nofailover")
        reload(before)
        self.start_again()
        self.lab.await_healthy(180)

    def test_in_failsafe_mode_a_legitimate_leader_is_left_alone(self):
        self.patch({"failsafe_mode": True})
        self.addCleanup(self.patch, {"failsafe_mode": None})
        time.sleep(21)  # two loops: the leader writes the members that it will ask
        with stopped(self.lab.node("etcd-1")["pid"], self.lab.node("etcd-2")["pid"]):
            wait_until("failsafe mode", lambda: self.said_by(self.agent).get("failsafe_mode_is_active"), 90)
            with assisted.Rows(self.lab) as rows:
                count = len(rows.acknowledged)
                time.sleep(40)  # past the lease
                self.assertEqual({name for name, _ in rows.acknowledged}, {self.primary})
                self.assertGreater(len(rows.acknowledged), count + 100, "it writes on without a lease")
            self.assertEqual(self.fences(), [])
            self.lose_node()
            # Not even a refusal is journaled: who has no lock begins nothing.
            reason = "policy: not begun: etcd does not grant the actor lock"
            incident = wait_until("the policy's word", lambda: (found := incidents(self.lab).get("postgres.primary_down")) and
                                  reason in reasons(found) and found, 60)
            print(f"     {incident['summary']}: {incident['reasons']}", flush=True)
            self.assertEqual(incident["subject"], self.primary)
            self.assertRegex(reasons(incident), rf"{self.primary} SQL: refused")
            self.assertIn("postgres.etcd_quorum", incidents(self.lab))
            time.sleep(10)
            self.assertEqual(self.fences(), [], "without etcd's quorum nothing is proven")
            self.assertEqual([one for one in self.executions() if one["id"] not in self.known], [])
            self.assertIsNone(self.lab.node(self.agent)["pid"], "nobody started it")
        self.start_again()
        self.lab.await_healthy(240)

    def test_a_failover_that_somebody_has_ordered_is_left_alone(self):
        etcd = assisted.Etcd(self.lab)
        candidate = next(f"postgres-{n}" for n in "123" if f"postgres-{n}" != self.primary)
        # A living leader would carry it out.
        self.send(signal.SIGSTOP, self.agent)
        etcd.put("failover", json.dumps({"leader": self.primary, "member": candidate}))
        self.lose_node()
        self.assert_left_alone("a failover or switchover was asked for by hand")
        wait_until("the ordered failover", lambda: self.lab.status()["stores"]["postgres"]["primary"] == candidate, 90)
        self.start_again()
        self.lab.await_healthy(240)

    def test_a_replica_far_behind_does_not_hinder_the_other(self):
        behind, near = (f"postgres-{n}" for n in "123" if f"postgres-{n}" != self.primary)
        receiver = next(pid for pid in assisted.tree(self.lab.node(behind)["pid"])
                        if "walreceiver" in subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True,
                                                           text=True).stdout)
        with assisted.Rows(self.lab) as rows, stopped(receiver):
            with rows.connect(self.primary) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT count(pg_logical_emit_message(false, 'far', repeat('x', 100000)))"
                               " FROM generate_series(1, 200)")
            time.sleep(11)  # Patroni's loop: how far the leader has come is in etcd
            self.lose_node()
            facts = wait_until("the release", lambda: self.facts_of_this_test("assist", "acted"), 60)
            wait_until("a new leader", lambda: self.facts_of_this_test("new_primary", near), 60)
        facts = self.check_taken_over(self.execution())
        self.assertEqual(facts["new_primary"], near)
        self.lab.await_healthy(180)

    def facts_of_this_test(self, key, value):
        for one in self.executions():
            if one["id"] in self.known or one["store"] != "postgres":
                continue
            facts = self.lab.cli("--json", "execution", "show", one["id"]).json()["execution"]["facts"]
            if facts.get(key) == value:
                return facts
        return None


class SynchronousRefusalTest(RefusalCase):
    @classmethod
    def options(cls):
        return ["--sync"]

    def test_without_a_sound_synchronous_standby_nothing_is_done(self):
        """Its standby died first: the other replica lacks what was acknowledged since."""
        with assisted.Rows(self.lab) as rows:
            standby = self.sync_standby()
            agent = "patroni-" + standby[-1]
            self.send(signal.SIGSTOP, agent)
            self.send(signal.SIGSTOP, standby)
            self.addCleanup(self.send, signal.SIGCONT, standby)
            self.addCleanup(self.send, signal.SIGCONT, agent)
            self.lose_node()
            refused = wait_until("a refusal", self.refusal, 60)
            self.assertIn("agent does not answer", refused)
            self.assertEqual(self.fences(), [])
            self.send(signal.SIGCONT, standby)
            self.send(signal.SIGCONT, agent)
            run("lab", "up", "--dir", self.lab.directory, "--only", self.agent)
            self.lab.await_healthy(240)
        self.assertEqual(rows.lost(self.lab.status()["stores"]["postgres"]["primary"]), set())

    def test_a_sync_key_of_another_leader_protects_nobody(self):
        etcd = assisted.Etcd(self.lab)
        other = next(f"postgres-{n}" for n in "123" if f"postgres-{n}" != self.primary)
        before = json.loads(etcd.get("sync"))
        with assisted.Rows(self.lab) as rows:
            # A living leader would write it anew.
            self.send(signal.SIGSTOP, self.agent)
            etcd.put("sync", json.dumps({**before, "leader": other}))
            self.lose_node()
            self.assert_left_alone(f"the sync key does not belong to '{self.primary}'")
            etcd.put("sync", json.dumps(before))
            self.start_again()
            self.lab.await_healthy(240)
        self.assertEqual(rows.lost(self.lab.status()["stores"]["postgres"]["primary"]), set())

    def sync_standby(self):
        for n in "123":
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(f"http://{self.lab.node(f'patroni-{n}')['address']}/cluster", timeout=5) as answer:
                    return next(member["name"] for member in json.load(answer)["members"] if member["role"] == "sync_standby")
        self.fail("no agent names a synchronous standby")


if __name__ == "__main__":
    unittest.main()
