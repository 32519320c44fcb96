"""A base backup of a lab's node while its cluster changes hands, or while the node's agent, its server or our program dies. It is whole
or none and says why, it leaves no slot, and the next one works."""
import re
import subprocess
import unittest
from pathlib import Path

import psycopg2

import capturing
from capturing import position
from in_place import NODES
from support import PROGRAM, restart_serve, run, wait_until
from watching import kill, stopped

SLOW = ("--max-rate", "2048")  # KiB a second: 38 seconds for the 77 MiB of a new lab
COPYING = "SELECT 1 FROM pg_stat_progress_basebackup WHERE backup_streamed > 4000000"


class BackupUnderPatroniTest(capturing.MembersTest):
    def setUp(self):
        self.lab.await_healthy(240)
        self.primary = self.find_primary()
        self.replica, self.other = (node for node in NODES if node != self.primary)
        self.members[self.primary].sql("CREATE TABLE IF NOT EXISTS ledger (id bigserial PRIMARY KEY, filler text)")
        self.known = self.backups()

    def find_primary(self):
        return wait_until("a primary", lambda: self.lab.status()["stores"]["postgres"]["primary"], 60)

    # ------------------------------------------------------------------------------------------ a backup that is begun

    def begin(self, node):
        """A backup of the node, which has sent the beginning of its data when this returns."""
        process = subprocess.Popen([PROGRAM, "--stack", self.lab.stack, "backup", "postgres", "--node", node, *SLOW],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        def end():
            process.kill()
            process.communicate()
        self.addCleanup(end)
        wait_until("the copy", lambda: self.members[node].sql(COPYING), 60)
        self.assertEqual(len(self.slots(node)), 1, "it holds its WAL by a slot of its own")
        return process

    def has_no_slot(self, node):
        """Of a server that was killed a moment ago nobody may know yet."""
        try:
            return not self.slots(node)
        except psycopg2.OperationalError:
            return False

    def slots(self, node):
        return self.members[node].sql("SELECT slot_name FROM pg_replication_slots WHERE slot_name ~ '^aeterna_dr_base_'")

    def listed(self):
        done = self.lab.cli("--json", "backups", "list")
        self.assertEqual(done.code, 0, done)
        return done.json()["backups"]

    def backups(self):
        return {backup["id"] for backup in self.listed()}

    # ------------------------------------------------------------------------------------------ how it ends

    def assert_whole(self, process):
        """The backup, which is the one that is new and can be restored."""
        _, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, err)
        backup, = (one for one in self.listed() if one["id"] not in self.known)
        self.assert_restorable(backup["id"])
        return backup

    def assert_failed(self, process, why):
        _, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1, err)
        said = [line for line in err.splitlines() if line.startswith("aeterna-dr:")]
        self.assertEqual(len(said), 1, err)
        self.assertRegex(said[0], why)
        self.assertEqual(self.backups(), self.known)

    def assert_restorable(self, to, query="SELECT count(*) > 0 FROM ledger"):
        database = next(iter(self.members.values())).credentials["database"]
        done = self.lab.cli("restore-test", "postgres", "--to", to, "--database", database, "--query", query, timeout=300)
        self.assertEqual(done.code, 0, done)

    def assert_goes_on(self):
        """No slot of ours is left, the repository is whole, and the next backup of every node works."""
        for node in NODES:
            wait_until(f"the end of its slot on {node}", lambda: self.has_no_slot(node), 120)
        self.lab.await_healthy(240)
        done = self.lab.cli("repo", "check", "--read-data")
        self.assertEqual(done.code, 0, done)
        for node in NODES:
            done = self.lab.cli("--json", "backup", "postgres", "--node", node)
            self.assertEqual(done.code, 0, done)
        self.assert_restorable(done.json()["backup"]["id"])

    def write(self, filler="x", node=None):
        self.members[node or self.find_primary()].sql("INSERT INTO ledger (filler) VALUES (%s)", filler)

    # ------------------------------------------------------------------------------------------ a switchover

    def switch_over(self):
        def done():
            done = self.lab.cli("switchover", "postgres", "--candidate", self.replica, "--yes", timeout=200)
            # A look on a busy machine sees too little now and then; then nothing was begun.
            return None if done.code == 5 and "no node accepts writes" in done.err else done
        done = wait_until("a switchover", done, 60)
        self.assertEqual(done.code, 0, done)
        self.assertEqual(self.find_primary(), self.replica)

    def test_a_switchover_while_the_leader_is_copied(self):
        self.write()
        process = self.begin(self.primary)
        self.switch_over()
        self.assert_failed(process, "terminating connection due to administrator command")
        self.assert_goes_on()

    def test_a_switchover_while_the_candidate_is_copied(self):
        self.write()
        process = self.begin(self.replica)
        self.switch_over()
        self.assert_failed(process, "the standby was promoted during online backup")
        self.assert_goes_on()

    def test_a_switchover_while_the_third_member_is_copied(self):
        """The backup begins on one timeline and ends on the next one."""
        self.write()
        process = self.begin(self.other)
        with stopped(process.pid):  # until the cluster has changed hands
            self.switch_over()
            self.write()
            self.pass_restart_point()
            self.assertTrue(self.members[self.other].sql(COPYING), "the copy was over before the switchover")
        backup = self.assert_whole(process)
        self.assertEqual(backup["details"]["timeline"], self.members[self.replica].one("SELECT timeline_id FROM pg_control_checkpoint()"))
        self.assert_goes_on()

    def pass_restart_point(self):
        """Only that takes the end which the third member's backup is given beyond the fork."""
        new, third = self.members[self.replica], self.members[self.other]
        new.sql("CHECKPOINT")
        end = new.end_of_wal()
        wait_until("its replay", lambda: position(third.one("SELECT pg_last_wal_replay_lsn()::text")) >= end, 60)
        third.sql("CHECKPOINT")

    # ------------------------------------------------------------------------------------------ what dies

    def agent_of(self, node):
        return node.replace("postgres", "patroni")

    def kill_agent(self, node):
        kill(self.lab.node(self.agent_of(node))["pid"])

    def start_agent(self, node):
        """As soon as it may: serve holds down what it fails over."""
        wait_until(f"the start of {self.agent_of(node)}", lambda: run("lab", "up", "--dir", self.lab.directory, "--only", self.agent_of(node),
                                                                      prefix=self.lab.prefix).code == 0, 120)

    def assert_agent_back(self, node):
        """The copy is not disturbed: the agent that comes back finds its server running and leaves it so."""
        server = self.lab.node(node)["pid"]
        process = self.begin(node)
        self.kill_agent(node)
        self.start_agent(node)
        self.lab.await_healthy(60)
        self.assertIsNone(process.poll(), "the backup was over before")
        self.assert_whole(process)
        self.assertEqual(self.lab.node(node)["pid"], server)
        self.assertEqual(self.find_primary(), self.primary)
        self.assert_goes_on()

    def test_the_agent_of_a_copied_replica_is_killed_and_comes_back(self):
        self.write()
        self.assert_agent_back(self.replica)

    def test_the_agent_of_the_copied_leader_is_killed_and_comes_back(self):
        self.write()
        self.assert_agent_back(self.primary)

    def test_an_agent_that_serve_starts_again(self):
        self.write()
        process = self.begin(self.primary)
        self.kill_agent(self.primary)
        self.assert_whole(process)
        self.assert_goes_on()

    def test_a_leader_that_is_copied_after_it_was_replaced(self):
        """Without its agent it goes on, and takes writes, while another one is promoted. The backup ends on a dead branch: it is whole,
        and nothing that the cluster lives on with is restored out of it."""
        self.assist("off")
        self.addCleanup(self.assist, "act")
        old = self.members[self.primary]
        done = self.lab.cli("backup", "postgres")
        self.assertEqual(done.code, 0, done)
        self.known = self.backups()
        old.sql("DELETE FROM ledger")
        self.write("both")
        process = self.begin(self.primary)
        with stopped(process.pid):  # for longer than a lease
            self.kill_agent(self.primary)
            self.addCleanup(self.start_agent, self.primary)
            new = wait_until("another primary", lambda: next((node for node in (self.replica, self.other) if not
                                                              self.members[node].one("SELECT pg_is_in_recovery()")), None), 120)
            self.write("dead branch", self.primary)
            old.one("SELECT pg_switch_wal()::text")
            self.assertTrue(old.sql(COPYING), "the copy was over before the promotion")
        _, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, err)
        kill(self.lab.node(self.primary)["pid"])
        self.start_agent(self.primary)
        self.write("new", new)
        self.lab.await_healthy(240)
        self.await_captured()
        backup, = self.backups() - self.known
        self.assert_restorable("latest", "SELECT array_agg(filler ORDER BY id) = '{both,new}' FROM ledger")
        self.assert_restorable(backup, "SELECT array_agg(filler ORDER BY id) = '{both,dead branch}' FROM ledger")
        self.assert_goes_on()

    def await_captured(self):
        """What was written before, too: it is durable once the slots are moved behind it."""
        primary = self.members[self.find_primary()]
        end = primary.end_of_wal()
        wait_until(f"durability of {end:x}", lambda: primary.held_from() >= end, 90)

    def assist(self, word):
        stack = Path(self.lab.stack)
        before, after = stack.read_text().split("  postgres:", 1)
        stack.write_text(before + "  postgres:" + re.sub("assist: [a-z]+", f"assist: {word}", after, count=1))
        restart_serve(self.lab)

    def test_the_copied_server_is_killed_with_its_agent(self):
        self.write()
        for node in (self.replica, self.primary):
            with self.subTest(node=node):
                process = self.begin(node)
                self.kill_agent(node)
                kill(self.lab.node(node)["pid"])
                self.assert_failed(process, "server closed the connection unexpectedly")
                self.start_agent(node)
                self.assert_goes_on()
                self.setUp()

    def test_our_program_is_killed(self):
        self.write()
        for node in (self.replica, self.primary):
            with self.subTest(node=node):
                process = self.begin(node)
                process.kill()
                process.communicate()
                wait_until("the end of its slot", lambda: not self.slots(node), 30)
                self.assertEqual(self.backups(), self.known)
                self.assert_goes_on()
                self.setUp()


if __name__ == "__main__":
    unittest.main()
