"""A lab's cluster put back to an earlier point where it lives, under its own Patroni: as a whole, with our program killed at every
step, taken back, and refused where it could not end well."""
import random
import time
import unittest
from pathlib import Path

from capturing import Writer
from in_place import NODES, InPlaceTest

STEPS = ("fetch_restore", "replay_restore", "stop_cluster", "swap_data", "clear_keys", "hand_over", "confirm_one_writer", "rejoin_members", "back_up")


class RestoreInPlaceTest(InPlaceTest):
    def test_to_a_time(self):
        before = {node: self.rows(node) for node in NODES}
        primary = self.primary()
        plan = self.lab.cli("--json", *self.arguments("--dry-run"), timeout=100)
        self.assertEqual(plan.code, 0, plan)
        self.assertEqual(len(plan.json()["plan"]), 10)
        self.assertEqual(plan.json()["restore"]["replay"]["timeline"], self.timeline(primary))
        self.assertIn("predicted_seconds", plan.json()["restore"])
        said = self.lab.cli(*self.arguments("--dry-run"), timeout=100)
        self.assertRegex(said.out, "nobody knows how long it takes|until it takes writes, by the last restore test")
        asked = self.lab.cli(*self.arguments(), timeout=100)
        self.assertEqual(asked.code, 7, asked)
        self.assertEqual({node: self.rows(node) for node in NODES}, before)
        self.assertEqual(self.beside(primary), [])
        done = self.lab.cli(*self.arguments("--yes"), timeout=500)
        self.assertEqual(done.code, 0, done)
        self.assertEqual(self.primary(), primary)
        self.assertEqual(len(self.beside(primary)), 1)
        self.check_restored()
        self.drop_kept()

    def test_killed_at_every_step_and_resumed(self):
        for step in STEPS:
            with self.subTest(step=step):
                if step != STEPS[0]:
                    self.setUp()
                execution = self.killed_at(step)
                done = self.act("execution", "resume", execution)
                self.assertEqual(done.code, 0, done)
                self.check_restored()
                self.drop_kept()

    def test_killed_and_taken_back(self):
        for step in ("fetch_restore", "replay_restore", "stop_cluster", "swap_data", "clear_keys"):
            with self.subTest(step=step):
                primary = self.primary()
                # Until the server is gone: what the others, which are stopped first, no longer get.
                writer = Writer(self.members[primary], 10_000 + random.randrange(1_000_000) * 1000)
                execution = self.killed_at(step)
                acknowledged = writer.end()
                done = self.act("execution", "abort", execution)
                self.assertIn(done.code, (0, 4), done)
                self.lab.await_healthy(240)
                self.assertEqual(self.primary(), primary)
                rows = self.rows()
                self.assertEqual(acknowledged - rows, set())
                self.assertEqual({row for row in rows if row < 10_000}, self.after)
                self.assertEqual([name for node in NODES for name in self.beside(node)], [])

    def test_behind_the_point_of_no_return_it_can_only_be_gone_on_with(self):
        execution = self.killed_at("hand_over")
        refused = self.act("execution", "abort", execution)
        self.assertEqual(refused.code, 5, refused)
        self.assertIn("execution resume", refused.err)
        done = self.act("execution", "resume", execution)
        self.assertEqual(done.code, 0, done)
        self.check_restored()
        self.drop_kept()

    def test_a_dead_restore_keeps_the_assist_away(self):
        execution = self.killed_at("swap_data")
        time.sleep(20)  # the lock of the dead ends after 15 s
        begun = [one for one in self.lab.cli("--json", "execution", "list").json()["executions"]
                 if one["runbook"] == "failover" and one["state"] == "running"]
        self.assertEqual(begun, [])
        done = self.act("execution", "resume", execution)
        self.assertEqual(done.code, 0, done)
        self.check_restored()
        self.drop_kept()

    def test_refused_before_anything_is_touched(self):
        primary = self.primary()
        replica = next(node for node in NODES if node != primary)
        self.refused("takes writes", "--node", replica)
        stack = Path(self.lab.stack).read_text()
        other = Path(self.lab.base, "no-hosts.yaml")
        other.write_text(stack.replace("executor: local", "executor: none"))
        done = self.lab_with(other, *self.arguments("--yes"))
        self.assertEqual(done.code, 5, done)
        self.assertIn("executor", done.err)
        self.assertEqual(self.rows(), self.after)
        self.assertEqual(self.beside(primary), [])


if __name__ == "__main__":
    unittest.main()
