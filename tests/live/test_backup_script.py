"""infrastructure/ha/backups/backup-postgres.sh against a real PostgreSQL: as archive_command, for base backups and dumps, cleanup and
verify. Each test is one that a script which copies files by name, counts them and deletes the old ones would fail."""
import os
import random
import shutil
import signal
import subprocess
import unittest

from servers import AS_OWNER, BIN, Server, command, make_place, make_room
from support import PROGRAM, ROOT, Done, damage, wait_until

SCRIPT = ROOT / "infrastructure" / "ha" / "backups" / "backup-postgres.sh"


@unittest.skipUnless((BIN / "postgres").exists(), "no PostgreSQL 15 on this machine")
class BackupScriptTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        make_place(cls)
        # The server's user runs the script, so all of it lies where that user reaches it.
        for source in (SCRIPT, PROGRAM):
            shutil.copy(source, cls.place)
        cls.host = f"127.0.77.{random.randrange(1, 250)}"
        cls.server = Server(cls.place, "a", cls.host)
        command(BIN / "initdb", "-D", cls.server.data, "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C.UTF-8")
        with open(cls.server.data / "pg_hba.conf", "a") as hba:
            hba.write("host all all 127.0.0.0/8 scram-sha-256\nhost replication all 127.0.0.0/8 scram-sha-256\n")
        cls.server.start()
        cls.addClassCleanup(cls.server.stop, "immediate")
        cls.server.psql("CREATE ROLE keeper SUPERUSER LOGIN PASSWORD 'keeps'")
        cls.server.psql("CREATE DATABASE aeterna")
        cls.server.psql("CREATE TABLE memories AS SELECT generate_series(1, 1000) AS n", "aeterna")
        text = (cls.server.data / "pg_hba.conf").read_text()
        (cls.server.data / "pg_hba.conf").write_text("host all keeper 127.0.0.0/8 scram-sha-256\n"
                                                     "host replication keeper 127.0.0.0/8 scram-sha-256\n" + text)
        cls.server.psql("SELECT pg_reload_conf()")

    def setUp(self):
        make_room(self)
        self.environment = {
            "AETERNA_DR": str(self.place / PROGRAM.name), "S3_BUCKET": str(self.room / "repo"), "AETERNA_DR_KEY_FILE": str(self.room / "key"),
            "STATE_DIRECTORY": str(self.room / "state"), "LOG_DIR": str(self.room), "PG_HOST": self.host, "PG_PORT": str(self.server.port),
            "PG_USER": "keeper", "PGPASSWORD": "keeps", "PATH": os.environ["PATH"]}

    def run_as_owner(self, *words, cwd="/", **environment):
        return Done(subprocess.run([*AS_OWNER, *map(str, words)], capture_output=True, text=True, timeout=120, cwd=cwd,
                                   stdin=subprocess.DEVNULL, env={**self.environment, **environment}))

    def program(self, *words, cwd="/"):
        return self.run_as_owner(self.environment["AETERNA_DR"], "--repo", self.room / "repo", "--key-file", self.room / "key", *words, cwd=cwd)

    def script(self, *words, cwd=None, **environment):
        return self.run_as_owner(self.place / SCRIPT.name, *words, cwd=cwd or self.server.data, **environment)

    def make_repository(self):
        done = self.program("repo", "init")
        self.assertEqual(done.code, 0, done)

    def finished_segment(self):
        """The name of a segment that the server has done with, on its way into the archive."""
        name = self.server.psql("SELECT pg_walfile_name(pg_current_wal_lsn())")
        self.server.psql("CREATE TABLE IF NOT EXISTS filler (n int); INSERT INTO filler SELECT generate_series(1, 1000); SELECT pg_switch_wal()")
        return name

    def backups(self):
        return self.program("--json", "backups", "list").json()["backups"]

    # ------------------------------------------------------------------------------------------------ wal

    def test_a_segment_is_archived_and_comes_back(self):
        self.make_repository()
        name = self.finished_segment()
        # The server may ask again; and a machine need not have a place for the log.
        for place in (self.room, "/nowhere", "/proc"):
            done = self.script("wal", f"pg_wal/{name}", name, LOG_DIR=str(place))
            self.assertEqual(done.code, 0, done)
        done = self.program("archive-get", name, self.room / "back", cwd=self.server.data)
        self.assertEqual(done.code, 0, done)
        self.assertEqual((self.room / "back").read_bytes(), (self.server.data / "pg_wal" / name).read_bytes())

    def test_a_segment_of_the_same_name_with_other_content_is_refused(self):
        self.make_repository()
        name = self.finished_segment()
        self.assertEqual(self.script("wal", f"pg_wal/{name}", name).code, 0)
        right = (self.server.data / "pg_wal" / name).read_bytes()
        other = self.room / name
        other.write_bytes(right[:9000] + bytes([right[9000] ^ 1]) + right[9001:])
        os.chmod(other, 0o644)
        done = self.script("wal", other, name)
        self.assertEqual(done.code, 5, done)
        self.assertIn("other WAL", done.out + done.err)
        self.assertEqual(self.program("archive-get", name, self.room / "back", cwd=self.server.data).code, 0)
        self.assertEqual((self.room / "back").read_bytes(), right)

    def test_what_is_not_the_segment_of_its_name_is_refused(self):
        self.make_repository()
        name = self.finished_segment()
        right = (self.server.data / "pg_wal" / name).read_bytes()
        cases = {"short": right[:-1], "another cluster's": right[:24] + bytes(8) + right[32:], "no WAL": bytes(len(right)),
                 "another position's": right[:8] + bytes(8) + right[16:]}
        for what, content in cases.items():
            with self.subTest(what):
                path = self.room / name
                path.write_bytes(content)
                os.chmod(path, 0o644)
                done = self.script("wal", path, name)
                self.assertEqual(done.code, 5, done)
        # A segment that calls itself one of another timeline, whose history nobody knows.
        done = self.script("wal", f"pg_wal/{name}", f"00000009{name[8:]}")
        self.assertNotEqual(done.code, 0, done)
        done = self.script("wal", f"pg_wal/{name}", "passwd")
        self.assertEqual(done.code, 2, done)
        self.assertEqual(self.program("archive-get", name, self.room / "back", cwd=self.server.data).code, 255)

    def test_the_server_archives_by_it_and_a_hole_is_filled(self):
        self.make_repository()
        first = self.finished_segment()
        self.assertEqual(self.script("wal", f"pg_wal/{first}", first).code, 0)
        skipped, third = self.finished_segment(), self.finished_segment()
        # As if the archiver had been off for a while: the server still has what lies between.
        self.assertEqual(self.script("wal", f"pg_wal/{third}", third).code, 0)
        for name in (skipped, third):
            done = self.program("archive-get", name, self.room / name, cwd=self.server.data)
            self.assertEqual(done.code, 0, done)
            self.assertEqual((self.room / name).read_bytes(), (self.server.data / "pg_wal" / name).read_bytes())
        # Asked for again, when the log has long gone on.
        for name in (first, skipped):
            done = self.script("wal", f"pg_wal/{name}", name)
            self.assertEqual(done.code, 0, done)

    def test_it_works_beside_the_receiver(self):
        self.make_repository()
        stack = self.stack_file()
        watch = subprocess.Popen([*AS_OWNER, self.environment["AETERNA_DR"], "--stack", str(stack), "backup", "watch"], cwd="/",
                                 env=self.environment, stderr=subprocess.PIPE, text=True, start_new_session=True)
        try:
            wait_until("the receiver", lambda: self.server.psql(
                "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1", 60)
            names = [self.finished_segment() for _ in range(3)]
            for name in names:
                done = self.script("wal", f"pg_wal/{name}", name)
                self.assertEqual(done.code, 0, done)
            for name in names:
                done = self.program("archive-get", name, self.room / name, cwd=self.server.data)
                self.assertEqual(done.code, 0, done)
                self.assertEqual((self.room / name).read_bytes(), (self.server.data / "pg_wal" / name).read_bytes())
        finally:
            os.killpg(watch.pid, signal.SIGTERM)
            told = watch.communicate(timeout=60)[1]
        self.assertIn("stopped, durable to", told)
        wait_until("the free slot", lambda: self.server.psql("SELECT count(*) FROM pg_replication_slots WHERE active") == "0", 30)
        self.server.psql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")

    def test_archive_command_over_a_promotion(self):
        self.make_repository()
        settings = " ".join(f"{key}={value}" for key, value in self.environment.items())
        archive = f"env {settings} {self.place / SCRIPT.name} wal %p %f"
        live = Server(self.room, "live", self.host)
        command(BIN / "pg_basebackup", "-h", self.place, "-p", self.server.port, "-U", "postgres", "-D", live.data, "-c", "fast")
        (live.data / "standby.signal").touch()
        with open(live.data / "postgresql.auto.conf", "a") as conf:
            # A checkpoint behind the switch would take the segment away that is compared.
            conf.write(f"archive_mode = on\narchive_command = '{archive}'\nhba_file = '{self.server.data}/pg_hba.conf'\n"
                       "wal_keep_size = 1GB\n")
        if AS_OWNER:
            shutil.chown(live.data / "standby.signal", "postgres", "postgres")
        live.start()
        self.addCleanup(live.stop, "immediate")
        live.psql("SELECT pg_promote()")
        wait_until("the promotion", lambda: live.psql("SELECT pg_is_in_recovery()") == "f", 60)
        live.psql("CREATE TABLE after_it (n int)")
        name = live.psql("SELECT pg_walfile_name(pg_current_wal_lsn())")
        live.psql("SELECT pg_switch_wal()")
        self.assertEqual(name[:8], "00000002")
        # The end of the old timeline may be archived behind it, and is then the last one in pg_stat_archiver.
        wait_until("the archiver", lambda: (live.data / "pg_wal" / "archive_status" / f"{name}.done").exists(), 60)
        self.assertEqual(live.psql("SELECT failed_count FROM pg_stat_archiver"), "0")
        for file in ("00000002.history", name):
            done = self.program("archive-get", file, self.room / file, cwd=live.data)
            self.assertEqual(done.code, 0, done)
            self.assertEqual((self.room / file).read_bytes(), (live.data / "pg_wal" / file).read_bytes())
        # The old primary goes on under the same name: its WAL behind the fork is a branch of its own, and no harm.
        self.finished_segment()

    # ------------------------------------------------------------------------------------------------ base, dump

    def test_a_base_backup_by_the_environment_alone(self):
        self.make_repository()
        temporary = self.room / "temporary"
        self.run_as_owner("mkdir", temporary)
        done = self.script("base", cwd="/", TMPDIR=str(temporary))
        self.assertEqual(done.code, 0, done)
        self.assertEqual(os.listdir(temporary), [])
        backup, = self.backups()
        self.assertEqual((backup["kind"], backup["store"]), ("base", "postgres"))
        text = (self.room / "backup-postgres.log").read_text()
        self.assertIn(backup["id"], text)
        self.assertNotIn("keeps", text)

    def stack_file(self):
        stack = self.room / "stack.yaml"
        (self.room / "password").write_text("keeps\n")
        stack.write_text("\n".join(["name: named", f"repository: {{place: {self.room / 'repo'}, key_file: {self.room / 'key'}}}",
                                    "stores:", "  postgres:", "    objectives: {rto: 5m, rpo: 5m}", "    scope: by-stack-file", "    user: keeper",
                                    f"    password_file: {self.room / 'password'}", "    database: postgres", "    nodes:",
                                    f"      - {{name: pg-1, address: \"{self.host}:{self.server.port}\", patroni: \"http://{self.host}:1\"}}"]))
        for path in (stack, self.room / "password"):
            os.chmod(path, 0o644)
        return stack

    def test_a_base_backup_is_never_staged(self):
        """Neither while it runs nor when it is cut off."""
        self.make_repository()
        temporary = self.room / "temporary"
        self.run_as_owner("mkdir", temporary)
        environment = {**self.environment, "TMPDIR": str(temporary)}

        def start():
            return subprocess.Popen([*AS_OWNER, str(self.place / SCRIPT.name), "base"], cwd="/", env=environment, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, start_new_session=True)

        def staged_bytes():
            # What is gone between two looks is none of it.
            seen = subprocess.run(["du", "-sb", temporary], capture_output=True, text=True).stdout.split()
            return int(seen[0]) - empty
        empty = int(subprocess.check_output(["du", "-sb", temporary], text=True).split()[0])

        script, most = start(), 0
        while script.poll() is None:
            most = max(most, staged_bytes())
        self.assertEqual(script.returncode, 0)
        self.assertLess(most, 1 << 16)
        self.assertGreater(self.backups()[0]["bytes"], 1 << 20)
        script = start()
        wait_until("its work", lambda: list(temporary.iterdir()), 30)
        os.killpg(script.pid, signal.SIGTERM)
        script.wait(timeout=60)
        wait_until("an empty folder", lambda: not list(temporary.iterdir()), 30)

    def test_a_signal_while_its_stack_file_is_made_leaves_nothing(self):
        """Whoever stops the script hits all of its processes, also the one that has just made the file."""
        temporary, programs = self.room / "temporary", self.room / "programs"
        self.run_as_owner("mkdir", temporary, programs)
        mktemp = programs / "mktemp"
        mktemp.write_text('#!/bin/sh\nname=$(/usr/bin/mktemp "$@") && kill -TERM 0 && echo "$name"\n')
        os.chmod(mktemp, 0o755)
        script = subprocess.run([*AS_OWNER, self.place / SCRIPT.name, "base"], cwd="/", stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, timeout=60, start_new_session=True,
                                env={**self.environment, "TMPDIR": str(temporary), "PATH": f"{programs}:{os.environ['PATH']}"})
        self.assertEqual(script.returncode, 130, script)
        self.assertEqual(os.listdir(temporary), [])

    def test_a_stack_file_goes_first(self):
        self.make_repository()
        stack = self.stack_file()
        done = self.script("base", AETERNA_DR_STACK=str(stack), PG_HOST="127.0.0.9", S3_BUCKET="", AETERNA_DR_KEY_FILE="")
        self.assertEqual(done.code, 0, done)
        self.assertEqual([backup["name"] for backup in self.backups()], ["by-stack-file"])

    def test_a_dump_is_what_the_runbook_restores(self):
        self.make_repository()
        output = self.room / "latest.dump"
        for _ in range(2):
            done = self.script("dump", output)
            self.assertEqual(done.code, 0, done)
        name = f"restored_{random.randrange(10 ** 9)}"
        self.server.psql(f"CREATE DATABASE {name}")
        self.addCleanup(self.server.psql, f"DROP DATABASE {name}")
        command(BIN / "pg_restore", "-h", self.place, "-p", self.server.port, "-U", "postgres", "-d", name, output)
        self.assertEqual(self.server.psql("SELECT count(*) FROM memories", name), "1000")

    def test_a_base_backup_that_fails_says_so(self):
        self.make_repository()
        done = self.script("base", PGPASSWORD="wrong")
        self.assertNotEqual(done.code, 0, done)
        self.assertIn("password", done.out + done.err)
        self.assertEqual(self.backups(), [])

    # ------------------------------------------------------------------------------------------------ cleanup, verify

    def test_cleanup_never_takes_the_last_base_backup(self):
        self.make_repository()
        for _ in range(2):
            self.assertEqual(self.script("base").code, 0)
        old, new = [backup["id"] for backup in self.backups()]
        done = self.script("cleanup", RETENTION_DAYS="30")
        self.assertEqual(done.code, 0, done)
        self.assertEqual(len(self.backups()), 2)
        for _ in range(2):
            done = self.script("cleanup", RETENTION_DAYS="0")
            self.assertEqual(done.code, 0, done)
            self.assertEqual([backup["id"] for backup in self.backups()], [new])
        self.assertIn(old, (self.room / "backup-postgres.log").read_text())
        for days in ("", "some", "-1"):
            with self.subTest(days):
                done = self.script("cleanup", RETENTION_DAYS=days or " ")
                self.assertEqual(done.code, 2, done)
                self.assertIn("RETENTION_DAYS", done.err)

    def test_cleanup_takes_wal_that_no_backup_needs(self):
        self.make_repository()
        before = self.finished_segment()
        self.assertEqual(self.script("wal", f"pg_wal/{before}", before).code, 0)
        for _ in range(2):
            self.finished_segment()
        self.assertEqual(self.script("base").code, 0)
        after = self.finished_segment()
        self.assertEqual(self.script("wal", f"pg_wal/{after}", after).code, 0)
        self.assertEqual(self.script("cleanup", RETENTION_DAYS="0").code, 0)
        self.assertNotEqual(self.program("archive-get", before, self.room / "back", cwd=self.server.data).code, 0)
        self.assertFalse((self.room / "back").exists())
        done = self.program("archive-get", after, self.room / "back", cwd=self.server.data)
        self.assertEqual(done.code, 0, done)

    def test_verify_reads_what_it_verifies(self):
        self.make_repository()
        self.assertEqual(self.script("base").code, 0)
        done = self.script("verify")
        self.assertEqual(done.code, 0, done)
        # Every file is there, one byte is another.
        damage(self.room / "repo")
        done = self.script("verify")
        self.assertEqual(done.code, 1, done)
        self.assertIn("damaged", done.out + done.err)

    def test_verify_fails_where_wal_is_missing(self):
        self.make_repository()
        self.assertEqual(self.script("base").code, 0)
        first, missing, last = [self.finished_segment() for _ in range(3)]
        # Out of the server's sight, or the next one would bring it along.
        kept = (self.server.data / "pg_wal" / missing).rename(self.room / missing)
        for name in (first, last):
            self.assertEqual(self.script("wal", f"pg_wal/{name}", name).code, 0)
        done = self.script("verify")
        self.assertEqual(done.code, 1, done)
        self.assertIn("not restorable between", done.out + done.err)
        self.assertEqual(self.script("wal", kept, missing).code, 0)
        kept.rename(self.server.data / "pg_wal" / missing)
        done = self.script("verify")
        self.assertEqual(done.code, 0, done)
        self.assertNotIn("not restorable", done.out + done.err)

    def test_an_empty_place_is_told(self):
        self.make_repository()
        shutil.rmtree(self.room / "repo")
        for words in (("verify",), ("cleanup",), ("base",)):
            with self.subTest(words):
                done = self.script(*words)
                self.assertEqual(done.code, 10, done)
                self.assertIn("no repository", done.out + done.err)
        self.make_repository()
        done = self.script("verify")
        self.assertEqual(done.code, 1, done)
        self.assertIn("no base backup", done.err)
        self.assertEqual(self.script("cleanup").code, 0)

    def test_wrong_words_are_a_usage_error(self):
        for words in ((), ("everything",), ("wal",), ("wal", "a"), ("base", "x"), ("cleanup", "x"), ("dump", "a", "b")):
            with self.subTest(words):
                done = self.script(*words)
                self.assertEqual(done.code, 2, done)
                self.assertIn("usage:", done.err)


if __name__ == "__main__":
    unittest.main()
