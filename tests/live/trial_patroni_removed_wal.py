"""Replicas under Patroni that need WAL which the primary has removed: restore_command brings it out of the repository."""
import json
import shutil
import time
import unittest
import urllib.request

from restoring_by_patroni import PatroniRestoringTest
from support import wait_until


class RemovedWalTest(PatroniRestoringTest):
    def replica_methods(self, member_data):
        return {**super().replica_methods(member_data), "recovery_conf": {"restore_command": self.command("archive-get", "%f", "%p")}}

    def keep_little_wal(self, member):
        change = {"postgresql": {"parameters": {"wal_keep_size": "16MB", "min_wal_size": "32MB", "max_wal_size": "32MB"}}}
        request = urllib.request.Request(f"http://{member.rest}/config", json.dumps(change).encode(), method="PATCH",
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            self.assertEqual(answer.status, 200)
        wait_until("the setting", lambda: member.sql("SHOW wal_keep_size")[0][0] == "16MB", 60)

    def segments(self, member):
        return {row[0] for row in member.sql("SELECT name FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'")}

    def leave_behind(self, member, number):
        """Rows in segments of their own, until the one that was current is gone; the captured end of it all."""
        needed = member.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")[0][0]

        def is_removed():
            member.sql("INSERT INTO ledger SELECT n, 'later' FROM generate_series(%s::bigint, %s) n ON CONFLICT DO NOTHING", number, number + 9)
            member.sql("SELECT pg_switch_wal()")
            member.sql("CHECKPOINT")
            return needed not in self.segments(member)
        wait_until(f"the removal of {needed}", is_removed, 90)
        end = member.sql("SELECT pg_current_wal_lsn()::text")[0][0]
        wait_until("durability", lambda: member.sql("SELECT restart_lsn >= %s::pg_lsn FROM pg_replication_slots WHERE slot_name = 'aeterna'",
                                                    end)[0][0], 30)
        return needed

    def await_replica(self, member, rows):
        wait_until("the replica", lambda: member.role() == "replica", 90)
        self.await_rows(member, rows)

    def test_a_replica_that_was_away_and_one_that_is_made_anew(self):
        one, two = self.begin_cluster("old", 1, self.from_initdb)
        one.sql("CREATE TABLE ledger (id bigint PRIMARY KEY, filler text)")
        one.sql("INSERT INTO ledger SELECT n, 'before' FROM generate_series(1, 10) n")
        self.keep_little_wal(one)
        self.write_stack(one, two)
        self.watch()
        wait_until("the slot", lambda: one.sql("SELECT 1 FROM pg_replication_slots WHERE slot_name = 'aeterna'"), 30)
        done = self.cli("--stack", self.stack, "backup", "postgres")
        self.assertEqual(done.code, 0, done)
        time.sleep(2.1)
        two.start()
        self.await_replica(two, set(range(1, 11)))
        two.stop()
        # Its slot goes with its key.
        wait_until("the end of its slot", lambda: not one.sql("SELECT 1 FROM pg_replication_slots WHERE slot_name <> 'aeterna'"), 60)
        needed = self.leave_behind(one, 11)
        before = len(two.said())
        two.start()
        self.await_replica(two, set(range(1, 21)))
        self.assertIn(f'restored log file "{needed}" from archive', two.said()[before:])
        two.stop()
        shutil.rmtree(two.data)
        wait_until("the end of its slot", lambda: not one.sql("SELECT 1 FROM pg_replication_slots WHERE slot_name <> 'aeterna'"), 60)
        needed = self.leave_behind(one, 21)
        before = len(two.said())
        two.start()
        self.await_replica(two, set(range(1, 31)))
        self.assertIn("replica has been created using aeterna", two.said()[before:])
        self.assertIn(f'restored log file "{needed}" from archive', two.said()[before:])
        one.sql("INSERT INTO ledger VALUES (100, 'streamed')")
        self.await_rows(two, {*range(1, 31), 100})


del PatroniRestoringTest  # only its child is a test

if __name__ == "__main__":
    unittest.main()
