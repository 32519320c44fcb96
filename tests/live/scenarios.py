"""Plays the scenarios of the simulation's models (tests/sim/scenarios) on real servers: what comes true here, and when, has to
lie within the same bounds."""
import contextlib
import json
import os
import signal
import threading
import time
import unittest
import urllib.request

import assisted
import redis
from assisted_redis import Stack
from support import ROOT, run

SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "continue": signal.SIGCONT}
KINDS = {"postgres": {"agent": "patroni", "server": "postgres", "etcd": "etcd"},
         "redis": {"server": "redis", "sentinel": "sentinel"}}
WRITER_MEMORY_SECONDS = 1.0
LOOPS_SECONDS = 12  # until every agent has read a setting


def recent(last):
    return [name for name, at in last.items() if time.monotonic() - at <= WRITER_MEMORY_SECONDS]


class TimedRows(assisted.Rows):
    PAUSE_SECONDS = 0.05

    def recent(self):
        return recent(self.last)


class TimedRecords:
    """A writer per Redis node, with a kept connection; remembers when each node acknowledged last."""

    def __init__(self, lab):
        self.stack = Stack(lab)
        self.nodes = self.stack.nodes
        self.last = {}
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(name,), daemon=True) for name in self.nodes]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join(10)

    def write(self, name):
        client = self.stack.client(name, 1)
        while not self.stop.wait(0.05):
            try:
                client.rpush("scenario", "record")
                self.last[name] = time.monotonic()
            except redis.exceptions.RedisError:
                client.connection_pool.disconnect()

    def recent(self):
        return recent(self.last)


class Play:
    """One scenario on one lab; the words are explained in tests/sim/scenario.h. Who is played on says what holds."""

    def __init__(self, lab, scenario, rows):
        self.lab, self.scenario, self.rows = lab, scenario, rows
        self.told, self.names = [], {}
        self.store = scenario.get("store", "postgres")

    def name_around(self, leader):
        others = sorted(name for name in self.rows.nodes if name != leader)
        self.names = {"leader": leader, "first": others[0], "second": others[1]}

    def is_writer(self, value):
        writers = self.rows.recent()
        if value == "nobody":
            return not writers
        if value == "two":
            return len(writers) == 2
        if len(writers) != 1:
            return False
        return value == "one" or (writers[0] != self.names["leader"] if value == "another"
                                  else writers[0] == self.names[value])

    def act(self, verb, what, node):
        name = f"{KINDS[self.store][what]}-{node[-1]}"
        if verb == "start":
            run("lab", "up", "--dir", self.lab.directory, "--only", name)
            return
        pid = self.lab.node(name)["pid"]
        for each in assisted.tree(pid) if what == "server" else [pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, SIGNALS[verb])

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
                raise AssertionError(f"{step} is not so after {took:.1f} s: writers {self.rows.recent()}, "
                                     f"{self.describe()}; {self.told}")
            time.sleep(0.1)
        took = time.monotonic() - done_at
        if took < step.get("after", 0):
            raise AssertionError(f"{step} is so after {took:.1f} s already; {self.told}")
        return took


class PostgresPlay(Play):
    """PostgreSQL under Patroni."""

    def __init__(self, lab, scenario, rows):
        super().__init__(lab, scenario, rows)
        self.etcd = assisted.Etcd(lab)

    def describe(self):
        return f"key {self.key_holder()}, {self.cluster()}"

    def cluster(self):
        for number in "123":
            with contextlib.suppress(OSError):
                address = self.lab.node(f"patroni-{number}")["address"]
                with urllib.request.urlopen(f"http://{address}/cluster", timeout=2) as answer:
                    return json.load(answer)["members"]
        return []

    def key_holder(self):
        """None while etcd does not answer, "" when nobody holds it."""
        return self.etcd.get("leader")

    def name_nodes(self):
        self.name_around(self.key_holder())
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
            return self.is_writer(value)
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
            assisted.patch(self.lab, {"pause": True if verb == "pause" else None})
        else:
            super().act(verb, what, node)

    def prepare(self):
        if self.scenario["mode"] == "failsafe":
            assisted.patch(self.lab, {"failsafe_mode": True})
            time.sleep(LOOPS_SECONDS)

    def heal(self):
        assisted.patch(self.lab, {"pause": None, "failsafe_mode": None})


