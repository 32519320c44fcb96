"""The assisted failover of PostgreSQL on real servers at stock timings: what it does, and when it leaves it be."""
import contextlib
import json
import os
import signal
import subprocess
import threading
import time
import unittest
import urllib.request
from pathlib import Path

import psycopg2

from support import Lab, processes_of, run, wait_until


class Rows:
    """A writer with a stock client straight to every node; what was acknowledged, by whom."""

    def __init__(self, lab):
        status = lab.lab_status()
        self.nodes = {node["name"]: node["address"].rsplit(":", 1) for node in status["nodes"]
                      if node["kind"] == "postgres"}
        self.login = status["credentials"]["postgres"]
        self.acknowledged = []
        self.stop = threading.Event()

    def connect(self, name):
        host, port = self.nodes[name]
        connection = psycopg2.connect(host=host, port=port, user=self.login["user"], dbname=self.login["database"],
                                      password=self.login["password"], connect_timeout=1)
        connection.autocommit = True
        return connection

    def write(self, name):
        connection = None
        while not self.stop.is_set():
            try:
                connection = connection or self.connect(name)
                with connection.cursor() as cursor:
                    cursor.execute("INSERT INTO assist_test DEFAULT VALUES RETURNING id")
                    self.acknowledged.append((name, cursor.fetchone()[0]))
                time.sleep(0.01)
            except psycopg2.Error:
                with contextlib.suppress(Exception):
                    connection.close()
                connection = None
                time.sleep(0.02)

    def __enter__(self):
        primary = next(name for name in self.nodes if self.is_primary(name))
        with self.connect(primary) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS assist_test (id bigserial PRIMARY KEY)")
        self.threads = [threading.Thread(target=self.write, args=(name,), daemon=True) for name in self.nodes]
        for thread in self.threads:
            thread.start()
        wait_until("a first row", lambda: self.acknowledged, 20)
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(5)

    def is_primary(self, name):
        try:
            with self.connect(name) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT NOT pg_is_in_recovery()")
                return cursor.fetchone()[0]
        except psycopg2.Error:
            return False

    def lost(self, primary):
        with self.connect(primary) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id FROM assist_test")
            present = {row[0] for row in cursor.fetchall()}
        return {number for _, number in self.acknowledged} - present


def tree(pid):
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [pid] + [found for child in children for found in tree(int(child))]


class AssistTest(unittest.TestCase):
    lab = None

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab(*cls.options())
        cls.addClassCleanup(cls.lab.remove)
        cls.lab.up()

    @classmethod
    def options(cls):
        return []

    def setUp(self):
        self.lab.await_healthy(180)
        self.primary = self.lab.status()["stores"]["postgres"]["primary"]
        self.agent = "patroni-" + self.primary[-1]
        self.known = {execution["id"] for execution in self.executions()}

    def executions(self):
        return self.lab.cli("--json", "execution", "list").json()["executions"]

    def execution(self, seconds=240):
        """The first failover of this test that has ended, whole."""
        def ended():
            return next((one for one in reversed(self.executions())
                         if one["id"] not in self.known and one["store"] == "postgres" and one["state"] != "running"), None)
        found = wait_until("the end of an execution", ended, seconds)
        return self.lab.cli("--json", "execution", "show", found["id"]).json()["execution"]

    def send(self, which, node):
        for pid in tree(self.lab.node(node)["pid"]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, which)

    def lose_node(self, which=signal.SIGKILL):
        self.send(which, self.agent)
        if which == signal.SIGKILL or self.lab.node(self.primary)["pid"]:
            with contextlib.suppress(TypeError):
                self.send(which, self.primary)

    def fences(self):
        folder = Path(self.lab.directory, "state", "fences")
        return sorted(str(marker.relative_to(folder)) for marker in folder.glob("*/*"))

    def patch(self, settings):
        for node in self.lab.lab_status()["nodes"]:
            if node["kind"] != "patroni":
                continue
            request = urllib.request.Request(f"http://{node['address']}/config", method="PATCH",
                                             data=json.dumps(settings).encode(),
                                             headers={"Content-Type": "application/json"})
            with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5):
                return
        self.fail("no Patroni took the settings")

    def check_taken_over(self, execution):
        facts = execution["facts"]
        self.assertEqual(execution["state"], "succeeded", execution)
        self.assertEqual(facts["assist"], "acted", facts)
        self.assertEqual(facts["old_primary"], self.primary)
        self.assertNotEqual(facts["new_primary"], self.primary)
        self.assertEqual(facts["await_rejoin.rejoin"], "done")
        self.assertEqual(self.fences(), [], "every fence is lifted")
        self.assertTrue(os.listdir(facts["salvaged"]["directory"]))
        return facts


