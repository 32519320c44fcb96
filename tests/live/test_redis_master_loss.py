"""The assisted failover of Redis on real servers at Sentinel's stock timings, under writers to every node: a dead master, and
two that come back with less than their replicas have. trial_redis_assist.py tries the rest."""
import os
import signal
import time
import unittest
from pathlib import Path

import assisted_redis
from assisted_redis import Writers, await_execution
from support import wait_until
from watching import stopped

TAIL = 50


def arguments(path):
    """Every argument of the commands in an AOF."""
    return {line.decode(errors="replace") for line in path.read_bytes().split(b"\r\n")}


class RedisAssistTest(assisted_redis.RestartCase):
    def kill(self):
        self.stack.signal(self.master, signal.SIGKILL)

    def test_a_killed_master_is_fenced_replaced_and_brought_back(self):
        with Writers(self.stack) as writers:
            self.kill()
            execution = await_execution(self.lab, self.before)
        facts = self.check(execution, writers, 10, most_seconds=None)
        self.assertGreater(facts["down_after_remaining_seconds"], 0, "Sentinel would have waited on")
        self.assertGreater(facts["salvaged"]["files"], 0)
        self.assertTrue(os.path.isdir(facts["salvaged"]["directory"]))

    def test_what_only_a_killed_master_had_is_kept_and_counted(self):
        with Writers(self.stack) as writers:
            tail, whole_until = self.die_with_a_tail()
            execution = await_execution(self.lab, self.before)
        facts = self.check(execution, writers, most_lost=None, most_seconds=None)
        new, salvaged = facts["redis.new_master"], facts["salvaged"]
        self.assertEqual(self.stack.client(new).exists(*tail), 0, "no replica had it")
        kept = arguments(Path(salvaged["directory"], f"{self.master}-tail.aof"))
        self.assertEqual(set(tail.values()) - kept, set())
        lost = {record for record in writers.lost(new) if writers.acknowledged[record] < whole_until}
        self.assertEqual(lost - kept, set())
        self.assertGreaterEqual(salvaged["lost_writes"], len(tail) + len(lost))
        # Beside it are the whole files, which have it, too.
        whole = set().union(*map(arguments, Path(salvaged["directory"]).rglob("*.incr.aof")))
        self.assertEqual(set(tail.values()) - whole, set())
        self.assertEqual(self.stack.client(self.master).exists(*tail), 0, "it is a copy of the new master")

    def die_with_a_tail(self):
        """The master is killed with acknowledged writes that it alone has; they, and until when all that it took is in its AOF."""
        client = self.stack.client(self.master)
        tail = {f"tail-{number}": f"only-{self.master}-{time.time()}-{number}" for number in range(TAIL)}
        with stopped(*(self.lab.node(name)["pid"] for name in self.stack.nodes if name != self.master)):
            # With their connections goes what they have not read yet; standing still, they make no new ones.
            self.assertEqual(client.execute_command("CLIENT", "KILL", "TYPE", "replica"), 2)
            for key, value in tail.items():
                client.set(key, value)
            whole_until = self.await_aof(client)
            self.kill()
        return tail, whole_until

    def await_aof(self, client):
        """Until all that was acknowledged is in its file: while an fsync runs, it may be held back for 2 s. When that was seen."""
        def at():
            asked = time.monotonic()
            return asked if client.info("persistence")["aof_buffer_length"] == 0 else None
        return wait_until("an empty buffer of the AOF", at, 10)

    def test_one_with_an_older_copy_is_caught_before_its_replicas_follow(self):
        self.without_aof()
        self.stack.client(self.master).save()
        with Writers(self.stack) as writers:
            self.restart(self.kill)
            execution = await_execution(self.lab, self.before)
        lost, facts = self.lost_by_a_met_one(execution, writers)
        # What it took between its restart and the fence is all that is lost, and none of it is gone.
        tail = Path(facts["salvaged"]["directory"], "since-its-start", f"{self.master}-tail.aof").read_text()
        self.assertEqual([record for record in lost if record not in tail], [])
        self.assertGreaterEqual(facts["salvaged"]["lost_writes"], len(lost))

    def test_one_that_is_empty_is_caught_before_its_replicas_follow(self):
        self.without_aof()
        data = self.data_of_the_master()
        with Writers(self.stack) as writers:
            self.make_precious()
            self.restart(self.kill, data)
            execution = await_execution(self.lab, self.before)
        # Without a file its stream, of which the tail is kept, begins with its first replica only.
        _, facts = self.lost_by_a_met_one(execution, writers)
        self.assertEqual(self.stack.client(facts["redis.new_master"]).get("precious-0"), "1")


if __name__ == "__main__":
    unittest.main()