class RedisPlay(Play):
    """Redis under Sentinel."""

    MARK = "scenario-mark"

    def prepare(self):
        self.renew_sentinels()
        if self.scenario["mode"] == "without persistence":
            self.configure(appendonly="no", save="")

    def heal(self):
        if self.scenario["mode"] == "without persistence":
            self.configure(appendonly="yes")

    def configure(self, **settings):
        for name in self.rows.nodes:
            client = self.rows.stack.client(name)
            for key, value in settings.items():
                client.config_set(key, value)
            client.config_rewrite()
            # What it has kept of a master's full copy, it would load.
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.join(client.config_get("dir")["dir"], client.config_get("dbfilename")["dbfilename"]))

    def renew_sentinels(self):
        """An attempt to fail over, also one that came to nothing, forbids the next one for two failover-timeouts (6 min)."""
        sentinels = [node for node in self.lab.lab_status()["nodes"] if node["kind"] == "sentinel"]
        for node in sentinels:
            os.kill(node["pid"], signal.SIGKILL)
        for node in sentinels:
            run("lab", "up", "--dir", self.lab.directory, "--only", node["name"])
        time.sleep(5)

    def act(self, verb, what, node):
        if verb == "order":
            sentinel = self.rows.stack.client(f"sentinel-{node[-1]}")
            sentinel.execute_command("SENTINEL", "FAILOVER", self.rows.stack.master_name)
        elif verb == "hold":
            self.rows.stack.client(node).execute_command("CLIENT", "PAUSE", "60000", "WRITE")
        else:
            super().act(verb, what, node)

    def is_kept(self, node):
        try:
            return bool(self.rows.stack.client(node, 0.5).exists(self.MARK))
        except redis.exceptions.RedisError:
            return False

    def describe(self):
        stack = self.rows.stack
        return f"named {stack.named_master()}, roles {({name: stack.role(name) for name in stack.nodes})}"

    def name_nodes(self):
        master = self.rows.stack.named_master()
        self.name_around(master)
        self.rows.stack.client(master).set(self.MARK, "here")
        time.sleep(1)

    def holds(self, fact, value):
        stack = self.rows.stack
        if fact == "writer":
            return self.is_writer(value)
        if fact == "named":
            named = stack.named_master()
            return named not in (None, self.names["leader"]) if value == "another" else named == self.names[value]
        if fact == "healthy":
            master = stack.named_master()
            return bool(master) and all(stack.role(name) == "master" if name == master else stack.is_replica_with_link(name)
                                        for name in stack.nodes)
        if fact == "follows":
            return self.follows(self.names[value])
        if fact == "kept":
            return not any(map(self.is_kept, stack.nodes)) if value == "nobody" else self.is_kept(self.names[value])
        raise ValueError(fact)

    def follows(self, node):
        writers = self.rows.recent()
        if len(writers) != 1 or writers[0] == node:
            return False
        try:
            info = self.rows.stack.client(node, 0.5).info("replication")
        except redis.exceptions.RedisError:
            return False
        address = (info.get("master_host"), info.get("master_port"))
        return info.get("master_link_status") == "up" and address == self.rows.stack.addresses[writers[0]]


def load(*names):
    """The scenarios of these names, or all; by name."""
    files = sorted((ROOT / "tests" / "sim" / "scenarios").glob("*.json"))
    return {file.stem: json.loads(file.read_text()) for file in files if not names or file.stem in names}


class ScenarioCase(unittest.TestCase):
    """Nobody watches meanwhile: `serve` is killed."""

    def play(self, lab, name, scenario):
        is_redis = scenario.get("store") == "redis"
        lab.up()
        lab.await_healthy(240)
        self.addCleanup(lab.up)
        os.kill(lab.node("serve")["pid"], signal.SIGKILL)
        with (TimedRecords if is_redis else TimedRows)(lab) as rows:
            play = (RedisPlay if is_redis else PostgresPlay)(lab, scenario, rows)
            try:
                play.prepare()
                time.sleep(2)
                play.go()
            finally:
                self.wake(lab)
                play.heal()
        print(f"     {name}: {'; '.join(play.told)}", flush=True)

    @staticmethod
    def wake(lab):
        for node in lab.lab_status()["nodes"]:
            if node["pid"] and any(node["kind"] in kinds.values() for kinds in KINDS.values()):
                for pid in assisted.tree(node["pid"]):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGCONT)
