"""The scenarios of the simulation's models (tests/sim/scenarios), on real servers: what comes true here, and when, has to
lie within the same bounds. Nobody watches meanwhile: `serve` is stopped."""
import base64
import contextlib
import json
import os
import signal
import time
import unittest
import urllib.request

import assisted
from support import ROOT, Lab, run

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "continue": signal.SIGCONT}
KIND = {"agent": "patroni", "server": "postgres", "etcd": "etcd"}
WRITER_MEMORY_SECONDS = 1.0


class TimedRows(assisted.Rows):
    """Remembers when each node acknowledged last."""

    def __init__(self, lab):
        super().__init__(lab)
        self.last = {}

    def write(self, name):
        connection = None
        while not self.stop.is_set():
            try:
                connection = connection or self.connect(name)
                with connection.cursor() as cursor:
                    cursor.execute("INSERT INTO assist_test DEFAULT VALUES RETURNING id")
                    self.acknowledged.append((name, cursor.fetchone()[0]))
                    self.last[name] = time.monotonic()
                time.sleep(0.05)
            except assisted.psycopg2.Error:
                with contextlib.suppress(Exception):
                    connection.close()
                connection = None
                time.sleep(0.05)

    def recent(self):
        return [name for name, at in self.last.items() if time.monotonic() - at <= WRITER_MEMORY_SECONDS]


class Play:
    """One scenario; the words are explained in tests/sim/scenario.h."""

    def __init__(self, lab, scenario, rows):
        self.lab, self.scenario, self.rows = lab, scenario, rows
        self.endpoints = [node["address"] for node in lab.lab_status()["nodes"] if node["kind"] == "etcd"]
        self.told = []

    def cluster(self):
        for number in "123":
            with contextlib.suppress(OSError):
                address = self.lab.node(f"patroni-{number}")["address"]
                with urllib.request.urlopen(f"http://{address}/cluster", timeout=2) as answer:
                    return json.load(answer)["members"]
        return []

    def key_holder(self):
        """Read linearizably, by etcd's own gateway; None while etcd does not answer, "" when nobody holds it."""
        body = json.dumps({"key": base64.b64encode(b"/service/aeterna/leader").decode()}).encode()
        for endpoint in self.endpoints:
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(f"http://{endpoint}/v3/kv/range", data=body, timeout=2) as answer:
                    keys = json.load(answer).get("kvs", [])
                    return base64.b64decode(keys[0]["value"]).decode() if keys else ""
        return None

    def name_nodes(self):
        leader = self.key_holder()
        others = sorted(name for name in self.rows.nodes if name != leader)
        self.names = {"leader": leader, "first": others[0], "second": others[1]}
        for member in self.cluster():
            if member["role"] == "sync_standby":
                self.names["standby"] = member["name"]

    def holds(self, fact, value):
        if fact == "key":
            holder = self.key_holder()
            if value == "nobody":
                return holder == ""
            if value == "another":
                return holder not in (None, "", self.names["leader"])
            return holder == self.names[value]
        if fact == "writer":
            writers = self.rows.recent()
            if value == "nobody":
                return not writers
            if value == "two":
                return len(writers) == 2
            if len(writers) != 1:
                return False
            return value == "one" or (writers[0] != self.names["leader"] if value == "another"
                                      else writers[0] == self.names[value])
        members = self.cluster()
        leaders = [member["name"] for member in members if member["role"] == "leader"]
        if fact == "healthy":
            states = [member["state"] for member in members]
            return len(leaders) == 1 and states == ["running"] * 3 and len({member.get("timeline") for member in members}) == 1
        if fact == "follows":
            return bool(leaders) and self.rows.recent() == leaders and self.streams_from(leaders[0], self.names[value])
        raise ValueError(fact)

    def streams_from(self, leader, node):
        try:
            with self.rows.connect(leader) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_stat_replication WHERE application_name = %s AND state = 'streaming'",
                               (node,))
                return cursor.fetchone()[0] == 1
        except assisted.psycopg2.Error:
            return False

    def act(self, verb, what, node):
        if what == "cluster":
            return assisted.patch(self.lab, {"pause": True if verb == "pause" else None})
        name = f"{KIND[what]}-{node[-1]}"
        if verb == "start":
            return run("lab", "up", "--dir", self.lab.directory, "--only", name)
        pid = self.lab.node(name)["pid"]
        for each in assisted.tree(pid) if what == "server" else [pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, SIGNALS[verb])
        return None

    def go(self):
        self.name_nodes()
        done_at = time.monotonic()
        for step in self.scenario["steps"]:
            if "do" in step:
                for what in step["what"]:
                    self.act(step["do"], what, self.names[step["of"]])
                done_at = time.monotonic()
            elif "pass" in step:
                time.sleep(step["pass"])
            elif "expect" in step:
                took = self.expect(step, done_at)
                self.told.append(f"{step['expect']} {step['is']} {took:.1f} s")
            else:
                time.sleep(WRITER_MEMORY_SECONDS + 0.1)
                end = time.monotonic() + step["seconds"]
                while time.monotonic() < end:
                    if not self.holds(step["keep"], step["is"]):
                        raise AssertionError(f"{step} does not hold after {time.monotonic() - done_at:.1f} s; {self.told}")
                    time.sleep(0.1)

    def expect(self, step, done_at):
        while not self.holds(step["expect"], step["is"]):
            took = time.monotonic() - done_at
            if took > step["within"]:
                raise AssertionError(f"{step} is not so after {took:.1f} s: writers {self.rows.recent()}, key "
                                     f"{self.key_holder()}, {self.cluster()}; {self.told}")
            time.sleep(0.1)
        took = time.monotonic() - done_at
        if took < step.get("after", 0):
            raise AssertionError(f"{step} is so after {took:.1f} s already; {self.told}")
        return took


class ScenarioTest(unittest.TestCase):
    def play_all(self, mode, *options):
        files = sorted((ROOT / "tests" / "sim" / "scenarios").glob("*.json"))
        scenarios = {file.stem: json.loads(file.read_text()) for file in files}
        lab = Lab(*options)
        self.addCleanup(lab.remove)
        lab.up()
        for name, scenario in scenarios.items():
            if scenario["mode"] != mode:
                continue
            with self.subTest(scenario=name):
                lab.up()
                lab.await_healthy(240)
                os.kill(lab.node("serve")["pid"], signal.SIGKILL)
                with TimedRows(lab) as rows:
                    time.sleep(2)
                    play = Play(lab, scenario, rows)
                    try:
                        play.go()
                    finally:
                        self.heal(lab)
                print(f"     {name}: {'; '.join(play.told)}", flush=True)

    @staticmethod
    def heal(lab):
        for node in lab.lab_status()["nodes"]:
            if node["pid"] and node["kind"] in KIND.values():
                for pid in assisted.tree(node["pid"]):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
        assisted.patch(lab, {"pause": None})

    def test_asynchronous(self):
        self.play_all("asynchronous")

    def test_synchronous(self):
        self.play_all("synchronous", "--sync")


if __name__ == "__main__":
    unittest.main()
