"""Two `serve`s that may act on one stack, each with a state directory of its own, as on two machines: one acts, the other
leaves it alone; and where the one dies in the middle, nothing stays fenced that nobody tells of."""
import os
import re
import signal
import subprocess
import unittest
from pathlib import Path

import assisted
from assisted_redis import Stack, Writers
from support import PROGRAM, Lab, is_running, run, wait_until


class SecondServe(Lab):
    """Seen as a lab, so that what is asked of the first one can be asked of it."""

    def __init__(self, lab):
        self.directory, self.prefix, self.first = lab.directory, (), lab
        text = Path(lab.stack).read_text()
        listens = re.search(r"(?m)^  listen: \"?([\d.]+):", text).group(1)
        text = re.sub(r"(?m)^state_directory: \S+", f"state_directory: {self.directory}/second-state", text)
        text = re.sub(r"(?m)^  listen: \S+", f"  listen: {listens}:9465", text)
        # On two machines the hosts' own directory is the same one by itself.
        text = text.replace("    executor: local\n", f"    executor: local\n    fence_directory: {self.directory}/state/fences\n")
        Path(self.stack).write_text(text)
        self.process = None
        self.start()

    @property
    def stack(self):
        return os.path.join(self.directory, "second.yaml")

    def start(self):
        with open(os.path.join(self.directory, "log", "second.log"), "a") as log:
            self.process = subprocess.Popen([PROGRAM, "--stack", self.stack, "serve"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end(self):
        self.process.kill()
        self.process.wait(20)


class TwoServesTest(assisted.AssistTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lab.await_healthy(180)
        cls.second = SecondServe(cls.lab)
        cls.addClassCleanup(lambda: cls.second.end())
        cls.serves = (cls.lab, cls.second)

    def setUp(self):
        self.second.await_healthy(120)
        super().setUp()
        self.known = {one["id"] for serve in self.serves for one in self.executions_of(serve)}

    @staticmethod
    def executions_of(serve):
        return serve.cli("--json", "execution", "list").json()["executions"]

    def new_failovers(self, store):
        """Of both, whole; none while one of them runs."""
        found = [(serve, serve.cli("--json", "execution", "show", one["id"]).json()["execution"])
                 for serve in self.serves for one in self.executions_of(serve)
                 if one["id"] not in self.known and one["store"] == store and one["runbook"] == "failover"]
        return found if all(execution["state"] != "running" for _, execution in found) else []

    def ends_of_both(self, store):
        found = self.new_failovers(store)
        return found if {serve for serve, _ in found} == set(self.serves) else []

    def check_one_acted(self, store, new):
        # Whoever found the lock taken tries again as long as its incident stands.
        done = wait_until("the end of every failover", lambda: self.new_failovers(store), 240)
        acted = [execution for _, execution in done if execution["facts"].get("assist") == "acted"]
        for _, execution in done:
            print(f"     {execution['id']} {execution['state']}: {execution['facts'].get('assist')}", flush=True)
        self.assertEqual(len(acted), 1, done)
        self.assertEqual(acted[0]["state"], "succeeded", acted)
        for _, execution in done:
            if execution is not acted[0]:
                self.assertNotIn("assist_acted_at", execution["facts"], execution)
        self.assertEqual(self.fences(), [])
        for serve in self.serves:
            serve.await_healthy(240)
        self.assertEqual({serve.status()["stores"][store]["primary"] for serve in self.serves}, {new})

    def test_a_lost_node_of_postgres(self):
        with assisted.Rows(self.lab) as rows:
            self.lose_node()
            new = wait_until("another primary", lambda: self.another_primary(rows), 60)
            wait_until("its rows", lambda: new in rows.first_sent, 20)
        print(f"     nobody took rows for {rows.first_sent[new] - rows.last[self.primary]:.2f} s", flush=True)
        self.check_one_acted("postgres", new)
        self.assertEqual({name for name, _ in rows.acknowledged}, {self.primary, new})

    def test_a_lost_master_of_redis(self):
        stack = Stack(self.lab)
        master = wait_until("Sentinels that agree", stack.named_master, 30)
        with Writers(stack) as writers:
            stack.signal(master, signal.SIGKILL)
            new = wait_until("another master", lambda: stack.other_master(master), 60)
        print(f"     outage {writers.outage():.2f} s", flush=True)
        self.check_one_acted("redis", new)

    def test_the_one_that_acts_dies_behind_its_fence(self):
        journals = {serve: Path(self.lab.directory, folder, "journal.sqlite-wal")
                    for serve, folder in zip(self.serves, ("state", "second-state"))}

        def fencing():
            # By the files: a command takes longer than the whole failover.
            marks = [mark.split("/")[1].encode() for mark in self.fences()]
            return next((serve for serve, journal in journals.items() if any(mark in journal.read_bytes() for mark in marks)), None)
        with assisted.Rows(self.lab) as rows:
            pids = {self.lab: self.lab.node("serve")["pid"], self.second: self.second.process.pid}
            self.lose_node()
            actor = wait_until("a fence", fencing, 60, every=0.002)
            os.kill(pids[actor], signal.SIGKILL)
            new = wait_until("another primary", lambda: self.another_primary(rows), 90)
            wait_until("its rows", lambda: new in rows.first_sent, 20)
        print(f"     nobody took rows for {rows.first_sent[new] - rows.last[self.primary]:.2f} s", flush=True)
        self.assertEqual({name for name, _ in rows.acknowledged}, {self.primary, new})
        # The other one tells of the fence, and takes it for nobody's.
        other = next(serve for serve in self.serves if serve is not actor)
        if self.fences():
            wait_until("the left fence told", lambda: not self.fences() or "hosts.fence_left" in
                       {incident["detector"] for incident in other.status()["incidents"]}, 120)
        if actor is self.second:
            self.second.process.wait(20)
            self.second.start()
        else:
            wait_until("its end", lambda: not is_running(pids[actor]), 20)
            run("lab", "up", "--dir", self.lab.directory, "--only", "serve", timeout=60)
        wait_until("every fence lifted", lambda: not self.fences(), 180)
        for serve in self.serves:
            serve.await_healthy(240)
        # The next life of the dead one ends what it had begun; the other one's ended at the fence that it met.
        ends = {serve: execution["state"] for serve, execution in
                wait_until("the end of both failovers", lambda: self.ends_of_both("postgres"), 120)}
        self.assertEqual(ends, {actor: "succeeded", other: "awaiting_approval"})


if __name__ == "__main__":
    unittest.main()
