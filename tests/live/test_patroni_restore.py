"""Patroni starts what was restored: a new cluster out of the repository at a point in time (bootstrap.method), and replicas of a
running one (create_replica_methods)."""
import signal
import time
import unittest
from datetime import timedelta

from capturing import iso
from restoring_by_patroni import PatroniRestoringTest
from support import wait_until


class PatroniRestoreTest(PatroniRestoringTest):
    def test_a_replica_and_a_new_cluster(self):
        one, two = self.begin_cluster("old", 1, self.from_initdb)
        one.sql("CREATE TABLE ledger (id bigint PRIMARY KEY, filler text)")
        one.sql("INSERT INTO ledger SELECT n, 'before' FROM generate_series(1, 10) n")
        self.write_stack(one, two)
        watch = self.watch()
        wait_until("the slot", lambda: one.sql("SELECT 1 FROM pg_replication_slots WHERE slot_name = 'aeterna'"), 30)
        done = self.cli("--stack", self.stack, "backup", "postgres")
        self.assertEqual(done.code, 0, done)
        time.sleep(2.1)
        one.sql("INSERT INTO ledger SELECT n, 'after' FROM generate_series(11, 20) n")
        good = one.sql("SELECT clock_timestamp()")[0][0]
        # The replica comes out of the repository and follows.
        two.start()
        wait_until("the replica", lambda: two.role() == "replica", 90)
        self.assertIn("replica has been created using aeterna", two.said())
        self.await_rows(two, set(range(1, 21)))
        one.sql("INSERT INTO ledger VALUES (21, 'followed')")
        wait_until("a row that follows", lambda: 21 in two.rows(), 30)
        # Somebody drops everything.
        time.sleep(0.05)
        one.sql("DELETE FROM ledger")
        end = one.sql("SELECT pg_current_wal_lsn()::text")[0][0]
        wait_until("durability", lambda: one.sql("SELECT restart_lsn >= %s::pg_lsn FROM pg_replication_slots WHERE slot_name = 'aeterna'", end)[0][0], 30)
        for member in (two, one):
            member.stop()
        watch.send_signal(signal.SIGINT)
        watch.wait(timeout=30)
        when = iso(good + timedelta(milliseconds=10))
        three, four = self.begin_cluster("new", 3, lambda data: self.from_repository(data, when))
        # Patroni says that it is the primary while it still lets nobody in but itself.
        self.await_rows(three, set(range(1, 21)))
        self.assertEqual(three.sql("SHOW max_connections")[0][0], "120")
        self.assertEqual(three.sql("SELECT timeline_id FROM pg_control_checkpoint()")[0][0], 2)
        three.sql("INSERT INTO ledger VALUES (100, 'of the new cluster')")
        four.start()
        wait_until("its replica", lambda: four.role() == "replica", 90)
        self.assertIn("replica has been created using aeterna", four.said())
        self.await_rows(four, {*range(1, 21), 100})


del PatroniRestoringTest  # only its child is a test

if __name__ == "__main__":
    unittest.main()
