"""What the tests of Redis' assisted failover share: a lab's Redis and Sentinels by stock clients, writers to every node that
remember what was acknowledged, and masters that are restarted without their data."""
import os
import re
import subprocess
import threading
import time
import unittest
from pathlib import Path

import redis

from support import host_port, is_running, restart_serve, run, shared_lab, wait_until
from watching import stopped

ASSISTED_SECONDS = 20  # down-after is 30 s


class Stack:
    """The Redis part of a lab: its nodes, their processes, and stock clients."""

    def __init__(self, lab):
        self.lab = lab
        status = lab.lab_status()
        self.password = status["credentials"]["redis"]["password"]
        self.addresses = {node["name"]: host_port(node["address"]) for node in status["nodes"]
                          if node["kind"] in ("redis", "sentinel")}
        self.nodes = sorted(name for name in self.addresses if name.startswith("redis-"))
        self.sentinels = sorted(name for name in self.addresses if name.startswith("sentinel-"))
        with open(lab.stack) as file:
            self.master_name = re.search(r"master_name: (\S+)", file.read()).group(1)

    def client(self, name, timeout=2):
        host, port = self.addresses[name]
        password = self.password if name.startswith("redis-") else None
        return redis.Redis(host=host, port=port, password=password, socket_timeout=timeout,
                           socket_connect_timeout=timeout, decode_responses=True)

    def name_at(self, address):
        return next(name for name, known in self.addresses.items() if known == tuple(address))

    def named_master(self):
        """The master by the word of those Sentinels that answer; None while they differ."""
        names = set()
        for sentinel in self.sentinels:
            try:
                names.add(self.name_at(self.client(sentinel, 0.5).sentinel_get_master_addr_by_name(self.master_name)))
            except (redis.exceptions.RedisError, TypeError):
                continue
        return names.pop() if len(names) == 1 else None

    def role(self, name):
        try:
            return self.client(name, 0.5).role()[0]
        except redis.exceptions.RedisError:
            return None

    def signal(self, name, number):
        os.kill(self.lab.node(name)["pid"], number)

    def start(self, name):
        done = run("lab", "up", "--dir", self.lab.directory, "--only", name, timeout=60)
        assert done.code == 0, done

    def other_master(self, old):
        return next((name for name in self.nodes if name != old and self.role(name) == "master"), None)

    def is_replica_with_link(self, name):
        try:
            info = self.client(name).info("replication")
        except redis.exceptions.RedisError:
            return False
        return info["role"] == "slave" and info["master_link_status"] == "up"


class Writers:
    """One RPUSH writer per node, with a kept connection; and one that follows the Sentinels, as applications do."""

    def __init__(self, stack):
        self.stack = stack
        self.key = f"assist-{time.time()}"
        self.acknowledged = {}   # record -> time; straight to the nodes
        self.client_times = []   # of the client that follows the Sentinels
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.write_to, args=(name,), daemon=True) for name in stack.nodes]
        self.threads.append(threading.Thread(target=self.write_through_sentinel, daemon=True))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        wait_until("writes to be acknowledged", lambda: len(self.acknowledged) > 200 and self.client_times, 20)
        return self

    def __exit__(self, *_):
        count = len(self.acknowledged)
        wait_until("writes after the failover", lambda: len(self.acknowledged) > count + 200, 60)
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)

    def write_to(self, name):
        client = self.stack.client(name, 1)
        number = 0
        while not self.stopping.wait(0.003):
            number += 1
            record = f"{name}-{number}"
            try:
                client.rpush(self.key, record)
                self.acknowledged[record] = time.monotonic()
            except redis.exceptions.RedisError:
                client.connection_pool.disconnect()

    def write_through_sentinel(self):
        sentinel = redis.sentinel.Sentinel([self.stack.addresses[name] for name in self.stack.sentinels],
                                           socket_timeout=0.3, password=self.stack.password)
        client = sentinel.master_for(self.stack.master_name, socket_timeout=0.5, password=self.stack.password)
        while not self.stopping.wait(0.01):
            try:
                client.incr(self.key + "-client")
                self.client_times.append(time.monotonic())
            except redis.exceptions.RedisError:
                client.connection_pool.disconnect()

    def outage(self):
        return longest_gap(self.acknowledged.values())

    def client_outage(self):
        return longest_gap(self.client_times)

    def lost(self, master):
        present = set(self.stack.client(master, 30).lrange(self.key, 0, -1))
        return sorted(set(self.acknowledged) - present)


def longest_gap(times):
    times = sorted(times)
    return max(after - before for before, after in zip(times, times[1:]))


def use_stack(lab, text):
    Path(lab.stack).write_text(text)
    restart_serve(lab)


def without_cooldown(lab):
    """The same node fails again within minutes here; the lab's serve would only propose then."""
    text = Path(lab.stack).read_text()
    use_stack(lab, text.replace("    assist: act\n", "    assist: act\n    assist_cooldown: 1s\n"))


