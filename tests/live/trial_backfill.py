"""Holes in the captured WAL on real servers: filled from a node that still has it, and said with both ends where none has."""
import signal
import time
import unittest
from datetime import timedelta

from capturing import MIB, iso, position
from restoring import RestoringTest
from support import wait_until

SEGMENT = 16 * MIB


class BackfillTest(RestoringTest):
    def said(self):
        return (self.room / "watch.log").read_text()

    def await_said(self, text, seconds=60):
        wait_until(f"'{text}'", lambda: text in self.said(), seconds)

    def segment_name(self, lsn):
        number = lsn // SEGMENT
        return f"00000001{number // 256:08X}{number % 256:08X}"

    def has_segment(self, server, lsn):
        return server.one("SELECT count(*) FROM pg_ls_waldir() WHERE name = %s", self.segment_name(lsn)) > 0

    def make_hole(self, *without_slot):
        """Nobody captures while rows 2 and 3 are written; where that begins, and when 2 had been committed."""
        self.watch()
        self.back_up()
        self.pass_checkpoint_time()
        self.insert(1)
        self.await_durable(self.primary)
        self.end_watch()
        begin = self.primary.end_of_wal()
        for server in without_slot:
            server.sql("SELECT pg_drop_replication_slot('aeterna')")
        time.sleep(0.02)
        two = self.insert(2)
        time.sleep(0.02)
        for _ in range(6):
            self.primary.sql("SELECT pg_switch_wal()")
            self.insert(int(self.primary.one("SELECT max(id) + 1 FROM ledger")))
        self.primary.sql("CHECKPOINT")
        self.assertFalse(self.has_segment(self.primary, begin), "the hole")
        return begin, two

    def test_a_standby_still_has_it(self):
        standby = self.standby_of(self.primary, "standby", "-c wal_keep_size=1GB")
        self.write_stack(self.primary, standby)
        begin, two = self.make_hole(self.primary)
        self.assertTrue(self.has_segment(standby, begin))
        self.watch()
        self.await_said("was missing and came from 'standby'")
        self.insert(100)
        self.await_durable(self.primary)
        self.assertIn("the other nodes are asked for it", self.said())
        self.assertNotIn("no node has it", self.said())
        self.assertEqual(self.rows_at(iso(two + timedelta(milliseconds=5))), {1, 2}, "a time inside the former hole")
        self.assertEqual(self.rows_at("latest"), {*range(1, 9), 100})
        (window,) = self.recovery_points()
        self.assertIsNone(window["not_restorable"])
        done = self.cli("repo", "check", "--read-data")
        self.assertEqual(done.code, 0, done)

    def test_nobody_has_the_beginning(self):
        self.primary.stop("fast")
        self.primary.options += " -c wal_keep_size=48MB"
        self.start(self.primary)
        begin, two = self.make_hole(self.primary)
        self.watch()
        self.await_said("is missing and no node has it")
        self.assertIn("was missing and came from 'primary'", self.said())
        self.insert(100)
        self.await_durable(self.primary)
        self.assert_refused(1, "lies in or behind that hole", iso(two + timedelta(milliseconds=5)))
        (window,) = self.recovery_points()
        gap = window["not_restorable"]
        self.assertLessEqual(position(gap["from"]), begin)
        self.assertIsNone(gap["to"])
        (missing,) = gap["missing"]
        end = position(missing.split(" to ")[1])
        self.assertEqual(end % SEGMENT, 0)
        self.assertTrue(self.has_segment(self.primary, end))
        self.assertFalse(self.has_segment(self.primary, end - 1))
        # A base backup behind it makes good for it, and the hole is history.
        self.back_up()
        self.await_said("a base backup lies behind them", 90)
        first, second = self.recovery_points()
        self.assertEqual(first["not_restorable"]["to"], second["from"])
        self.assertEqual(self.rows_at("latest"), {*range(1, 9), 100})

    def test_archive_push_fills_a_hole_in_its_segment(self):
        self.watch()
        self.back_up()
        for number in range(1, 4):
            self.insert(number)
            self.await_durable(self.primary)
        self.end_watch()
        lsn = self.primary.end_of_wal()
        self.primary.sql("SELECT pg_switch_wal()")
        log = next((self.repo / "logs").iterdir())
        pieces = sorted(path for path in log.iterdir() if len(path.name) == 16)
        pieces[-2].unlink()
        (window,) = self.recovery_points()
        self.assertIsNotNone(window["not_restorable"])
        name = self.segment_name(lsn)
        done = self.cli("archive-push", self.primary.data / "pg_wal" / name, name, "--data-directory", self.primary.data)
        self.assertEqual(done.code, 0, done)
        (window,) = self.recovery_points()
        self.assertIsNone(window["not_restorable"])
        self.assertEqual(self.rows_at("latest"), {1, 2, 3})

    def test_what_could_not_be_stored_is_no_success(self):
        self.watch()
        self.insert(0)
        self.await_durable(self.primary)
        mode = self.repo.stat().st_mode
        self.repo.chmod(0)
        self.addCleanup(self.repo.chmod, mode)
        self.insert(1)
        self.await_said("ermission")
        (watch,) = self.watches
        watch.send_signal(signal.SIGINT)
        self.assertEqual(watch.wait(60), 1, self.said())
        self.watches.clear()


if __name__ == "__main__":
    unittest.main()
