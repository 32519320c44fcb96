"""What the tests of PostgreSQL's assisted failover share: a writer with a stock client, a lab per class, ways to lose a node."""
import base64
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

from support import Lab, wait_until


class Etcd:
    """The keys of a lab's Patroni, by etcd's own gateway; reads are linearizable."""

    def __init__(self, lab):
        self.endpoints = [node["address"] for node in lab.lab_status()["nodes"] if node["kind"] == "etcd"]

    def call(self, what, **parts):
        """None while etcd does not answer."""
        body = json.dumps({name: base64.b64encode(part.encode()).decode() for name, part in parts.items()}).encode()
        for endpoint in self.endpoints:
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(f"http://{endpoint}/v3/kv/{what}", data=body, timeout=2) as answer:
                    return json.load(answer)
        return None

    def get(self, key):
        """None while etcd does not answer, "" where there is no such key."""
        answer = self.call("range", key=f"/service/aeterna/{key}")
        if answer is None:
            return None
        keys = answer.get("kvs", [])
        return base64.b64decode(keys[0]["value"]).decode() if keys else ""

    def put(self, key, value):
        assert self.call("put", key=f"/service/aeterna/{key}", value=value) is not None, "etcd does not answer"


class Rows:
    """A writer with a stock client straight to every node; what was acknowledged, by whom, and when for the first and last time."""

    PAUSE_SECONDS = 0.01

    def __init__(self, lab):
        status = lab.lab_status()
        self.nodes = {node["name"]: node["address"].rsplit(":", 1) for node in status["nodes"]
                      if node["kind"] == "postgres"}
        self.login = status["credentials"]["postgres"]
        self.acknowledged = []
        self.first_sent = {}  # by node: when the first statement that it acknowledged was sent
        self.last = {}        # by node: when its last acknowledgement was received
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
                    sent = time.monotonic()
                    cursor.execute("INSERT INTO assist_test DEFAULT VALUES RETURNING id")
                    self.acknowledged.append((name, cursor.fetchone()[0]))
                    self.first_sent.setdefault(name, sent)
                    self.last[name] = time.monotonic()
                time.sleep(self.PAUSE_SECONDS)
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

    def present(self, name):
        with self.connect(name) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id FROM assist_test")
            return {row[0] for row in cursor.fetchall()}

    def lost(self, primary):
        return {number for _, number in self.acknowledged} - self.present(primary)


def tree(pid):
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [pid] + [found for child in children for found in tree(int(child))]


def patch(lab, settings):
    """Changes Patroni's settings through the first agent that takes them; false when none does."""
    for node in lab.lab_status()["nodes"]:
        if node["kind"] != "patroni":
            continue
        request = urllib.request.Request(f"http://{node['address']}/config", method="PATCH",
                                         data=json.dumps(settings).encode(), headers={"Content-Type": "application/json"})
        with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5):
            return True
    return False


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

    def another_primary(self, rows):
        return next((name for name in rows.nodes if name != self.primary and rows.is_primary(name)), None)

    def told(self, execution):
        """Every step and word of it."""
        return self.lab.cli("execution", "show", execution["id"]).out

    def running(self):
        """The failover that this test has caused, while it runs."""
        return next((one for one in self.executions() if one["id"] not in self.known and one["state"] == "running"), None)

    def send(self, which, *nodes):
        # Who they are first: between two nodes it takes a second otherwise, in which one of them may be helped.
        pids = [pid for node in nodes for pid in tree(self.lab.node(node)["pid"])]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, which)

    def lose_node(self, which=signal.SIGKILL):
        self.send(which, self.agent, self.primary)

    def fences(self):
        folder = Path(self.lab.directory, "state", "fences")
        return sorted(str(marker.relative_to(folder)) for marker in folder.glob("*/*") if not marker.name.startswith("."))

    def patch(self, settings):
        if not patch(self.lab, settings):
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
