"""The assisted failover of PostgreSQL on real servers at stock timings: what it does, and when it leaves it be."""
import contextlib
import os
import signal
import unittest
from pathlib import Path

import assisted
from support import is_running, run, wait_until


class AsynchronousTest(assisted.AssistTest):
    def test_a_killed_node_is_fenced_its_lease_released_and_what_only_it_had_is_kept(self):
        with assisted.Rows(self.lab) as rows:
            written = self.write_what_nobody_else_gets(rows)
            self.lose_node()
            execution = self.execution()
            facts = self.check_taken_over(execution)
        self.lab.await_healthy(120)
        self.assertGreater(facts["lease_remaining_seconds"], 0)
        self.assertEqual(self.lines_at(rows, facts["new_primary"]), [])
        # Commits that nobody was told of may be there too.
        lost = len(rows.lost(facts["new_primary"])) + len(written)
        self.assertLessEqual(lost, facts["salvaged"]["lost_writes"], "what is lost is in the salvaged WAL")
        kept = b"".join(file.read_bytes() for file in Path(facts["salvaged"]["directory"]).iterdir())
        self.assertEqual([line for line in written if line.encode() not in kept], [])
        incident = execution["trigger"].removeprefix("incident:")
        wait_until("the post-mortem's word of it", lambda: facts["salvaged"]["directory"] in self.lab.cli(
            "postmortem", "show", incident).out, 60)

    def write_what_nobody_else_gets(self, rows):
        """What a sender that stands still has not sent is in no socket either."""
        written = [f"only here {n}" for n in range(20)]
        with contextlib.closing(rows.connect(self.primary)) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS salvage_test (line text)")
            cursor.execute("SELECT pid FROM pg_stat_replication")
            for pid, in cursor.fetchall():
                os.kill(pid, signal.SIGSTOP)
            for line in written:
                cursor.execute("INSERT INTO salvage_test VALUES (%s)", [line])
        return written

    def lines_at(self, rows, node):
        with contextlib.closing(rows.connect(node)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('salvage_test')")
            if cursor.fetchone()[0] is None:
                return []
            cursor.execute("SELECT line FROM salvage_test")
            return cursor.fetchall()

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

    def check_nothing_is_lost(self, which):
        with assisted.Rows(self.lab) as rows:
            self.lose_node(which)
            facts = self.check_taken_over(self.execution())
        self.lab.await_healthy(120)
        self.assertEqual(rows.lost(facts["new_primary"]), set())

    def test_nothing_acknowledged_is_lost_with_a_killed_node(self):
        self.check_nothing_is_lost(signal.SIGKILL)

    def test_nothing_acknowledged_is_lost_with_a_stopped_node(self):
        self.check_nothing_is_lost(signal.SIGSTOP)

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
