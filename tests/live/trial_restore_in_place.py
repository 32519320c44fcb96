"""A lab's cluster put back to an earlier point where it lives, under its own Patroni: as a whole, with our program killed at every
step, taken back, and refused where it could not end well."""
import random
import shutil
import time
import unittest
from datetime import datetime, timezone
from pathlib import Path

import capturing
from capturing import Writer, iso
from support import Lab, kill_at, run, wait_until

NODES = ("postgres-1", "postgres-2", "postgres-3")
STEPS = ("fetch_restore", "replay_restore", "stop_cluster", "swap_data", "clear_keys", "hand_over", "confirm_one_writer", "rejoin_members", "back_up")


class RestoreInPlaceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.remove)
        cls.lab.up()
        cls.lab.await_healthy(180)
        cls.members = capturing.members(cls.lab, Path(cls.lab.base))

    def setUp(self):
        self.lab.await_healthy(240)
        self.sql("CREATE TABLE IF NOT EXISTS ledger (id bigint PRIMARY KEY, filler text)")
        self.sql("DELETE FROM ledger")
        done = self.lab.cli("backup", "postgres", timeout=200)
        self.assertEqual(done.code, 0, done)
        time.sleep(2.1)  # a backup serves for a time that is two seconds after its checkpoint
        self.sql("INSERT INTO ledger SELECT generate_series(1, 1000)")
        time.sleep(0.05)
        self.point = iso(datetime.now(timezone.utc))
        time.sleep(0.05)
        self.sql("DELETE FROM ledger WHERE id > 10")
        self.sql("INSERT INTO ledger SELECT generate_series(2001, 2100)")
        self.after = {*range(1, 11), *range(2001, 2101)}
        self.await_captured()

    def await_captured(self):
        def is_captured():
            postgres = self.lab.status()["stores"]["postgres"]
            return postgres["capture"] == "running" and (postgres["rpo_now_seconds"] or 99) < 2
        time.sleep(2)
        wait_until("the capture", is_captured, 90)

    def sql(self, statement, node=None):
        return self.members[node or self.primary()].sql(statement)

    def rows(self, node=None):
        return self.members[node or self.primary()].rows()

    def primary(self):
        return wait_until("a primary", lambda: self.lab.status()["stores"]["postgres"]["primary"], 60)

    def data(self, node):
        return Path(self.lab.directory, "data", node)

    def beside(self, node):
        """What a restore has left beside the data directory."""
        return sorted(path.name for path in self.data(node).parent.iterdir()
                      if path.name.startswith("exec-") or path.name.startswith(node + ".before-"))

    def drop_kept(self):
        for node in NODES:
            for name in self.beside(node):
                shutil.rmtree(self.data(node).parent / name)

    def arguments(self, *more):
        return ["restore", "postgres", "--in-place", "--to", self.point, *more]

    def check_restored(self):
        primary = self.primary()
        self.assertEqual(self.rows(), set(range(1, 1001)))
        for node in NODES:
            self.assertEqual(self.sql("SELECT pg_is_in_recovery()", node)[0][0], node != primary, node)
            wait_until(f"the rows of {node}", lambda: self.rows(node) == set(range(1, 1001)), 60)
        auto = (self.data(primary) / "postgresql.auto.conf").read_text()
        self.assertNotRegex(auto, "recovery_target|restore_command")
        self.assertEqual([name for name in self.beside(primary) if name.startswith("exec-")], [])
        # The capture goes on from the new timeline, and what it has can be restored.
        self.lab.await_healthy(240)
        self.sql("INSERT INTO ledger VALUES (5000)")
        self.await_captured()
        database = self.members[primary].credentials["database"]
        done = self.lab.cli("restore-test", "postgres", "--database", database, "--query", "SELECT count(*) = 1001 FROM ledger",
                            timeout=300)
        self.assertEqual(done.code, 0, done)

    def test_to_a_time(self):
        before = {node: self.rows(node) for node in NODES}
        primary = self.primary()
        plan = self.lab.cli("--json", *self.arguments("--dry-run"), timeout=100)
        self.assertEqual(plan.code, 0, plan)
        self.assertEqual(len(plan.json()["plan"]), 10)
        self.assertEqual(plan.json()["restore"]["replay"]["timeline"], self.timeline(primary))
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

    def timeline(self, node):
        return self.sql("SELECT timeline_id FROM pg_control_checkpoint()", node)[0][0]

    def killed_at(self, step):
        """Begins the restore and kills it when the journal says that `step` begins; the execution's id."""
        said = kill_at(self, rf"postgres\.{step} +apply +started", "--stack", self.lab.stack, *self.arguments("--yes"))
        executions = [one for one in self.lab.cli("--json", "execution", "list").json()["executions"]
                      if one["runbook"] == "restore" and one["state"] == "running"]
        self.assertEqual(len(executions), 1, said)
        return executions[0]["id"]

    def act(self, *words):
        return self.lab.take_over(*words, "--yes", timeout=500)

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
        done = run("--stack", other, *self.arguments("--yes"), timeout=200, prefix=self.lab.prefix)
        self.assertEqual(done.code, 5, done)
        self.assertIn("executor", done.err)
        self.assertEqual(self.rows(), self.after)
        self.assertEqual(self.beside(primary), [])

    def refused(self, why, *more):
        done = self.lab.cli(*self.arguments("--yes", *more), timeout=200)
        self.assertEqual(done.code, 5, done)
        self.assertIn(why, done.err)


if __name__ == "__main__":
    unittest.main()
