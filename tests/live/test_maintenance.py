"""Maintenance windows and fences by hand, on real servers."""
import os
import signal
import unittest
import urllib.request
from pathlib import Path

from support import is_running, run, shared_lab, wait_until


class MaintenanceTest(unittest.TestCase):
    def metrics(self, lab):
        url = next(line.split("listen:")[1].split("#")[0].strip().strip('"')
                   for line in Path(lab.stack).read_text().splitlines() if "listen:" in line)
        with urllib.request.urlopen(f"http://{url}/metrics", timeout=5) as answer:
            return answer.read().decode()

    def executions_since(self, lab, known):
        return [one for one in lab.cli("--json", "execution", "list").json()["executions"] if one["id"] not in known]

    def open_incidents(self, lab, detector):
        return [one for one in lab.status()["incidents"] if one["detector"] == detector]

    def begin_window(self, lab, *words):
        done = lab.cli("--json", "maintenance", "on", *words)
        self.assertEqual(done.code, 0, done)
        return done.json()["maintenance"][0]

    def test_a_window_holds_back_policy_and_command_line_and_ends_by_itself(self):
        lab = shared_lab()
        known = {one["id"] for one in lab.cli("--json", "execution", "list").json()["executions"]}
        master = lab.status()["stores"]["redis"]["primary"]
        self.addCleanup(lab.cli, "maintenance", "off")
        window = self.begin_window(lab, "--store", "redis", "--for", "10m", "--reason", "new disks")
        status = wait_until("serve saw the window", lambda: (lambda s: s if s["paused"] else None)(lab.status()), 30)
        self.assertTrue(status["stores"]["redis"]["paused"])
        self.assertFalse(status["stores"]["postgres"]["paused"])
        self.assertEqual(status["maintenance"][0]["id"], window["id"])
        self.assertIn('aeterna_maintenance{store="redis"} 1', self.metrics(lab))
        self.assertIn("maintenance of redis until", lab.cli("status").out)

        os.kill(lab.node(master)["pid"], signal.SIGKILL)
        incident = wait_until("the incident", lambda: self.open_incidents(lab, "redis.master_down"), 30)[0]
        wait_until("the incident says what it is held back by",
                   lambda: any("not acted: maintenance of redis" in reason
                               for one in self.open_incidents(lab, "redis.master_down") for reason in one["reasons"]),
                   30)
        self.assertEqual(self.executions_since(lab, known), [])
        refused = lab.cli("failover", "redis", "--assist", "off", "--yes")
        self.assertEqual(refused.code, 5, refused)
        self.assertIn("--during-maintenance", refused.err)
        self.assertEqual(lab.cli("failover", "redis", "--assist", "off", "--dry-run").code, 0)
        self.assertEqual(lab.cli("drill", "run", "q1", "--yes").code, 5)
        self.assertEqual(self.executions_since(lab, known), [])

        # A short one takes over from the long one, which had to last for all that was asked.
        short = self.begin_window(lab, "--for", "5s")
        self.assertEqual(lab.cli("maintenance", "off", "--store", "redis").code, 0)
        wait_until("the end of the window", lambda: not lab.status()["paused"], 60)
        begun = wait_until("the failover that was held back", lambda: self.executions_since(lab, known), 60)
        self.assertEqual(begun[0]["trigger"], f"incident:{incident['id']}")
        self.assertGreaterEqual(begun[0]["started_at"], short["until"])
        self.assertEqual(lab.cli("--json", "maintenance", "list").json()["maintenance"], [])
        listed = lab.cli("--json", "maintenance", "list", "--all").json()["maintenance"]
        self.assertLessEqual({window["id"], short["id"]}, {one["id"] for one in listed})
        # The failover fences the dead master and brings it back itself.
        wait_until("the end of that failover",
                   lambda: all(one["state"] != "running" for one in self.executions_since(lab, known)), 240)
        lab.await_healthy(240)

    def test_a_fenced_replica_stays_down_until_it_is_unfenced(self):
        lab = shared_lab()
        replica = next(node["name"] for node in lab.status()["stores"]["postgres"]["nodes"]
                       if node["kind"] == "postgres" and node["role"] == "replica")
        agent = replica.replace("postgres", "patroni")
        pids = [lab.node(name)["pid"] for name in (replica, agent)]
        self.assertTrue(all(is_running(pid) for pid in pids))
        self.addCleanup(lab.cli, "unfence", replica, "--yes", timeout=120)
        asked = lab.cli("fence", replica)
        self.assertEqual(asked.code, 7, asked)
        self.assertTrue(all(is_running(pid) for pid in pids), "nobody had agreed")

        done = lab.cli("--json", "fence", replica, "--reason", "new memory", "--yes", timeout=60)
        self.assertEqual(done.code, 0, done)
        self.assertEqual(done.json()["execution"]["parameters"]["nodes"], [agent, replica])
        self.assertFalse(any(is_running(pid) for pid in pids))
        start = run("lab", "up", "--dir", lab.directory, "--only", agent, timeout=60)
        self.assertEqual(start.code, 5, start)
        self.assertIn("new memory", start.err)
        # What serve says may be from between the two markers.
        wait_until("status shows the fence", lambda: {agent, replica} == {
            node["name"] for node in lab.status()["stores"]["postgres"]["nodes"] if node["fenced"]}, 30)
        self.assertEqual(self.open_incidents(lab, "hosts.fence_left"), [], "a person holds it on purpose")

        lifted = lab.cli("unfence", agent, "--yes", timeout=120)
        self.assertEqual(lifted.code, 0, lifted)
        # What serve says may be from before the fence for a moment: the new processes tell.
        wait_until("new processes", lambda: all(lab.node(name)["pid"] not in (None, *pids) for name in (replica, agent)), 60)

        def is_back():
            nodes = {node["name"]: node for node in lab.status()["stores"]["postgres"]["nodes"]}
            return nodes[replica]["state"] == "streaming" and not nodes[replica]["fenced"] and not nodes[agent]["fenced"]
        wait_until("the replica to stream, unfenced", is_back, 60)
        lab.await_healthy(180)

    def test_a_fence_that_nobody_lifts_is_an_incident(self):
        lab = shared_lab()
        node = next(node["name"] for node in lab.status()["stores"]["redis"]["nodes"]
                    if node["kind"] == "redis" and node["role"] == "replica")
        marker = Path(lab.directory, "state", "fences", node, "exec-20260101T000000Z-dead")
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text('{"reason": "the master was dead", "since": "2026-01-01T00:00:00.000Z"}\n')
        self.addCleanup(lambda: marker.unlink(missing_ok=True))
        incident = wait_until("the incident", lambda: self.open_incidents(lab, "hosts.fence_left"), 30)[0]
        self.assertEqual((incident["subject"], incident["store"]), (node, "redis"))
        self.assertIn("nobody knows", incident["reasons"][0])
        done = lab.cli("unfence", node, "--no-start", "--yes")
        self.assertEqual(done.code, 0, done)
        self.assertFalse(marker.exists())
        wait_until("its end", lambda: not self.open_incidents(lab, "hosts.fence_left"), 30)
        lab.await_healthy(60)


if __name__ == "__main__":
    unittest.main()
