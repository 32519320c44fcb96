"""The present Patroni beside Debian's: the lab, the detectors and the runbooks read and move it as well."""
import json
import subprocess
import unittest
import urllib.request

from support import ROOT, Lab, run, wait_until
from watching import await_incident, kill, reasons, seen


class Patroni4Test(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        program = subprocess.run([ROOT / "scripts" / "install-patroni4"], check=True, stdout=subprocess.PIPE,
                                 stdin=subprocess.DEVNULL, text=True).stdout.strip()
        cls.lab = Lab("--patroni", program)
        cls.addClassCleanup(cls.lab.remove)
        cls.lab.up()

    def setUp(self):
        self.lab.await_healthy(120)

    def postgres(self):
        return seen(self.lab)["stores"]["postgres"]

    def agent(self, number):
        """What the agent itself says, asked by a stock client."""
        address = self.lab.node(f"patroni-{number}")["address"]
        with urllib.request.urlopen(f"http://{address}/patroni", timeout=5) as answer:
            return json.load(answer)

    def test_it_is_another_patroni_and_is_read_as_well(self):
        primary = self.postgres()["primary"]
        said = self.agent(primary[-1])
        self.assertEqual(said["patroni"]["version"].split(".")[0], "4")
        self.assertEqual(said["role"], "primary")
        roles = {node["name"]: (node["role"], node["state"]) for node in self.postgres()["nodes"]
                 if node["kind"] in ("postgres", "patroni")}
        for number in "123":
            is_primary = f"postgres-{number}" == primary
            self.assertEqual(roles[f"postgres-{number}"],
                             ("primary", "running") if is_primary else ("replica", "streaming"))
            self.assertEqual(roles[f"patroni-{number}"], ("leader" if is_primary else "member", "running"))
        done = self.lab.cli("--json", "config", "check", timeout=60)
        self.assertEqual(done.code, 0, done)
        self.assertNotIn("steal the leader key", done.out)

    def test_a_lab_keeps_its_patroni(self):
        done = run("lab", "up", "--dir", self.lab.directory, "--patroni", "/usr/bin/patroni", timeout=60)
        self.assertEqual(done.code, 2, done)
        self.assertIn("this lab was made with", done.err)
        done = run("lab", "up", "--dir", self.lab.directory, "--patroni", "/nonexistent/patroni", timeout=60)
        self.assertEqual(done.code, 1, done)
        self.assertIn("'/nonexistent/patroni'", done.err)

    def test_switchover_goes_to_the_candidate(self):
        before = self.postgres()["primary"]
        candidate = next(f"postgres-{number}" for number in "123" if f"postgres-{number}" != before)
        done = self.lab.cli("switchover", "postgres", "--candidate", candidate, "--yes", timeout=200)
        self.assertEqual(done.code, 0, done)
        wait_until("serve to see it", lambda: self.postgres()["primary"] == candidate, 30)

    def test_a_killed_primary_is_seen_waited_for_and_watched_back(self):
        old = self.postgres()["primary"]
        for node in (f"patroni-{old[-1]}", old):
            kill(self.lab.node(node)["pid"])
        incident = await_incident(self.lab, "postgres.primary_down", 20)
        self.assertEqual(incident["subject"], old)
        self.assertIn(f"patroni-{old[-1]} REST: refused", reasons(incident))
        wait_until("a promotion", lambda: self.postgres()["primary"] not in (None, old), 90)
        execution = wait_until("the end of the runbook", lambda: next(
            (execution for execution in self.lab.cli("--json", "execution", "list").json()["executions"]
             if execution["trigger"] == f"incident:{incident['id']}" and execution["state"] != "running"), None), 120)
        self.assertEqual(execution["state"], "succeeded", execution)
        shown = self.lab.cli("--json", "execution", "show", execution["id"]).json()["execution"]
        self.assertEqual(shown["facts"]["assist"], "acted")
        self.assertEqual(shown["facts"]["new_primary"], self.postgres()["primary"])
        self.assertEqual(self.agent(self.postgres()["primary"][-1])["role"], "primary")


if __name__ == "__main__":
    unittest.main()
