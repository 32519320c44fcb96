"""A whole host out of everybody's sight: PostgreSQL's primary, its agent, Redis' master, an etcd and a Sentinel behind one link that
is cut. They live on, and hold themselves for leaders until they notice; the host's processes can be reached all the same, as by
a console. Redis has another master within seconds; PostgreSQL's primary is fenced, but no port refuses, so that its lease has to end.
The old ones come back as replicas once the link is there again. Needs root."""
import os
import time
import unittest
from pathlib import Path

import assisted
from assisted_redis import Stack, Writers, use_stack
from far_place import FarPlace
from support import Lab, is_running, run, wait_until
from watching import kill

KINDS = ("etcd", "patroni", "redis", "sentinel", "qdrant", "exporter")
# Silence is believed after 5 s; the lease is 30 s, down-after too.
WITHIN_SECONDS = 15


@unittest.skipUnless(os.geteuid() == 0, "a network namespace needs root")
class HostPartitionTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(*cls.options())
        cls.addClassCleanup(cls.lab.remove)
        cls.lab.up()
        cls.lab.await_healthy(180)
        cls.old = cls.lab.status()["stores"]["postgres"]["primary"]
        cls.number = cls.old[-1]
        cls.master = "redis-" + cls.number
        subnet = cls.lab.node(cls.master)["address"].split(".")[2]
        serve = cls.lab.node("serve")["pid"]
        kill(serve)
        for node in cls.lab.lab_status()["nodes"]:
            if node["name"].endswith("-" + cls.number) and node["pid"] and not node["address"].split(":")[0].endswith(".10"):
                for pid in assisted.tree(node["pid"]):
                    if is_running(pid):
                        kill(pid)
        cls.place = cls.enterClassContext(FarPlace(subnet, cls.number))
        text = Path(cls.lab.stack).read_text()
        prefix = ", ".join(f'"{word}"' for word in cls.place.prefix)
        for kind in KINDS:
            done = run("lab", "up", "--dir", cls.lab.directory, "--only", f"{kind}-{cls.number}", prefix=cls.place.prefix)
            assert done.code == 0, done
        lines = [line.replace('start: ["', f'start: [{prefix}, "') if line.rstrip().endswith(f'-{cls.number}"]') else line
                 for line in text.splitlines(keepends=True)]
        run("lab", "up", "--dir", cls.lab.directory, "--only", "serve")
        use_stack(cls.lab, "".join(lines).replace("    assist: act\n", "    assist: act\n    assist_cooldown: 1s\n"))

    @classmethod
    def options(cls):
        return []

    def test_packets_vanish(self):
        self.check_partition(self.place.cut_arrivals, self.place.join_arrivals)

    def test_our_own_kernel_drops_them(self):
        self.check_partition(self.place.cut, self.place.join)

    def check_partition(self, cut, join):
        self.lab.await_healthy(240)
        stack = Stack(self.lab)
        self.bring_back()
        known = {one["id"] for one in self.failovers()}
        with assisted.Rows(self.lab) as rows, Writers(stack) as writers:
            began = time.monotonic()
            cut()
            try:
                other = wait_until("another master", lambda: stack.other_master(self.master), 60)
                new = wait_until("another primary", lambda: next((name for name in rows.nodes if name != self.old and rows.is_primary(name)), None), 60)
                self.assertEqual([name for name in (self.old, "patroni-" + self.number) if self.lab.node(name)["pid"]], [], "fenced before")
                wait_until("its rows", lambda: new in rows.first_sent, 20)
            finally:
                join()
            wait_until("the old master as a replica", lambda: stack.is_replica_with_link(self.master), 120)
        print(f"     {new} after {rows.first_sent[new] - began:.1f} s; {other}, outage {writers.outage():.1f} s, lost {len(writers.lost(other))}",
              flush=True)
        self.assertLess(writers.outage(), WITHIN_SECONDS)
        self.assertEqual({name for name, _ in rows.acknowledged}, {self.old, new}, "nobody wrote beside the new one")
        self.assertGreater(rows.first_sent[new], rows.last[self.old])
        self.lab.await_healthy(300)
        new_ones = wait_until("the end of the failovers", lambda: self.ended_since(known), 120)
        for one in new_ones:
            print(f"     {one['store']} {one['state']}: {one['facts'].get('assist')} {one['facts'].get('assist_reasons')}", flush=True)
        facts = {one["store"]: one["facts"] for one in new_ones}
        self.assertEqual(len(new_ones), 2, new_ones)
        self.assertEqual((facts["redis"]["assist"], facts["postgres"]["assist"]), ("acted", "refused"))
        # Dead by the word of its host alone: no port refuses, so its lease is not taken away.
        self.assertIn("the fence does not show from here", facts["postgres"]["assist_reasons"])
        for store in facts:
            self.assertIn("salvaged", facts[store])

    def failovers(self):
        return [self.lab.cli("--json", "execution", "show", one["id"]).json()["execution"]
                for one in self.lab.cli("--json", "execution", "list").json()["executions"] if one["runbook"] == "failover"]

    def ended_since(self, known):
        found = [one for one in self.failovers() if one["id"] not in known]
        return found if all(one["state"] != "running" for one in found) else []

    def bring_back(self):
        """The roles to the host that is going to be cut off."""
        for store, node in (("postgres", self.old), ("redis", self.master)):
            if self.lab.status()["stores"][store]["primary"] != node:
                done = self.lab.cli("switchover", store, "--candidate", node, "--yes")
                self.assertEqual(done.code, 0, done)
        self.lab.await_healthy(120)


class SynchronousVanishTest(HostPartitionTest):
    """The one synchronous standby is another node afterwards, and nobody may switch to this one: a lab for each."""
    test_our_own_kernel_drops_them = None

    @classmethod
    def options(cls):
        return ["--sync"]


class SynchronousDropTest(SynchronousVanishTest):
    test_our_own_kernel_drops_them = HostPartitionTest.test_our_own_kernel_drops_them
    test_packets_vanish = None


if __name__ == "__main__":
    unittest.main()