class AsynchronousTest(AssistTest):
    def test_a_killed_node_is_fenced_and_its_lease_released(self):
        with Rows(self.lab) as rows:
            self.lose_node()
            execution = self.execution()
            facts = self.check_taken_over(execution)
        self.lab.await_healthy(120)
        lost = rows.lost(facts["new_primary"])
        # Commits that nobody was told of may be there too.
        self.assertLessEqual(len(lost), facts["salvaged"]["lost_writes"], "what is lost is in the salvaged WAL")
        self.assertGreater(facts["lease_remaining_seconds"], 0)

    def test_a_stopped_node_is_killed_before_it_can_wake_up(self):
        pids = tree(self.lab.node(self.agent)["pid"])
        self.lose_node(signal.SIGSTOP)
        self.check_taken_over(self.execution())
        for pid in pids:
            self.assertFalse(os.path.exists(f"/proc/{pid}"), "it lives on")

    def test_a_dead_agent_comes_back_before_its_lease_ends(self):
        with Rows(self.lab) as rows:
            os.kill(self.lab.node(self.agent)["pid"], signal.SIGKILL)
            execution = self.execution()
        self.assertEqual(execution["state"], "succeeded")
        self.assertEqual(execution["facts"]["assist"], "not_needed")
        self.assertEqual(execution["facts"]["new_primary"], self.primary)
        self.assertEqual({name for name, _ in rows.acknowledged}, {self.primary}, "no second writer")

    def test_a_dead_server_beside_a_living_agent_is_started_in_place(self):
        with Rows(self.lab) as rows:
            self.send(signal.SIGKILL, self.primary)
            execution = self.execution()
        self.lab.await_healthy(120)
        self.assertEqual(execution["state"], "succeeded", execution)
        print(f"     assist {execution['facts']['assist']}: {execution['facts'].get('assist_reasons')}", flush=True)
        self.assertNotEqual(execution["facts"]["assist"], "acted")
        self.assertEqual(execution["facts"]["new_primary"], self.primary)
        self.assertEqual(rows.lost(self.primary), set())
        self.assertEqual(self.fences(), [])

    def test_without_a_node_that_may_win_nothing_is_fenced(self):
        self.patch({"maximum_lag_on_failover": -1})
        self.addCleanup(self.patch, {"maximum_lag_on_failover": None})
        wait_until("the setting in every agent", lambda: self.config()["maximum_lag_on_failover"] == -1, 30)
        self.lose_node()
        refused = wait_until("a refusal", self.refusal, 60)
        self.assertIn("no node could take over", refused)
        self.assertEqual(self.fences(), [])
        self.assertEqual(self.lab.node(self.agent)["pid"], None, "nobody started it")
        self.patch({"maximum_lag_on_failover": None})
        # Patroni's own time, and then the node comes back by hand.
        run("lab", "up", "--dir", self.lab.directory, "--only", self.agent)
        self.execution()

    def config(self):
        node = next(node for node in self.lab.lab_status()["nodes"] if node["kind"] == "patroni" and node["pid"])
        with urllib.request.urlopen(f"http://{node['address']}/config", timeout=5) as answer:
            return json.load(answer)

    def refusal(self):
        for one in self.executions():
            if one["id"] in self.known or one["store"] != "postgres":
                continue
            facts = self.lab.cli("--json", "execution", "show", one["id"]).json()["execution"]["facts"]
            if facts.get("assist") == "refused":
                return "; ".join(facts["assist_reasons"])
        return None


class SynchronousTest(AssistTest):
    @classmethod
    def options(cls):
        return ["--sync"]

    def test_nothing_acknowledged_is_lost(self):
        with Rows(self.lab) as rows:
            self.lose_node()
            facts = self.check_taken_over(self.execution())
        self.lab.await_healthy(120)
        self.assertEqual(rows.lost(facts["new_primary"]), set())

    def test_a_program_killed_with_the_fence_in_place_goes_on_with_it(self):
        serve = self.lab.node("serve")["pid"]
        self.lose_node()
        wait_until("a fence", self.fences, 30)
        os.kill(serve, signal.SIGKILL)
        wait_until("its end", lambda: serve not in processes_of(self.lab.directory), 10)
        self.assertEqual(len(self.fences()), 2, "agent and server are held down")
        denied = run("lab", "up", "--dir", self.lab.directory, "--only", self.agent)
        self.assertEqual(denied.code, 5, denied)
        run("lab", "up", "--dir", self.lab.directory, "--only", "serve")
        execution = self.execution()
        self.assertEqual(execution["state"], "succeeded", execution)
        self.assertIn(execution["facts"]["assist"], ("acted", "not_needed"))
        self.assertEqual(self.fences(), [])


del AssistTest  # only its children are tests

if __name__ == "__main__":
    unittest.main()
