"""A watcher whose own link is cut, wholly or towards PostgreSQL alone: it must doubt itself, not everybody else."""
import os
import re
import shutil
import subprocess
import unittest

from far_place import FarPlace
from support import PROGRAM, run, shared_lab, wait_until
from watching import await_incident, detectors_seen, reasons, seen

# Longer than the silence that condemns a server (5 s).
HOLD_SECONDS = 6


class FarWatcher:
    """`serve` in a place of its own, with its own journal, allowed to fail over whatever it believes dead."""

    def __init__(self, lab, place):
        self.place = place
        self.state = os.path.join(lab.directory, "far-state")
        self.stack = os.path.join(lab.directory, "stack-far.yaml")
        with open(lab.stack) as file:
            text = file.read()
        text = re.sub(r"(?m)^name: lab$", "name: far", text)
        text = re.sub(r"(?m)^state_directory: \S+", f"state_directory: {self.state}", text)
        text = re.sub(r'(?m)^  listen: \S+', f"  listen: {place.address}:9464", text)
        with open(self.stack, "w") as file:
            file.write(text)
        self.log = os.path.join(lab.directory, "log", "far.log")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([*place.prefix, PROGRAM, "--stack", self.stack, "serve"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.state, ignore_errors=True)

    def cli(self, *arguments):
        return run("--stack", self.stack, *arguments, prefix=self.place.prefix, timeout=60)

    def status(self):
        return self.cli("--json", "status").json()

    def await_healthy(self):
        def healthy():
            status = self.status()
            return status["watcher"] == "serve" and status["healthy"] and not status["incidents"]
        wait_until("a healthy stack, seen from far", healthy, 60)

    def journaled(self):
        """Every incident and every execution so far."""
        return (self.cli("--json", "incident", "list").json()["incidents"],
                self.cli("--json", "execution", "list").json()["executions"])


@unittest.skipUnless(os.geteuid() == 0, "a network namespace needs root")
class IsolationTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        lab = shared_lab()
        subnet = lab.node("redis-1")["address"].split(".")[2]
        cls.place = cls.enterClassContext(FarPlace(subnet))
        cls.watcher = FarWatcher(lab, cls.place)
        cls.addClassCleanup(cls.watcher.end)
        cls.watcher.await_healthy()

    def assert_it_doubts_itself(self, cut, join):
        before = self.watcher.journaled()
        cut()
        try:
            wait_until("isolation", lambda: seen(self.watcher)["isolated"], 20)
            self.assertEqual(detectors_seen(self.watcher, HOLD_SECONDS), set())
            status = seen(self.watcher)
            self.assertTrue(status["isolated"])
            self.assertFalse(status["healthy"])
            self.assertEqual({store["health"] for store in status["stores"].values()}, {"unknown"})
        finally:
            join()
        # Whoever answers second must not be taken for dead when the first one has answered.
        self.watcher.await_healthy()
        self.assertEqual(self.watcher.journaled(), before)

    def test_silence_of_everybody_is_our_own_isolation(self):
        self.assert_it_doubts_itself(self.place.cut, self.place.join)

    def test_without_a_route_it_is_our_own_isolation(self):
        self.assert_it_doubts_itself(self.place.disconnect, self.place.connect)

    def cut_off(self, *nodes):
        """No answer from these kinds of servers any more."""
        self.place.cut_ports(*(shared_lab().node(node)["address"].split(":")[1] for node in nodes))

    def assert_postgres_is_only_out_of_sight(self, nodes, health, reason):
        incidents_before, executions_before = self.watcher.journaled()
        self.cut_off(*nodes)
        try:
            incident = await_incident(self.watcher, "postgres.unreachable")
            self.assertEqual(incident["severity"], "degraded")
            self.assertRegex(reasons(incident), r"etcd: the lease of 'postgres-\d' still has \d+ s")
            self.assertEqual(detectors_seen(self.watcher, HOLD_SECONDS), {"postgres.unreachable"})
            status = seen(self.watcher)
            self.assertFalse(status["isolated"])
            self.assertEqual(status["stores"]["postgres"]["health"], health)
            self.assertIn(reason, status["stores"]["postgres"]["reasons"][0])
            self.assertEqual(status["stores"]["redis"]["health"], "ok")
        finally:
            self.place.join_arrivals()
        self.watcher.await_healthy()
        after, executions_after = self.watcher.journaled()
        known = {incident["id"] for incident in incidents_before}
        self.assertEqual([incident["detector"] for incident in after if incident["id"] not in known],
                         ["postgres.unreachable"])
        self.assertEqual(executions_after, executions_before)

    def test_postgres_out_of_sight_is_not_down(self):
        self.assert_postgres_is_only_out_of_sight(("postgres-1", "patroni-1", "haproxy-1"), "unknown", "may be cut off")

    def test_postgres_out_of_sight_that_clients_write_to_is_not_down(self):
        self.assert_postgres_is_only_out_of_sight(("postgres-1", "patroni-1"), "degraded", "takes writes by the client path")

    def test_etcd_out_of_sight_has_not_lost_its_quorum(self):
        before = self.watcher.journaled()
        self.cut_off("etcd-1")
        try:
            wait_until("etcd out of sight", lambda: any("etcd keys: silent" in reason for reason in
                       seen(self.watcher)["stores"]["postgres"]["reasons"]), 20)
            self.assertEqual(detectors_seen(self.watcher, HOLD_SECONDS), set())
            self.assertNotEqual(seen(self.watcher)["stores"]["postgres"]["primary"], None)
        finally:
            self.place.join_arrivals()
        self.watcher.await_healthy()
        self.assertEqual(self.watcher.journaled(), before)


if __name__ == "__main__":
    unittest.main()
