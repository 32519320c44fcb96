"""Assisted failover of Redis on real servers with Sentinel's stock timings (down-after 30 s), under writers to every node.

Every acknowledged record is compared with what the surviving master has. An outage far below 30 s shows that it was not
Sentinel's own wait that ended it; how short it is, bench/assist_redis.py measures.
"""
import os
import re
import signal
import subprocess
import threading
import time
import unittest

import redis
from support import PROGRAM, restart_serve, run, shared_lab, wait_until

ASSISTED_SECONDS = 20  # down-after is 30 s


def host_port(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


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


def without_cooldown(lab):
    """The same node fails again within minutes here; the lab's serve would only propose then. Restarts serve once."""
    with open(lab.stack) as file:
        text = file.read()
    if "assist_cooldown" in text:
        return
    with open(lab.stack, "w") as file:
        file.write(text.replace("    assist: act\n", "    assist: act\n    assist_cooldown: 1s\n"))
    restart_serve(lab)


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
    def setUp(self):
        self.lab = shared_lab()
        without_cooldown(self.lab)
        self.stack = Stack(self.lab)
        self.before = {execution["id"] for execution in executions(self.lab)}
        self.master = wait_until("Sentinels that agree", self.stack.named_master, 30)

    def settle(self):
        self.lab.await_healthy(240)

    def without_serve(self):
        """Nobody but the test's own command acts until the end of the test."""
        self.stack.signal("serve", signal.SIGKILL)
        self.addCleanup(self.settle)
        self.addCleanup(self.stack.start, "serve")

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
        self.assertLess(writers.outage(), most_seconds)
        self.assertLessEqual(len(lost), most_lost, lost[:20])
        return facts


class FencedTest(AssistCase):
    """The lab's own serve acts, as its stack file says."""

    def test_a_killed_master_is_fenced_replaced_and_brought_back(self):
        with Writers(self.stack) as writers:
            self.stack.signal(self.master, signal.SIGKILL)
            execution = await_execution(self.lab, self.before)
        facts = self.check(execution, writers, 10)
        self.assertGreater(facts["down_after_remaining_seconds"], 20)
        self.assertGreater(facts["salvaged"]["files"], 0)
        self.assertTrue(os.path.isdir(facts["salvaged"]["directory"]))
        self.settle()

    def test_a_serve_that_died_acting_goes_on_at_once_when_it_is_back(self):
        log = os.path.join(self.lab.directory, "log", "serve.log")
        size = os.path.getsize(log)
        with Writers(self.stack) as writers:
            self.stack.signal(self.master, signal.SIGKILL)
            wait_until("a new master", lambda: self.stack.other_master(self.master), ASSISTED_SECONDS)
            self.stack.signal("serve", signal.SIGKILL)
            self.assertNotEqual(executions(self.lab)[0]["state"], "succeeded", "it died too late")
            self.stack.start("serve")
            execution = await_execution(self.lab, self.before)
        self.check(execution, writers, 10)
        with open(log, errors="replace") as file:
            file.seek(size)
            self.assertIn("actor_lock.taken_from_the_dead", file.read())
        self.settle()

    def test_a_paused_master_is_killed_by_the_fence(self):
        with Writers(self.stack) as writers:
            self.stack.signal(self.master, signal.SIGSTOP)
            execution = await_execution(self.lab, self.before)
        self.check(execution, writers, 10)
        self.assertEqual(execution["facts"]["redis.death"], "silent")
        self.settle()

    def test_without_a_majority_of_the_sentinels(self):
        for gone in (self.stack.sentinels[1:], self.stack.sentinels):
            with self.subTest(gone=gone):
                self.setUp()
                with Writers(self.stack) as writers:
                    for name in gone:
                        self.stack.signal(name, signal.SIGKILL)
                    self.stack.signal(self.master, signal.SIGKILL)
                    wait_until("a new master", lambda: self.stack.other_master(self.master), ASSISTED_SECONDS)
                    for name in gone:
                        self.stack.start(name)
                    execution = await_execution(self.lab, self.before)
                self.check(execution, writers, 10)
                new = execution["facts"]["redis.new_master"]
                wait_until("Sentinels that agree", lambda: self.stack.named_master() == new, 30)
                for name in self.stack.sentinels:
                    view = self.stack.client(name).sentinel_master(self.stack.master_name)
                    self.assertEqual((view["down-after-milliseconds"], view["quorum"], view["failover-timeout"]),
                                     (30000, 2, 180000), name)
                self.settle()


class RestartedTest(AssistCase):
    """The master is back inside down-after, before anybody has called it dead: serve stands still meanwhile."""

    def without_aof(self):
        client = self.stack.client(self.master)
        client.config_set("appendonly", "no")
        client.config_set("save", "")
        client.config_rewrite()

    def with_aof(self):
        client = self.stack.client(self.master)
        client.config_set("appendonly", "yes")
        client.config_rewrite()
        self.settle()

    def restart(self, end, without=()):
        pid = self.lab.node(self.master)["pid"]
        self.stack.signal("serve", signal.SIGSTOP)
        self.addCleanup(self.stack.signal, "serve", signal.SIGCONT)
        end()
        wait_until("the end of the master", lambda: not os.path.exists(f"/proc/{pid}"), 10)
        if without:
            subprocess.run(["rm", "-rf", *without], check=True)
        self.stack.start(self.master)
        wait_until("the master", lambda: self.stack.role(self.master) == "master", 10)
        self.stack.signal("serve", signal.SIGCONT)

    def test_one_with_an_older_copy_is_caught_before_its_replicas_follow(self):
        self.without_aof()
        self.addCleanup(self.with_aof)
        self.stack.client(self.master).save()
        with Writers(self.stack) as writers:
            self.restart(lambda: self.stack.signal(self.master, signal.SIGKILL))
            execution = await_execution(self.lab, self.before)
        facts = execution["facts"]
        self.assertEqual(execution["state"], "succeeded", execution["summary"])
        self.assertEqual((facts["assist"], facts["redis.death"]), ("acted", "empty"), facts)
        lost = writers.lost(facts["redis.new_master"])
        print(f"     outage {writers.outage():.2f} s, lost {len(lost)} of {len(writers.acknowledged)}, "
              f"salvaged {facts.get('salvaged')}", flush=True)
        # What it took between its restart and the fence is all that is lost, and none of it is gone.
        tail = os.path.join(facts["salvaged"]["directory"], "since-its-start", f"{self.master}-tail.aof")
        with open(tail) as file:
            kept = file.read()
        self.assertEqual([record for record in lost if record not in kept], [])
        self.assertGreaterEqual(facts["salvaged"]["lost_writes"], len(lost))
        wait_until("the old master as a replica", lambda: self.stack.is_replica_with_link(self.master), 60)

    def test_one_that_is_empty_is_caught_before_its_replicas_follow(self):
        self.without_aof()
        self.addCleanup(self.with_aof)
        client = self.stack.client(self.master)
        # Whoever has copied a master in full has kept the copy, and would load it.
        copy = client.config_get("dbfilename")["dbfilename"]
        data = [os.path.join(client.config_get("dir")["dir"], name) for name in ("appendonlydir", copy)]
        with Writers(self.stack) as writers:
            # Less than the replicas have is what it takes until it is met.
            client.set("precious", "1")
            client.mset({f"precious-{number}": "1" for number in range(1000)})
            wait_until("the replicas to have it", lambda: all(self.stack.client(name).exists("precious-999")
                                                              for name in self.stack.nodes), 10)
            self.restart(lambda: self.stack.signal(self.master, signal.SIGKILL), data)
            execution = await_execution(self.lab, self.before)
        facts = execution["facts"]
        self.assertEqual(execution["state"], "succeeded", execution["summary"])
        self.assertEqual((facts["assist"], facts["redis.death"]), ("acted", "empty"), facts)
        self.assertEqual(self.stack.client(facts["redis.new_master"]).get("precious"), "1")
        print(f"     outage {writers.outage():.2f} s, lost {len(writers.lost(facts['redis.new_master']))} of "
              f"{len(writers.acknowledged)}, salvaged {facts.get('salvaged')}", flush=True)
        wait_until("the old master as a replica", lambda: self.stack.is_replica_with_link(self.master), 60)

    def test_one_that_lost_nothing_stays_the_master(self):
        def shut_down():
            try:
                self.stack.client(self.master).shutdown(save=True)
            except redis.exceptions.ConnectionError:
                pass
        for what, end in (("with its AOF", lambda: self.stack.signal(self.master, signal.SIGKILL)),
                          ("without, shut down in order", shut_down)):
            with self.subTest(what):
                if end is shut_down:
                    self.without_aof()
                    self.addCleanup(self.with_aof)
                with Writers(self.stack) as writers:
                    self.restart(end)
                    wait_until("the replicas", lambda: all(self.stack.is_replica_with_link(name)
                                                           for name in self.stack.nodes if name != self.master), 60)
                    time.sleep(3)
                self.assertEqual(self.stack.named_master(), self.master)
                self.assertEqual({execution["id"] for execution in executions(self.lab)}, self.before)
                self.assertLess(len(writers.lost(self.master)), 10)


class UnfencedTest(AssistCase):
    """A stack file whose hosts have no executor: nothing can be fenced, so the return is met by the guard."""

    def setUp(self):
        super().setUp()
        self.without_serve()
        with open(self.lab.stack) as file:
            text = file.read()
        self.handless = self.lab.stack.replace("stack.yaml", "stack-handless.yaml")
        with open(self.handless, "w") as file:
            file.write(text.replace("executor: local", "executor: none"))

    def lose_and_return(self, take, give_back):
        with Writers(self.stack) as writers:
            take()
            command = subprocess.Popen([PROGRAM, "--stack", self.handless, "failover", "redis", "--assist", "act", "--yes"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(command.kill)
            wait_until("a new master", lambda: self.stack.other_master(self.master), 60)
            give_back()
            self.assertEqual(command.wait(180), 0)
        execution = await_execution(self.lab, self.before)
        self.assertIn("redis.return_held_at", execution["facts"])
        return self.check(execution, writers, 10)

    def test_a_killed_master_that_its_supervisor_restarts_is_met(self):
        self.lose_and_return(lambda: self.stack.signal(self.master, signal.SIGKILL), lambda: self.stack.start(self.master))

    def test_a_paused_master_that_wakes_up_is_met_and_its_tail_kept(self):
        facts = self.lose_and_return(lambda: self.stack.signal(self.master, signal.SIGSTOP),
                                     lambda: self.stack.signal(self.master, signal.SIGCONT))
        self.assertIsNotNone(facts["salvaged"]["lost_writes"])


class ReturnTest(AssistCase):
    """Sentinel has replaced the master while no serve ran; a serve that is started then guards the return."""

    def test_the_return_of_a_master_that_sentinel_replaced_is_met(self):
        self.stack.signal("serve", signal.SIGKILL)
        self.addCleanup(self.settle)
        with Writers(self.stack) as writers:
            self.stack.signal(self.master, signal.SIGKILL)
            self.stack.client(self.stack.sentinels[0]).execute_command("SENTINEL", "FAILOVER", self.stack.master_name)
            wait_until("a new master that all name",
                       lambda: self.stack.named_master() not in (None, self.master), ASSISTED_SECONDS)
            new = self.stack.named_master()
            self.said_before = len(self.log())
            self.stack.start("serve")
            wait_until("the guard", lambda: f"guard.set store=redis subject={self.master}" in self.said(), 30)
            self.stack.start(self.master)
            wait_until("the old master as a replica", lambda: self.stack.is_replica_with_link(self.master), 60)
        wait_until("the guard's word", lambda: f"guard.demoted store=redis subject={self.master}" in self.said(), 10)
        lost = writers.lost(new)
        print(f"     lost {len(lost)} of {len(writers.acknowledged)}", flush=True)
        self.assertLessEqual(len(lost), 10, lost[:20])
        self.assertEqual(self.stack.named_master(), new)
        self.settle()

    def log(self):
        with open(os.path.join(self.lab.directory, "log", "serve.log"), errors="replace") as file:
            return file.read()

    def said(self):
        """By the serve that this test has started: others may have guarded the same node."""
        return self.log()[self.said_before:]


class CrashTest(AssistCase):
    """Our own command is killed -9 right after a journal write, and the execution is resumed."""

    # What the last line before the kill says; each write in turn is tried by tests/unit/redis/assist_test.cc.
    MOMENTS = (("redis.fence_master", "apply", "started"), ("redis.force_failover", "apply", "started"),
               ("redis.force_failover", "verify", "done"), ("redis.salvage", "apply", "started"),
               ("redis.rejoin_old", "apply", "started"))

    def test_killed_at_a_journal_write_and_resumed(self):
        for moment in self.MOMENTS:
            with self.subTest(moment=moment):
                self.setUp()
                with Writers(self.stack) as writers:
                    # A client that saw the master die has a second or two until serve acts; ours must be the one.
                    self.stack.signal("serve", signal.SIGKILL)
                    self.stack.signal(self.master, signal.SIGKILL)
                    self.kill_own_command_after(moment)
                    execution = next(one for one in executions(self.lab) if one["id"] not in self.before)
                    self.assertEqual(execution["state"], "running")
                    done = self.resume(execution["id"])
                    self.assertEqual(done.code, 0, done)
                self.check(show(self.lab, execution["id"]), writers, 10, most_seconds=120)
                self.stack.start("serve")
                self.settle()

    def kill_own_command_after(self, moment):
        command = subprocess.Popen([PROGRAM, "--stack", self.lab.stack, "failover", "redis", "--assist", "act", "--yes"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(command.kill)
        said = []
        for line in command.stderr:
            said.append(line)
            if line.split()[1:4] == list(moment):
                command.send_signal(signal.SIGKILL)
                command.wait()
                command.stderr.close()
                return
        self.fail("the command ended before it could be killed: " + "".join(said[-5:]))

    def resume(self, execution):
        # The dead program's lock is a lease; it ends by itself.
        end = time.monotonic() + 40
        while True:
            done = self.lab.cli("execution", "resume", execution, "--yes", timeout=200)
            if done.code != 11 or time.monotonic() > end:
                return done
            time.sleep(1)


if __name__ == "__main__":
    unittest.main()