def executions(lab):
    return [execution for execution in lab.cli("--json", "execution", "list").json()["executions"]
            if execution["store"] == "redis" and execution["runbook"] == "failover"]


def show(lab, execution):
    return lab.cli("--json", "execution", "show", execution).json()["execution"]


def await_execution(lab, before, seconds=150):
    """The newest failover that began after `before` (ids), once it has ended."""
    def ended():
        new = [execution for execution in executions(lab) if execution["id"] not in before]
        return new and new[0]["state"] != "running" and new[0]
    return show(lab, wait_until("the end of the failover", ended, seconds)["id"])


class AssistCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = shared_lab()
        cls.addClassCleanup(cls.settle)
        cls.addClassCleanup(use_stack, cls.lab, Path(cls.lab.stack).read_text())
        without_cooldown(cls.lab)

    @classmethod
    def settle(cls):
        cls.lab.await_healthy(240)

    def setUp(self):
        self.settle()
        self.stack = Stack(self.lab)
        self.before = {execution["id"] for execution in executions(self.lab)}
        self.master = wait_until("Sentinels that agree", self.stack.named_master, 30)

    def check(self, execution, writers, most_lost, most_seconds=ASSISTED_SECONDS):
        facts = execution["facts"]
        self.assertEqual(execution["state"], "succeeded", execution["summary"])
        self.assertEqual(facts["assist"], "acted", facts)
        self.assertNotIn("fenced", facts)
        new = facts["redis.new_master"]
        self.assertNotEqual(new, self.master)
        self.assertEqual(self.stack.role(new), "master")
        wait_until("the old master as a replica", lambda: self.stack.is_replica_with_link(self.master), 60)
        lost = writers.lost(new)
        print(f"     outage {writers.outage():.2f} s, through Sentinel {writers.client_outage():.2f} s, "
              f"lost {len(lost)} of {len(writers.acknowledged)}, salvaged {facts.get('salvaged')}", flush=True)
        if most_seconds:
            self.assertLess(writers.outage(), most_seconds)
        if most_lost is not None:
            self.assertLessEqual(len(lost), most_lost, lost[:20])
        return facts


class RestartCase(AssistCase):
    """The master is back inside down-after, before anybody has called it dead: serve stands still meanwhile."""

    # Longer than anybody needs to meet it: until then its replicas keep what they have.
    REPLICAS_COPY_AFTER = 60

    def configure(self, **settings):
        client = self.stack.client(self.master)
        for key, value in settings.items():
            client.config_set(key.replace("_", "-"), value)
        client.config_rewrite()

    def without_aof(self):
        before = self.stack.client(self.master).config_get("repl-diskless-sync-delay")["repl-diskless-sync-delay"]
        self.addCleanup(self.settle)
        self.addCleanup(self.configure, appendonly="yes", repl_diskless_sync_delay=before)
        self.configure(appendonly="no", save="", repl_diskless_sync_delay=self.REPLICAS_COPY_AFTER)

    def data_of_the_master(self):
        client = self.stack.client(self.master)
        # Whoever has copied a master in full has kept the copy, and would load it.
        copy = client.config_get("dbfilename")["dbfilename"]
        return [os.path.join(client.config_get("dir")["dir"], name) for name in ("appendonlydir", copy)]

    def make_precious(self):
        """More keys than it can take until it is met."""
        self.stack.client(self.master).mset({f"precious-{number}": "1" for number in range(1000)})
        wait_until("the replicas to have them", lambda: all(self.stack.client(name).exists("precious-999")
                                                            for name in self.stack.nodes), 30)

    def restart(self, end, without=()):
        pid = self.lab.node(self.master)["pid"]
        with stopped(self.lab.node("serve")["pid"]):
            end()
            wait_until("the end of the master", lambda: not is_running(pid), 30)
            subprocess.run(["rm", "-rf", *without], check=True)
            wait_until("the start of the master", self.start_anew, 30)
            wait_until("the master", lambda: self.stack.role(self.master) == "master", 30)

    def start_anew(self):
        """False where the lab still takes the dead one for running: once that was seen to last for some moments."""
        done = run("--json", "lab", "up", "--dir", self.lab.directory, "--only", self.master, timeout=60)
        assert done.code == 0, done
        if done.json()["started"] == 0:
            print(f"     {self.master} still runs, by the lab's word: {self.lab.node(self.master)}", flush=True)
        return done.json()["started"]

    def lost_by_a_met_one(self, execution, writers):
        """It was taken for what it is; the acknowledged records that the new master lacks, and what else is known."""
        facts = execution["facts"]
        self.assertEqual(execution["state"], "succeeded", execution["summary"])
        self.assertEqual((facts["assist"], facts["redis.death"]), ("acted", "empty"), facts)
        lost = writers.lost(facts["redis.new_master"])
        print(f"     outage {writers.outage():.2f} s, lost {len(lost)} of {len(writers.acknowledged)}, "
              f"salvaged {facts.get('salvaged')}", flush=True)
        wait_until("the old master as a replica", lambda: self.stack.is_replica_with_link(self.master), 120)
        return lost, facts
