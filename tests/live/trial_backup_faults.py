"""What happens to a base backup or a restore when something breaks in the middle of it, each on real servers: a promotion, a
death, a full disk, a lost key, damage. Afterwards nothing half passes for a backup or a data directory, and the next try works."""
import contextlib
import os
import re
import random
import shutil
import signal
import subprocess
import time
import unittest
from datetime import timedelta
from pathlib import Path

import psycopg2

from capturing import ADDRESS, AS_SERVER, BINARIES, Server, as_server, iso, position
from restoring import RestoringTest
from support import damage, wait_until

SLOW = ("--max-rate", "4096")


class BackupFaultsTest(RestoringTest):
    def begin_backup(self, server):
        process = self.begin("backup", "postgres", "--node", server.name, *SLOW)
        wait_until("the copy", lambda: server.sql("SELECT 1 FROM pg_stat_progress_basebackup WHERE backup_streamed > 4000000"), 60)
        return process

    def assert_failed(self, process, text):
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1, err)
        said = [line for line in err.splitlines() if line.startswith("aeterna-dr:")]
        self.assertEqual(len(said), 1, err)
        self.assertIn(text, said[0])

    def assert_no_backup(self):
        self.assertEqual(self.cli("--json", "backups", "list").json()["backups"], [])
        checked = self.cli("repo", "check", "--read-data")
        self.assertEqual(checked.code, 0, checked)

    def replay_all(self, standby, end):
        wait_until("its replay", lambda: position(standby.one("SELECT pg_last_wal_replay_lsn()::text")) >= end, 60)

    # ------------------------------------------------------------------------------------------ promotions

    def test_a_replica_that_follows_a_promotion_while_it_is_copied(self):
        """The backup begins on one timeline and ends on the next one."""
        middle = self.standby_of(self.primary, "middle")
        last = self.standby_of(middle, "last")
        self.write_stack(self.primary, middle, last)
        self.watch()
        self.insert(1)
        self.replay_all(last, self.primary.end_of_wal())
        backup = self.begin_backup(last)
        middle.cut_off()
        self.primary.stop()
        middle.promote()
        self.insert(2, middle)
        # Only a restart point takes the end that the backup is given beyond the fork.
        middle.sql("CHECKPOINT")
        self.replay_all(last, middle.end_of_wal())
        last.sql("CHECKPOINT")
        out, err = backup.communicate(timeout=120)
        self.assertEqual(backup.returncode, 0, err)
        details = self.cli("--json", "backups", "list").json()["backups"]
        self.assertEqual(len(details), 1)
        self.insert(3, middle)
        self.await_durable(middle)
        self.assertEqual(self.rows_at("latest"), {1, 2, 3})
        backup_id = details[0]["id"]
        self.assertEqual(self.rows_at(backup_id), {1, 2})
        window, = self.recovery_points()
        self.assertEqual((window["timeline"], window["gap"]), (2, None))
        done = self.cli("repo", "prune", "--keep-last", "1")
        self.assertEqual(done.code, 0, done)
        self.assertEqual(self.rows_at("latest"), {1, 2, 3})
        middle.stop()

    def test_a_replica_that_is_promoted_while_it_is_copied(self):
        standby = self.standby_of(self.primary, "standby")
        self.write_stack(self.primary, standby)
        backup = self.begin_backup(standby)
        self.primary.stop()
        standby.promote()
        self.insert(1, standby)
        self.assert_failed(backup, "the standby was promoted during online backup")
        self.assert_no_backup()
        self.back_up("--node", "standby")
        self.assertEqual(self.rows_at("latest"), {1})

    # ------------------------------------------------------------------------------------------ deaths

    def test_a_primary_that_is_killed_while_it_is_copied(self):
        self.insert(1)
        backup = self.begin_backup(self.primary)
        os.kill(self.primary.pid(), signal.SIGKILL)
        self.assert_failed(backup, "connection")
        self.assert_no_backup()
        wait_until("the end of its processes", lambda: self.try_to_start(self.primary), 60)
        self.back_up()
        self.assertEqual(self.rows_at("latest"), {1})

    def try_to_start(self, server):
        try:
            self.start(server)
        except AssertionError:
            return False
        return True

    def kill_at_any_moment(self, chance, times, latest, *words):
        """Backups that are begun and killed after 0.05 to `latest` seconds."""
        for _ in range(times):
            process = self.begin("backup", "postgres", *words)
            try:
                process.wait(chance.uniform(0.05, latest))
            except subprocess.TimeoutExpired:
                pass
            process.kill()
            process.communicate()

    def test_killed_at_any_moment_a_backup_is_whole_or_none(self):
        self.primary.sql("INSERT INTO ledger SELECT n, repeat(md5(n::text), 20) FROM generate_series(1, 20000) n")
        self.kill_at_any_moment(random.Random(6), 5, 1.2, "--max-rate", "32768")
        done = self.cli("repo", "check", "--read-data")
        self.assertEqual(done.code, 0, done)
        wait_until("the end of its slots", lambda: not self.primary.sql("SELECT 1 FROM pg_replication_slots"), 30)
        for backup in self.cli("--json", "backups", "list").json()["backups"]:
            self.assertEqual(len(self.rows_at(backup["id"])), 20000)
        self.back_up()
        self.assertEqual(len(self.rows_at("latest")), 20000)

    def fetching(self):
        """Pids of the programs that bring a segment to a server of this test."""
        found = []
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0") if entry.isdigit() else []
                if b"archive-get" in words and str(self.repo).encode() in words:
                    found.append(int(entry))
        return found

    def test_a_killed_archive_get_is_no_end_of_the_wal(self):
        self.watch()
        self.back_up()
        for number in range(1, 5):
            self.write_noise(number)
        self.insert(200001)
        self.await_durable(self.primary)
        server = self.make_server("restored")
        done = self.cli("restore", "postgres", "--to", "latest", "--into", server.data)
        self.assertEqual(done.code, 0, done)
        ended = 0
        while ended < 5:
            as_server(BINARIES / "pg_ctl", "-D", server.data, "-l", self.room / "restored.log", "-W", "start", "-o",
                      f"-h {ADDRESS} -p {server.port} -c unix_socket_directories=''")
            wait_until("a segment that is being fetched", lambda: self.kill(self.fetching()), 30, every=0)
            # The shell between tells 137: above 125, so that the server ends (xlogarchive.c).
            wait_until("the server's end", lambda: not (server.data / "postmaster.pid").exists(), 60)
            ended += 1
            self.assertTrue((server.data / "recovery.signal").exists())
        self.assertIn("child process exited with exit code 137", self.log(server))
        self.start(server)
        wait_until("the end of recovery", lambda: not server.one("SELECT pg_is_in_recovery()"), 60)
        self.assertEqual(server.rows(), self.primary.rows())

    def kill(self, pids):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pids

    def test_killed_at_any_moment_a_dump_is_whole_or_none(self):
        self.primary.sql("INSERT INTO ledger SELECT n, repeat(md5(n::text), 20) FROM generate_series(1, 50000) n")
        self.kill_at_any_moment(random.Random(7), 8, 0.8, "--logical")
        self.assert_dumps_end()
        done = self.cli("repo", "check", "--read-data")
        self.assertEqual(done.code, 0, done)
        backups = self.cli("--json", "backups", "list").json()["backups"]
        done = self.cli("--json", "backup", "postgres", "--logical")
        self.assertEqual(done.code, 0, done)
        for number, backup in enumerate([*backups, done.json()["backup"]]):
            self.assert_dump_loads(backup["id"], f"loaded_{number}")

    def test_killed_while_it_waits_for_a_table_a_dump_is_none(self):
        holder = self.kill_a_waiting_dump()
        self.assert_no_backup()
        holder.rollback()
        self.assert_dumps_end()
        done = self.cli("--json", "backup", "postgres", "--logical")
        self.assertEqual(done.code, 0, done)
        self.assert_dump_loads(done.json()["backup"]["id"], "loaded")

    def test_killed_while_it_waits_for_a_table_a_dump_ends_with_us(self):
        self.kill_a_waiting_dump()
        self.assert_dumps_end()

    def kill_a_waiting_dump(self):
        """Whose transaction keeps the table from it, still."""
        self.insert(1)
        holder = self.primary.connect()
        self.addCleanup(holder.close)
        holder.autocommit = False
        with holder.cursor() as cursor:
            cursor.execute("LOCK TABLE ledger IN ACCESS EXCLUSIVE MODE")
        process = self.begin("backup", "postgres", "--logical")
        wait_until("the dump's wait", lambda: self.primary.sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"), 60)
        self.assertEqual(len(self.pg_dumps()), 1)
        process.kill()
        process.communicate()
        return holder

    def pg_dumps(self):
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = path.read_bytes()
                if b"pg_dump" in words.split(b"\0")[0] and f"port={self.primary.port}".encode() in words:
                    found.append(path)
        return found

    def assert_dumps_end(self):
        wait_until("the end of pg_dump", lambda: not self.pg_dumps(), 30)

    def assert_dump_loads(self, backup, name):
        done = self.cli("restore", "postgres", "--to", backup, "--database", "postgres", "--into",
                        f"postgresql://postgres@{ADDRESS}:{self.primary.port}/{name}")
        self.assertEqual(done.code, 0, done)
        connection = psycopg2.connect(self.primary.dsn().replace("dbname=postgres", f"dbname={name}"))
        self.addCleanup(connection.close)
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM ledger")
            self.assertEqual(cursor.fetchone()[0], self.primary.one("SELECT count(*) FROM ledger"))

    # ------------------------------------------------------------------------------------------ full disks

    @unittest.skipUnless(AS_SERVER, "root alone can mount")
    def test_a_full_disk_of_the_repository(self):
        self.primary.sql("INSERT INTO ledger SELECT n, (SELECT string_agg(md5(random()::text || n || i), '') FROM generate_series(1, 20) i) "
                         "FROM generate_series(1, 40000) n")
        small = self.small_disk("small", "size=8m,mode=0755")
        self.repo, self.key = small / "repo", self.place / "second key"
        self.assertEqual(self.cli("repo", "init").code, 0)
        done = self.cli("backup", "postgres")
        self.assertEqual(done.code, 1, done)
        self.assertIn("no space", done.err.lower())
        self.assert_no_backup()
        subprocess.run(["mount", "-o", "remount,size=200m", small], check=True)
        self.back_up()
        self.assertEqual(len(self.rows_at("latest")), 40000)

    @unittest.skipUnless(AS_SERVER, "root alone can mount")
    def test_a_full_disk_of_the_repository_under_the_capture(self):
        """The slot stays where the repository ends, so nothing is lost when there is room again."""
        small = self.small_disk("small", "size=64m,mode=0755")
        self.repo, self.key = small / "repo", self.place / "second key"
        self.assertEqual(self.cli("repo", "init").code, 0)
        self.watch()
        self.back_up()
        self.fill(small, 4 << 20)
        self.write_noise(1)
        wait_until("that it is told", lambda: "no space" in self.said().lower(), 60)
        held = self.primary.held_from()
        self.write_noise(2)
        time.sleep(15)  # the receiver begins anew meanwhile, with as little room
        self.assertLess(held, self.primary.end_of_wal() - (8 << 20))
        self.assertLess(self.primary.held_from(), self.primary.end_of_wal() - (8 << 20))
        self.assertIsNone(self.watches[0].poll())
        (small / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,size=400m", small], check=True)
        self.insert(-1)
        self.await_durable(self.primary)
        self.assertNotIn("hole", self.said())
        self.assertEqual(self.rows_at("latest"), self.primary.rows())
        self.assertEqual(self.cli("repo", "check", "--read-data").code, 0)

    def said(self):
        return (self.room / "watch.log").read_text()

    def needed_bytes(self, words):
        return int(re.search(r"needs (\d+) bytes", self.cli(*words).err).group(1))

    @unittest.skipUnless(AS_SERVER, "root alone can mount")
    def test_a_full_disk_of_the_target(self):
        self.insert(1)
        self.watch()
        self.back_up()
        small = self.small_disk("small", "size=8m,mode=0755")
        words = ("restore", "postgres", "--into", small / "data")
        done = self.cli(*words)
        self.assertEqual((done.code, os.listdir(small)), (1, []), done)
        self.assertIn("bytes and has", done.err)
        self.fill(small, 0)
        done = self.cli(*words)
        self.assertEqual(done.code, 1, done)
        self.assertIn("bytes and has 0", done.err)
        os.unlink(small / "ballast")
        # The WAL to be replayed needs room as well.
        without_wal = self.needed_bytes(words)
        self.write_noise(1)
        self.await_durable(self.primary)
        self.assertGreater(self.needed_bytes(words), without_wal + (16 << 20))
        subprocess.run(["mount", "-o", f"remount,size={without_wal + (8 << 20)}", small], check=True)
        done = self.cli(*words)
        self.assertEqual((done.code, os.listdir(small)), (1, []), done)
        self.primary.sql("DELETE FROM ledger WHERE id <> 1")
        self.await_durable(self.primary)
        # Now it runs out in the middle, of inodes: that many nobody counts before.
        subprocess.run(["mount", "-o", "remount,size=200m,nr_inodes=300", small], check=True)
        done = self.cli(*words)
        self.assertEqual(done.code, 1, done)
        self.assertIn("no space", done.err.lower())
        self.assertFalse((small / "data/global/pg_control").exists())
        refused = as_server(BINARIES / "pg_ctl", "-D", small / "data", "-w", "start")
        self.assertNotEqual(refused.code, 0)
        subprocess.run(["mount", "-o", "remount,nr_inodes=100000", small], check=True)
        done = self.cli(*words)
        self.assertEqual(done.code, 0, done)
        server = Server(small, "data")
        self.addCleanup(server.stop)
        self.start(server)
        self.assertEqual(server.rows(), {1})
        server.stop()

    @unittest.skipUnless(AS_SERVER, "root alone can mount")
    def test_a_full_disk_of_the_source(self):
        """A server whose WAL has no room panics, and takes the backup along."""
        small = self.small_disk("small", "size=150m,mode=0755")
        source = Server(small, "data")
        self.addCleanup(source.stop)
        source.initialise()
        self.start(source)
        source.sql("CREATE TABLE ledger (id bigint PRIMARY KEY, filler text)")
        self.write_stack(source)
        backup = self.begin_backup(source)
        (small / "ballast").write_bytes(b"")
        with self.assertRaises(psycopg2.Error):
            with open(small / "ballast", "wb") as ballast, source.connect() as connection, connection.cursor() as cursor:
                for number in range(10000):
                    try:
                        ballast.write(bytes(1 << 20))
                        ballast.flush()
                    except OSError:
                        pass
                    cursor.execute("INSERT INTO ledger SELECT n, repeat(md5(n::text), 60) FROM generate_series(%s, %s) n",
                                   (number * 100, number * 100 + 99))
        out, err = backup.communicate(timeout=120)
        os.unlink(small / "ballast")
        # PostgreSQL may also have refused the rows alone, where the table and not the WAL came first.
        if backup.returncode == 0:
            self.assertEqual(len(self.cli("--json", "backups", "list").json()["backups"]), 1)
        else:
            self.assertEqual(backup.returncode, 1, err)
            self.assert_no_backup()
        source.stop("fast")
        wait_until("its start", lambda: self.try_to_start(source), 60)
        self.back_up()
        self.assertEqual(self.rows_at("latest"), source.rows())

    # ------------------------------------------------------------------------------------------ keys and damage

    def test_a_missing_and_a_wrong_key(self):
        self.insert(1)
        self.watch()
        self.back_up()
        self.await_durable(self.primary)
        right, self.key = self.key, self.place / "another key"
        self.assert_refused(2, "another key", "latest")
        self.assertFalse(self.key.exists())
        as_server("dd", "if=/dev/urandom", f"of={self.key}", "bs=32", "count=1")
        self.assert_refused(12, "key", "latest")
        self.key = right
        server, _ = self.restore("latest")
        server.stop()
        # A key that goes after the restore: the server asks for WAL, and ends instead of promoting too early.
        into = self.make_server("without key")
        self.assertEqual(self.cli("restore", "postgres", "--to", "latest", "--into", into.data).code, 0)
        right.rename(self.place / "hidden")
        with self.assertRaises(AssertionError):
            self.start(into)
        self.assertTrue((into.data / "recovery.signal").exists())
        (self.place / "hidden").rename(right)
        self.start(into)
        self.assertEqual(into.rows(), {1})

    def test_damage_is_met_in_the_middle_of_a_restore(self):
        self.primary.sql("INSERT INTO ledger SELECT n, repeat(md5(n::text), 20) FROM generate_series(1, 20000) n")
        backup = self.back_up()
        pack = damage(self.repo)
        into = self.make_server("damaged")
        done = self.cli("restore", "postgres", "--into", into.data)
        self.assertEqual(done.code, 1, done)
        said, hint = [line for line in done.err.splitlines() if line.startswith(("aeterna-dr:", "  "))][-2:]
        self.assertIn("base/", said)
        self.assertIn(pack.name, said)
        self.assertIn("repo check", hint)
        self.assertFalse((into.data / "global/pg_control").exists())
        refused = as_server(BINARIES / "pg_ctl", "-D", into.data, "-w", "start")
        self.assertNotEqual(refused.code, 0)
        self.assertIn(backup["id"], self.cli("backups", "list").out)
        # What is damaged is stored anew as soon as it is known.
        self.assertEqual(self.cli("repo", "check", "--read-data").code, 1)
        self.back_up()
        self.assertEqual(len(self.rows_at("latest")), 20000)

    # ------------------------------------------------------------------------------------------ tablespaces

    def test_a_tablespace_that_was_made_behind_the_backup(self):
        """Its directory is in the WAL, as it was: a copy that replays this on the same machine would write into the live server's."""
        self.watch()
        self.back_up()
        self.pass_checkpoint_time()
        before = self.insert(1)
        time.sleep(0.05)
        self.insert(2)  # up to this commit everything is replayed that is not later than `before`
        live = self.room / "live space"  # PostgreSQL takes no quote in it
        live.mkdir()
        if AS_SERVER:
            shutil.chown(live, "postgres", "postgres")
        self.primary.sql("CREATE TABLESPACE aside LOCATION %s", str(live))
        self.primary.sql("CREATE TABLE kept (id bigint, filler text) TABLESPACE aside")
        self.primary.sql("INSERT INTO kept SELECT n, 'early' FROM generate_series(1, 1000) n")
        early = self.primary.end_of_wal()
        self.primary.sql("UPDATE kept SET filler = 'late'")
        self.primary.sql("CHECKPOINT")
        self.await_durable(self.primary)
        to = f"lsn:{early >> 32:X}/{early & 0xffffffff:X}"
        done = self.cli("restore-test", "postgres", "--work", self.room, "--to", to)
        self.primary.stop("fast")
        self.start(self.primary)  # what it reads now is what lies on the disk
        self.assertEqual(self.primary.sql("SELECT count(*), min(filler), max(filler) FROM kept"), [(1000, "late", "late")])
        why = f"the WAL on the way makes a tablespace in '{live}', which is in use on this machine"
        self.assertEqual(done.code, 5, done)
        self.assertIn(why, done.err)
        self.assert_refused(5, why, to)
        self.assert_refused(5, why, "latest")
        self.assertEqual(self.rows_at(iso(before + timedelta(milliseconds=20))), {1}, "before it was made")
        self.back_up()
        oid = self.primary.one("SELECT oid FROM pg_tablespace WHERE spcname = 'aside'")
        server, _ = self.restore("latest", "--tablespace", f"{oid}={self.room / 'another space'}")
        self.assertEqual(server.one("SELECT count(*) FROM kept WHERE filler = 'late'"), 1000)
        server.sql("UPDATE kept SET filler = 'of the copy'")
        server.stop("fast")
        self.assertEqual(self.primary.one("SELECT count(*) FROM kept WHERE filler = 'late'"), 1000)

    def test_a_tablespace_that_was_made_while_the_backup_was_taken(self):
        """Its server replays the backup's own WAL, whatever the log has."""
        live = self.room / "live space"
        live.mkdir()
        if AS_SERVER:
            shutil.chown(live, "postgres", "postgres")
        why = f"the WAL on the way makes a tablespace in '{live}', which is in use on this machine"
        taking = self.begin_backup(self.primary)
        self.primary.sql("CREATE TABLESPACE aside LOCATION %s", str(live))
        self.primary.sql("CREATE TABLE kept (id bigint) TABLESPACE aside")
        self.assertEqual(len(self.primary.sql("SELECT 1 FROM pg_stat_progress_basebackup")), 1, "it was over too early")
        _, err = taking.communicate(timeout=120)
        self.assertEqual(taking.returncode, 0, err)
        backup = self.cli("--json", "backups", "list").json()["backups"][0]["id"]
        self.assert_refused(5, why, backup)
        self.assert_refused(5, why, "latest")
        self.watch()
        self.insert(1)
        self.await_durable(self.primary)
        self.assert_refused(5, why, "latest")
        self.assertEqual(self.cli("restore-test", "postgres", "--work", self.room, "--to", backup).code, 5)

    # ------------------------------------------------------------------------------------------ another cluster

    def test_a_cluster_that_was_made_anew_under_the_same_name(self):
        """The repository has WAL and backups of both, and mixes nothing."""
        self.watch()
        self.back_up()
        self.pass_checkpoint_time()
        of_the_old = self.write_around_a_time(1)
        self.await_durable(self.primary)
        self.end_watch()
        self.primary.stop("fast")
        old = self.primary
        self.primary = self.make_server("anew")
        self.primary.initialise()
        self.primary.options = old.options
        self.start(self.primary)
        self.primary.sql("CREATE TABLE ledger (id bigint PRIMARY KEY, filler text)")
        self.write_stack(self.primary)
        self.watch_the_new_cluster()
        of_the_new = self.write_around_a_time(1003)
        self.await_durable(self.primary)
        self.assertEqual(self.rows_at("latest"), {1003, 1004})
        self.assertEqual(self.rows_at(of_the_new), {1003})
        self.assertEqual(self.rows_at(of_the_old), {1})


if __name__ == "__main__":
    unittest.main()
