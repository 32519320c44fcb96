"""What goes wrong with a server's WAL before anybody misses it, each on real servers: a slot that lost it, an archiver that fails, a
pg_wal that grows, another cluster's WAL. `serve` says it, and the capture says what it cost."""
import re
import shutil
import subprocess
import time
import unittest
from datetime import timedelta

from capturing import ADDRESS, AS_SERVER, MIB, free_port, iso, position
from restoring import RestoringTest
from support import wait_until

SEGMENT = 16 * MIB
LOST_SLOTS = "SELECT count(*) FROM pg_replication_slots WHERE wal_status = 'lost'"


class CaptureDetectorsTest(RestoringTest):
    """The servers are watched by a `serve` that captures nothing: who captures, or does not, is the test's choice."""

    def serve(self):
        with open(self.stack, "a") as file:
            file.write(f"serve: {{listen: '{ADDRESS}:{free_port()}'}}\n")
        log = open(self.room / "serve.log", "w")
        self.addCleanup(log.close)
        process = subprocess.Popen([*AS_SERVER, *map(str, self.arguments("serve"))], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                   cwd="/", env={"PATH": "/usr/bin:/bin", **self.environment})

        def end():
            process.terminate()
            process.wait(30)
        self.addCleanup(end)
        wait_until("serve's answer", lambda: self.status()["watcher"] == "serve", 30)

    def status(self):
        done = self.cli("--json", "status")
        assert done.out, (done, (self.room / "serve.log").read_text()[-2000:])
        return done.json()

    def incidents(self):
        return {(one["detector"], one["subject"]): one for one in self.status()["incidents"] if one["state"] == "open"}

    def await_incident(self, detector, server, seconds=90):
        incident = wait_until(f"{detector} of {server.name}", lambda: self.incidents().get((detector, server.name)), seconds)
        return incident["summary"] + "\n" + "\n".join(incident["reasons"])

    def await_no_incident(self, detector, server, seconds=60):
        wait_until(f"the end of {detector}", lambda: (detector, server.name) not in self.incidents(), seconds)

    def restart(self, options):
        self.primary.stop("fast")
        self.primary.options += " " + options
        self.start(self.primary)

    def said(self):
        return (self.room / "watch.log").read_text()

    def await_said(self, text, seconds=60):
        wait_until(f"'{text}'", lambda: text in self.said(), seconds)

    def write_segments(self, count):
        """As much WAL, a row in each segment."""
        for _ in range(count):
            self.primary.sql("SELECT pg_switch_wal()")
            self.insert(self.primary.one("SELECT max(id) + 1 FROM ledger"))

    # ------------------------------------------------------------------------------------------ a slot that lost its WAL

    def lose_the_slot(self):
        """Nobody captures while the server removes what the slot held; when row 2, the first behind the end of the capture, had been
        committed."""
        self.watch()
        self.back_up()
        self.pass_checkpoint_time()
        self.insert(1)
        self.await_durable(self.primary)
        self.end_watch()
        time.sleep(0.02)
        two = self.insert(2)
        time.sleep(0.02)
        self.assertNotIn(("postgres.slot_lost", "primary"), self.incidents())
        self.write_segments(6)
        self.primary.sql("CHECKPOINT")
        self.assertEqual(self.primary.one(LOST_SLOTS), 1)
        self.assertIn("aeterna", self.await_incident("postgres.slot_lost", self.primary, 30))
        return two

    def test_a_lost_slot_whose_wal_nobody_has(self):
        self.restart("-c max_slot_wal_keep_size=32MB")
        self.serve()
        begin = self.primary.end_of_wal()
        two = self.lose_the_slot()
        self.watch()
        self.await_said("is missing and no node has it")
        self.await_no_incident("postgres.slot_lost", self.primary)
        self.assertEqual(self.primary.one(LOST_SLOTS), 0)
        self.insert(100)
        self.await_durable(self.primary)  # it goes on behind the hole
        self.assert_refused(1, "lies in or behind that hole", iso(two + timedelta(milliseconds=5)))
        (window,) = self.recovery_points()
        (missing,) = window["not_restorable"]["missing"]
        self.assertIn(missing, self.said())
        first, last = map(position, re.findall(r"[0-9A-F]+/[0-9A-F]+", missing))
        self.assertLessEqual(begin, first)
        self.assertEqual(last % SEGMENT, 0, "the first segment that the server still had")
        self.assertEqual(self.cli("repo", "check").code, 0, "a hole is no damage")
        self.back_up()
        self.await_said("a base backup lies behind them", 90)
        self.assertEqual(self.rows_at("latest"), self.primary.rows())
        self.assertEqual(self.recovery_points()[-1]["not_restorable"], None)

    def test_a_lost_slot_whose_wal_a_standby_has(self):
        standby = self.standby_of(self.primary, "standby")
        standby.stop("fast")
        standby.options += " -c wal_keep_size=1GB"
        self.start(standby)
        self.restart("-c max_slot_wal_keep_size=32MB")
        self.write_stack(self.primary, standby)
        self.serve()
        two = self.lose_the_slot()
        self.watch()
        self.await_said("was missing and came from 'standby'")
        self.await_no_incident("postgres.slot_lost", self.primary)
        self.insert(100)
        self.await_durable(self.primary)
        self.assertNotIn("no node has it", self.said())
        self.assertEqual(self.rows_at(iso(two + timedelta(milliseconds=5))), {1, 2}, "a time inside the former hole")
        self.assertEqual(self.rows_at("latest"), self.primary.rows())

    # ------------------------------------------------------------------------------------------ archiver, growth

    def fail_to_archive(self):
        """The segment that stays behind."""
        self.restart("-c archive_mode=on")
        self.archive_by("false")
        self.serve()
        self.insert(1)
        segment = self.primary.one("SELECT pg_walfile_name(pg_switch_wal())")
        wait_until("a failure", lambda: self.primary.one("SELECT failed_count FROM pg_stat_archiver"), 60)
        return segment

    def test_a_segment_that_the_archive_has_with_other_content(self):
        """Of a server that went on by itself under the same name, or of a copy that lied: never replaced, and somebody is told."""
        segment = self.fail_to_archive()
        live = self.primary.data / "pg_wal" / segment
        other = self.place / segment
        other.write_bytes(live.read_bytes()[:-1] + b"x")
        shutil.chown(other, "postgres") if AS_SERVER else None
        done = self.cli("archive-push", other, segment, "--data-directory", self.primary.data)
        self.assertEqual(done.code, 0, done)
        done = self.cli("archive-push", live, segment, "--data-directory", self.primary.data)
        self.assertNotEqual(done.code, 0, done)
        self.assertIn(f"other WAL than '{segment}'", done.err)
        tried = self.primary.one("SELECT failed_count FROM pg_stat_archiver")
        self.archive_by()
        wait_until("a refusal", lambda: self.primary.one("SELECT failed_count FROM pg_stat_archiver") > tried, 90)
        self.assertIn(segment, self.await_incident("postgres.archiver_failing", self.primary))
        self.assertIn(f"other WAL than '{segment}'", (self.room / "primary.log").read_text())
        fetched = self.place / "fetched"
        done = self.cli("archive-get", segment, fetched, "--cluster", self.system_of(self.primary))
        self.assertEqual((done.code, fetched.read_bytes() == other.read_bytes()), (0, True), done)
        self.assertTrue(live.exists(), "the server keeps its own")

    def test_an_archiver_that_fails(self):
        segment = self.fail_to_archive()
        self.assertIn(segment, self.await_incident("postgres.archiver_failing", self.primary))
        # Mended, it archives what it has kept.
        self.archive_by()
        wait_until("the segment in the archive", lambda: (self.primary.one("SELECT last_archived_wal FROM pg_stat_archiver") or "") >= segment, 90)
        self.await_no_incident("postgres.archiver_failing", self.primary)
        fetched = self.place / "fetched"
        done = self.cli("archive-get", segment, fetched, "--cluster", self.system_of(self.primary))
        self.assertEqual(done.code, 0, done)
        self.assertEqual(fetched.stat().st_size, SEGMENT)

    def test_wal_that_nobody_reads_piles_up(self):
        """Twice what max_wal_size says is more than a calm server has; the test's server may have 64 MB."""
        self.serve()
        self.insert(1)
        self.primary.sql("SELECT pg_create_physical_replication_slot('forgotten', true)")
        self.write_segments(7)
        self.primary.sql("CHECKPOINT")
        in_wal = "SELECT sum(size) FROM pg_ls_waldir()"
        self.assertLess(self.primary.one(in_wal), 128 * MIB + SEGMENT)
        self.write_segments(3)
        self.assertGreater(self.primary.one(in_wal), 128 * MIB)
        said = self.await_incident("postgres.wal_growth", self.primary, 120)
        self.assertIn("slot 'forgotten' holds", said)
        self.assertIn("is 128 MiB", said)
        self.primary.sql("SELECT pg_drop_replication_slot('forgotten')")
        for _ in range(2):
            self.primary.sql("CHECKPOINT")
        self.await_no_incident("postgres.wal_growth", self.primary)

    # ------------------------------------------------------------------------------------------ another cluster

    def system_of(self, server):
        return str(server.one("SELECT system_identifier FROM pg_control_system()"))

    def test_another_clusters_wal(self):
        """Nothing of it gets in unasked, by whatever door, and what is there is not taken for its own."""
        self.watch()
        self.back_up()
        self.insert(1)
        self.await_durable(self.primary)
        self.end_watch()
        other = self.make_server("other")
        other.initialise()
        self.start(other)
        self.write_stack(other)
        ours, theirs = self.system_of(self.primary), self.system_of(other)
        clusters = f"the repository has WAL of the cluster '{ours}', '%s' belongs to the cluster '{theirs}'"
        logs = sorted(path.name for path in (self.repo / "logs").iterdir())

        watch = self.begin("backup", "watch")
        _, err = watch.communicate(timeout=60)
        self.assertEqual(watch.returncode, 5, err)
        self.assertIn(clusters % "other", err)

        segment = other.one("SELECT pg_walfile_name(pg_switch_wal())")
        copy = self.place / segment  # the server recycles its own
        shutil.copy(other.data / "pg_wal" / segment, copy)
        copy.chmod(0o644)
        push = ("archive-push", copy, segment, "--data-directory")
        done = self.cli(*push, other.data)
        self.assertEqual(done.code, 5, done)
        self.assertIn(clusters % segment, done.err)
        done = self.cli(*push, self.primary.data)
        self.assertEqual(done.code, 5, done)
        self.assertIn(f"'{segment}' is of the cluster '{theirs}', not of '{ours}'", done.err)
        self.assertEqual(sorted(path.name for path in (self.repo / "logs").iterdir()), logs)

        done = self.cli("archive-get", segment, self.place / "nothing", "--cluster", theirs)
        self.assertEqual(done.code, 255, "1 would end a recovery in good faith")
        self.assertIn(f"the repository has no WAL of the cluster '{theirs}'", done.err)
        other.stop("fast")
        done = self.cli("restore", "postgres", "--to", "latest", "--into", other.data, "--delta", "--yes")
        self.assertEqual(done.code, 5, done)
        self.assertIn(f"is of the cluster {theirs}, the backup of {ours}", done.err)
        self.assert_refused(1, f"there is no base backup of the cluster '{theirs}'", "latest", "--cluster", theirs)
        self.start(other)  # it was left as it was
        self.assertEqual(self.rows_at("latest"), {1})

        done = self.cli(*push, other.data, "--new-cluster")
        self.assertEqual(done.code, 0, done)
        done = self.cli(*push, other.data)
        self.assertEqual(done.code, 0, "it is known now: %r" % done)
        self.assertEqual(self.rows_at("latest"), {1})
        self.assertEqual(self.cli("repo", "check", "--read-data").code, 0)


if __name__ == "__main__":
    unittest.main()
