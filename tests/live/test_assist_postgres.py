"""The assisted failover of PostgreSQL on real servers at stock timings: what it does, and when it leaves it be."""
import os
import signal
import unittest

import assisted
from support import is_running, run, wait_until


class AsynchronousTest(assisted.AssistTest):
    def test_a_killed_node_is_fenced_and_its_lease_released(self):
        with assisted.Rows(self.lab) as rows:
            self.lose_node()
            execution = self.execution()
            facts = self.check_taken_over(execution)
        self.lab.await_healthy(120)
        lost = rows.lost(facts["new_primary"])
        # Commits that nobody was told of may be there too.
        self.assertLessEqual(len(lost), facts["salvaged"]["lost_writes"], "what is lost is in the salvaged WAL")
        self.assertGreater(facts["lease_remaining_seconds"], 0)

    def test_a_stopped_node_is_killed_before_it_can_wake_up(self):
        pids = assisted.tree(self.lab.node(self.agent)["pid"])
        self.lose_node(signal.SIGSTOP)
        self.check_taken_over(self.execution())
        for pid in pids:
            self.assertFalse(is_running(pid), "it lives on")

    def test_a_dead_agent_comes_back_before_its_lease_ends(self):
        with assisted.Rows(self.lab) as rows:
            os.kill(self.lab.node(self.agent)["pid"], signal.SIGKILL)
            execution = self.execution()
        self.assertEqual(execution["state"], "succeeded")
        self.assertEqual(execution["facts"]["assist"], "not_needed")
        self.assertEqual(execution["facts"]["new_primary"], self.primary)
        self.assertEqual({name for name, _ in rows.acknowledged}, {self.primary}, "no second writer")

    def test_a_dead_server_beside_a_living_agent_is_started_in_place(self):
        with assisted.Rows(self.lab) as rows:
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


class SynchronousTest(assisted.AssistTest):
    @classmethod
    def options(cls):
        return ["--sync"]

    def test_nothing_acknowledged_is_lost(self):
        with assisted.Rows(self.lab) as rows:
            self.lose_node()
            facts = self.check_taken_over(self.execution())
        self.lab.await_healthy(120)
        self.assertEqual(rows.lost(facts["new_primary"]), set())

    def test_a_program_killed_with_the_fence_in_place_goes_on_with_it(self):
        serve = self.lab.node("serve")["pid"]
        self.lose_node()
        wait_until("the fence of agent and server", lambda: len(self.fences()) == 2, 30)
        os.kill(serve, signal.SIGKILL)
        wait_until("its end", lambda: not is_running(serve), 30)
        self.assertEqual(len(self.fences()), 2, "agent and server are held down")
        denied = run("lab", "up", "--dir", self.lab.directory, "--only", self.agent)
        self.assertEqual(denied.code, 5, denied)
        run("lab", "up", "--dir", self.lab.directory, "--only", "serve")
        execution = self.execution()
        self.assertEqual(execution["state"], "succeeded", execution)
        self.assertIn(execution["facts"]["assist"], ("acted", "not_needed"))
        self.assertEqual(self.fences(), [])


if __name__ == "__main__":
    unittest.main()
