"""What the tests of a restore in place share: a lab with a backup, a point in time, rows before and behind it, and a restore that is begun."""
import re
import shutil
import subprocess
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

import capturing
from capturing import iso
from support import PROGRAM, run, wait_until

NODES = ("postgres-1", "postgres-2", "postgres-3")


class InPlaceTest(capturing.MembersTest):
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

    def timeline(self, node):
        return self.sql("SELECT timeline_id FROM pg_control_checkpoint()", node)[0][0]

    def begin(self, step, moment="apply +started"):
        """The restore, begun, when the journal says so of `step`. What it says goes into `said`."""
        self.said = []
        command = subprocess.Popen([PROGRAM, "--stack", self.lab.stack, *self.arguments("--yes")], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        seen = threading.Event()

        def listen():
            for line in command.stderr:
                self.said.append(line)
                if re.search(rf"postgres\.{step} +{moment}", line):
                    seen.set()
            seen.set()
        listener = threading.Thread(target=listen)
        listener.start()

        def end():
            command.kill()
            command.wait()
            listener.join()
            command.stderr.close()
        self.addCleanup(end)
        self.assertTrue(seen.wait(300) and command.poll() is None, "".join(self.said))
        return command

    def killed_at(self, step):
        """Begins the restore and kills it when `step` begins; the execution's id."""
        command = self.begin(step)
        command.kill()
        command.wait()
        return self.execution("running")

    def execution(self, *states):
        executions = [one for one in self.lab.cli("--json", "execution", "list").json()["executions"]
                      if one["runbook"] == "restore" and one["state"] in states]
        self.assertEqual(len(executions), 1, "".join(self.said))
        return executions[0]["id"]

    def act(self, *words):
        return self.lab.take_over(*words, "--yes", timeout=500)

    def lab_with(self, stack, *words):
        return run("--stack", stack, *words, timeout=200, prefix=self.lab.prefix)

    def refused(self, why, *more):
        done = self.lab.cli(*self.arguments("--yes", *more), timeout=200)
        self.assertEqual(done.code, 5, done)
        self.assertIn(why, done.err)
