"""Restores that Patroni starts, cut off in the middle: our command is killed alone, Patroni with it, or Patroni alone while our command
goes on. What Patroni 3.0.2 makes of it, and what a person has to do."""
import base64
import json
import os
import shutil
import signal
import time
import unittest
import urllib.request
from pathlib import Path

import psycopg2

from restoring_by_patroni import Member, PatroniRestoringTest
from support import PROGRAM, wait_until
from watching import kill

ROWS = set(range(1, 21))  # the second half is in the captured WAL alone
HALF = "data dir for the cluster is not empty, but system ID is invalid; consider doing reinitialize"


class PatroniRestoreFaultsTest(PatroniRestoringTest):
    def setUp(self):
        super().setUp()
        self.one, self.two = self.begin_cluster("old", 1, self.from_initdb)
        self.one.sql("CREATE TABLE ledger (id bigint PRIMARY KEY, filler text)")
        self.one.sql("CREATE TABLE ballast AS SELECT n, repeat(md5(n::text), 60) FROM generate_series(1, 50000) n")
        self.one.sql("INSERT INTO ledger SELECT generate_series(1, 10)")
        self.write_stack(self.one, self.two)
        self.watching = self.watch()
        wait_until("the slot", lambda: self.one.sql("SELECT 1 FROM pg_replication_slots WHERE slot_name = 'aeterna'"), 30)
        done = self.cli("--stack", self.stack, "backup", "postgres")
        self.assertEqual(done.code, 0, done)
        self.one.sql("INSERT INTO ledger SELECT generate_series(11, 20)")

    def stop_midway(self, member):
        """The restore that Patroni has begun, stopped when it has written some of the files; its pid."""
        end = time.monotonic() + 60
        while not (member.data / "base").exists():
            self.assertLess(time.monotonic(), end, member.tail())
            time.sleep(0.001)
        pid, = (int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if self.restores_into(path, member.data))
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(lambda: self.restores_into(Path(f"/proc/{pid}/cmdline"), member.data) and os.kill(pid, signal.SIGKILL))
        self.assertFalse((member.data / "global/pg_control").exists(), "it was over too early")
        return pid

    @staticmethod
    def restores_into(path, data):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            return False
        return words[0] == os.fsencode(PROGRAM) and os.fsencode(data) in words

    def await_said(self, member, text):
        wait_until(f"'{text}'", lambda: text in member.said(), 60)

    # ------------------------------------------------------------------------------------------ a replica

    def await_replica(self):
        try:
            wait_until("the replica", lambda: self.two.role() == "replica", 90)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.two.tail()}") from None
        self.one.sql("INSERT INTO ledger VALUES (21)")
        self.await_rows(self.two, {*ROWS, 21})

    def test_a_replica_whose_restore_is_killed(self):
        """Patroni removes what is there and begins anew."""
        self.two.start()
        kill(self.stop_midway(self.two))
        self.await_said(self.two, "Error creating replica using method aeterna")
        self.await_replica()
        self.assertIn("replica has been created using aeterna", self.two.said())

    def test_a_replica_whose_restore_is_killed_with_its_agent(self):
        """As a unit is ended: Patroni starts nothing on the half, and makes it anew when it is told to."""
        self.two.start()
        pid = self.stop_midway(self.two)
        self.two.kill()
        kill(pid)
        self.two.start()
        self.await_said(self.two, HALF)
        self.assertFalse((self.two.data / "postmaster.pid").exists())
        request = urllib.request.Request(f"http://{self.two.rest}/reinitialize", b'{"force": true}', method="POST",
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            self.assertEqual(answer.status, 200)
        self.await_replica()
        self.assertIn("replica has been created using aeterna", self.two.said())

    def test_a_replica_whose_agent_is_killed_while_it_is_restored(self):
        """The restore ends by itself, with the control file; the next Patroni takes the replica over."""
        self.two.start()
        pid = self.stop_midway(self.two)
        self.two.kill()
        self.two.start()
        self.await_said(self.two, HALF)
        os.kill(pid, signal.SIGCONT)
        self.await_replica()

    # ------------------------------------------------------------------------------------------ a new cluster

    def begin_new(self):
        end = self.one.sql("SELECT pg_current_wal_lsn()::text")[0][0]
        wait_until("durability", lambda: self.one.sql(
            "SELECT restart_lsn >= %s::pg_lsn FROM pg_replication_slots WHERE slot_name = 'aeterna'", end)[0][0], 30)
        self.one.stop()
        self.watching.send_signal(signal.SIGINT)
        self.watching.wait(timeout=30)
        return Member(self, "new", "new-3", self.from_repository(self.place / "data/new-3"), {}).start()

    def assert_led(self, member):
        wait_until("a primary", lambda: member.role() in ("master", "primary"), 60)
        self.await_rows(member, ROWS)
        self.assertEqual(member.sql("SELECT timeline_id FROM pg_control_checkpoint()")[0][0], 2)

    def etcd(self, call, **arguments):
        request = urllib.request.Request(f"http://{self.etcd_address}/v3/kv/{call}", json.dumps(
            {name: base64.b64encode(text.encode()).decode() for name, text in arguments.items()}).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def test_a_new_cluster_whose_restore_is_killed(self):
        """Patroni ends, as it does after each bootstrap that fails, and leaves the name free; started again, it begins anew."""
        three = self.begin_new()
        kill(self.stop_midway(three))
        self.assertNotEqual(three.process.wait(60), 0)
        self.assertIn("Failed to bootstrap cluster", three.said())
        self.assertFalse(three.data.exists())
        three.start()
        self.assert_led(three)

    def test_a_new_cluster_whose_restore_is_killed_with_its_agent(self):
        """Patroni starts nothing on the half. A person removes it, and the scope, as `patronictl remove` does."""
        three = self.begin_new()
        pid = self.stop_midway(three)
        three.kill()
        kill(pid)
        three.start()
        self.await_said(three, HALF)
        self.assertFalse((three.data / "postmaster.pid").exists())
        self.begin_again(three)

    def test_a_new_cluster_whose_agent_is_killed_while_it_is_restored(self):
        """As Debian's unit ends it, alone: a whole data directory would pass for one of a server that has crashed."""
        three = self.begin_new()
        pid = self.stop_midway(three)
        three.kill()
        three.start()
        self.await_said(three, HALF)
        os.kill(pid, signal.SIGCONT)
        wait_until("the end of the restore", lambda: not self.restores_into(Path(f"/proc/{pid}/cmdline"), three.data), 10)
        self.assertFalse((three.data / "global/pg_control").exists())
        self.begin_again(three)

    def test_a_new_cluster_whose_agent_is_killed_when_it_is_restored(self):
        """Before its server has replayed: without our recovery settings, as the Patroni that comes back starts it, it does not come up."""
        three = self.begin_new()
        pid = self.stop_midway(three)
        os.kill(pid, signal.SIGCONT)
        end = time.monotonic() + 60
        while not (three.data / "global/pg_control").exists():
            self.assertLess(time.monotonic(), end, three.tail())
            time.sleep(0.0005)
        three.kill()
        wait_until("the end of the restore", lambda: not self.restores_into(Path(f"/proc/{pid}/cmdline"), three.data), 10)
        three.start()
        self.assert_never_less(three, 30)
        self.begin_again(three)

    def assert_never_less(self, member, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self.assertEqual(member.rows(), ROWS, "who answers has what was asked for")
            except psycopg2.Error:
                pass
            time.sleep(0.2)

    def begin_again(self, member):
        """As a person does where a bootstrap has failed."""
        member.stop()
        shutil.rmtree(member.data)
        self.etcd("deleterange", key="/test/new/", range_end="/test/new0")
        member.start()
        self.assert_led(member)


del PatroniRestoringTest  # only its child is a test

if __name__ == "__main__":
    unittest.main()
