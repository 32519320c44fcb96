"""The assisted failover of Redis on real servers at Sentinel's stock timings, under writers to every node: a dead master, and
two that come back with less than their replicas have. trial_redis_assist.py tries the rest."""
import os
import signal
import unittest
from pathlib import Path

import assisted_redis
from assisted_redis import Writers, await_execution


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
