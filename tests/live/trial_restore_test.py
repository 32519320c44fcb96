"""Restore tests of real base backups: what passes, what has to fail, what must stay unknown, and that nothing stays behind,
whatever phase a test is killed in."""
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from servers import AS_OWNER, BIN, Server, command, make_place
from support import PROGRAM, ROOT, damage, run, wait_until
from test_backup_postgres import PASSWORD, ROLE

SCRIPT = ROOT / "infrastructure/ha/backups/restore-test.sh"


def servers_in(place):
    """Pids of postgres processes that work below `place`."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            name = Path(f"/proc/{entry}/comm").read_text().strip()
            cwd = os.readlink(f"/proc/{entry}/cwd")
        except OSError:
            continue
        if name.startswith(("postgres", "pg_")) and cwd.startswith(str(place)):
            found.append(int(entry))
    return found


@unittest.skipUnless((BIN / "postgres").exists(), "no PostgreSQL 15 on this machine")
class RestoreTestTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        make_place(cls)
        cls.host = f"127.0.75.{random.randrange(1, 250)}"
        cls.primary = Server(cls.place, "a", cls.host)
        command(BIN / "initdb", "-D", cls.primary.data, "-U", "postgres", "-A", "trust", "--data-checksums", "--no-sync",
                "--locale=C.UTF-8")
        with open(cls.primary.data / "pg_hba.conf", "a") as hba:
            hba.write(f"host all,replication {ROLE} 127.0.0.0/8 trust\n")
        # What a restored copy must not do: archive, load what is not there, listen, and go on with a subscription.
        cls.archived = cls.place / "archived"
        with open(cls.primary.data / "postgresql.conf", "a") as conf:
            conf.write(f"archive_mode = on\narchive_command = 'pwd >> {cls.archived}'\nwal_level = logical\n"
                       "max_prepared_transactions = 5\n")
        cls.primary.start()
        cls.addClassCleanup(cls.primary.stop, "immediate")
        command("mkdir", cls.place / "space")
        sql = cls.primary.psql
        sql(f"CREATE ROLE {ROLE} LOGIN REPLICATION PASSWORD '{PASSWORD}'")
        sql(f"GRANT pg_monitor TO {ROLE}")
        sql(f"CREATE TABLESPACE elsewhere LOCATION '{cls.place / 'space'}'")
        sql("CREATE DATABASE app")
        sql("CREATE TABLE orders TABLESPACE elsewhere AS SELECT n AS id, md5(n::text) AS text FROM generate_series(1, 20000) n", "app")
        sql("CREATE INDEX ON orders (text)", "app")
        command(BIN / "pgbench", "-h", cls.place, "-p", cls.primary.port, "-U", "postgres", "-i", "-s", "1", "-q", "app")
        (cls.place / "password").write_text(PASSWORD + "\n")

    def setUp(self):
        self.room = Path(tempfile.mkdtemp(dir=self.place))
        os.chmod(self.room, 0o755)
        self.work = self.room / "w"
        self.stack = self.stack_file()
        self.assertEqual(self.cli("repo", "init").code, 0)

    def stack_file(self, server=None, more=(), name="stack"):
        server = server or self.primary
        lines = ["name: test", f"state_directory: {self.room / 'state'}",
                 f"repository: {{place: {self.room / 'repo'}, key_file: {self.room / 'key'}}}", "stores:", "  postgres:",
                 "    objectives: {rto: 5m, rpo: 5m}", "    scope: test", f"    user: {ROLE}",
                 f"    password_file: {self.place / 'password'}", "    database: postgres", "    ssl_mode: disable", *more, "    nodes:",
                 f"      - {{name: postgres-1, agent: agent-1, member: postgres-1, address: \"{server.host}:{server.port}\", "
                 f"patroni: \"http://{server.host}:{server.port + 1}\"}}"]
        path = self.room / f"{name}.yaml"
        path.write_text("\n".join(lines) + "\n")
        return path

    def cli(self, *words, stack=None):
        return run("--stack", stack or self.stack, "--timeout", "100s", *words, timeout=150,
                   env={"STATE_DIRECTORY": str(self.room / "state")})

    def back_up(self, **options):
        done = self.cli("--json", "backup", "postgres", **options)
        self.assertIn(done.code, (0, 3), done)
        return done.json()["backup"]

    def begin(self, *words, stack=None, said=subprocess.PIPE):
        """A command that runs beside the test."""
        process = subprocess.Popen([PROGRAM, "--stack", stack or self.stack, *words], stderr=said, stdout=said, text=True,
                                   stdin=subprocess.DEVNULL, env=dict(os.environ, STATE_DIRECTORY=str(self.room / "state")))

        def end():
            process.kill()
            process.communicate()
        self.addCleanup(end)
        return process

    def begin_test(self, line, *words):
        """A restore test that has said `line`."""
        test = self.begin("--json", "restore-test", "postgres", "--work", self.work, *words)
        for said in test.stderr:
            if line in said:
                return test
        self.fail(f"it never said '{line}'")

    @contextlib.contextmanager
    def capturing(self, stack):
        watch = self.begin("backup", "watch", stack=stack, said=subprocess.DEVNULL)
        try:
            yield
        finally:
            watch.terminate()
            watch.wait(60)

    def restore_test(self, *words, code=0, stack=None, work=None):
        done = self.cli("--json", "restore-test", "postgres", "--work", work or self.work, *words, stack=stack)
        self.assertEqual(done.code, code, done)
        self.assert_nothing_left(work or self.work)
        document = done.json()
        return document["restore_test"] if "restore_test" in document else document["error"]

    def assert_nothing_left(self, work):
        self.assertEqual(servers_in(work), [])
        if work.exists():
            self.assertEqual([name for name in os.listdir(work) if name.startswith("restore-test-") or name.endswith(".lock")], [])

    def check(self, test, name):
        return next(check for check in test["checks"] if check["name"] == name)

    def copy_of_the_server(self):
        """A cluster of its own with one table, ended cleanly, that a test may damage."""
        server = Server(self.room, "own", self.host)
        if AS_OWNER:
            shutil.chown(self.room, "postgres", "postgres")
        command(BIN / "initdb", "-D", server.data, "-U", "postgres", "-A", "trust", "--data-checksums", "--no-sync", "--locale=C.UTF-8")
        with open(server.data / "pg_hba.conf", "a") as hba:
            hba.write(f"host all,replication {ROLE} 127.0.0.0/8 trust\n")
        server.start()
        self.addCleanup(server.stop, "immediate")
        server.psql(f"CREATE ROLE {ROLE} LOGIN REPLICATION PASSWORD '{PASSWORD}'")
        server.psql(f"GRANT pg_monitor TO {ROLE}")
        server.psql("CREATE TABLE damaged AS SELECT n, repeat('x', 100) AS text FROM generate_series(1, 5000) n")
        server.psql("CREATE INDEX damaged_n ON damaged (n)")
        return server

    def test_a_good_backup_passes_and_is_evidence(self):
        self.assertEqual(self.cli("--json", "status").json()["stores"]["postgres"]["rto_forecast_seconds"], None)
        backup = self.back_up()
        self.assertEqual(self.cli("--json", "backups", "list").json()["backups"][0]["last_test"], None)
        stack = self.stack_file(more=["    restore_test:", "      queries:",
                                      "        - {name: orders, database: app, sql: 'SELECT count(*) FROM orders', expect: '20000'}"])
        test = self.restore_test("--query", "SELECT count(*) = 100000 FROM pgbench_accounts", "--database", "app", "--query",
                                 "SELECT current_setting('archive_mode') = 'off' AND current_setting('listen_addresses') = ''",
                                 stack=stack)
        self.assertEqual((test["backup"], test["verdict"], test["met"], test["reason"]), (backup["id"], "pass", True, ""))
        self.assertEqual([phase["name"] for phase in test["phases"]], ["plan", "fetch", "start", "check", "stop"])
        outcomes = {check["name"]: check["outcome"] for check in test["checks"]}
        self.assertEqual(outcomes, {"start": "passed", "databases": "passed", "amcheck": "passed", "drill rows": "not_checked",
                                    "query orders": "passed", "query 1": "passed", "query 2": "passed", "checksums": "passed"})
        self.assertAlmostEqual(test["bytes"], backup["bytes"], delta=1 << 20)  # some files are written anew
        self.assertIn("3 can be", self.check(test, "databases")["detail"])
        archivers = set(self.archived.read_text().splitlines()) if self.archived.exists() else set()
        self.assertLessEqual(archivers, {str(self.primary.data)})
        listed = self.cli("--json", "backups", "list").json()["backups"][0]
        self.assertEqual((listed["last_test"]["verdict"], listed["last_test"]["at"]), ("pass", test["at"]))
        self.assertIn(f"tested {test['at']}: pass", self.cli("backups", "list").out)
        self.assertEqual(self.cli("--json", "backups", "show", "latest").json()["backup"]["last_test"]["verdict"], "pass")
        size = int(self.primary.psql("SELECT sum(pg_database_size(oid)) FROM pg_database"))
        seconds = {phase["name"]: phase["seconds"] for phase in test["phases"]}
        expected = size * seconds["fetch"] / test["bytes"] + seconds["plan"] + seconds["start"]
        forecast = self.cli("--json", "status").json()["stores"]["postgres"]["rto_forecast_seconds"]
        self.assertAlmostEqual(forecast, expected, delta=expected / 10)
        space = self.primary.psql("SELECT oid FROM pg_tablespace WHERE spcname = 'elsewhere'")
        plan = self.cli("--json", "restore", "postgres", "--into", self.room / "target", "--tablespace", f"{space}={self.room / 'space'}",
                        "--dry-run").json()["restore"]
        expected = plan["bytes"] * seconds["fetch"] / test["bytes"] + seconds["plan"] + seconds["start"]
        self.assertAlmostEqual(plan["predicted_seconds"], expected, delta=expected / 100)

    def close(self, is_closed):
        """To the server's user."""
        if AS_OWNER:
            os.chmod(self.room / "key", 0o600 if is_closed else 0o644)
            os.chmod(self.room / "repo", 0o700 if is_closed else 0o755)

    def test_latest_goes_on_to_what_is_captured(self):
        """Also where the server's user may read neither repository nor key."""
        own = self.copy_of_the_server()
        stack = self.stack_file(own)
        self.back_up(stack=stack)
        with self.capturing(stack):
            # Over the end of a segment, so that more than one is asked for.
            own.psql("INSERT INTO damaged VALUES (8001, 'after the backup')")
            own.psql("SELECT pg_switch_wal()")
            own.psql("INSERT INTO damaged VALUES (8002, 'in the next segment')")
            commit = own.psql("SELECT pg_current_wal_lsn()")
            self.back_up_reaches(stack, commit)
        self.close(True)
        test = self.restore_test("--query", "SELECT count(*) = 2 FROM damaged WHERE n > 8000",
                                 "--query", "SELECT pg_walfile_name(pg_current_wal_lsn()) LIKE '00000002%'", stack=stack)
        self.assertEqual((test["verdict"], test["replay"]["timeline"]), ("pass", 1))
        self.assertGreater(test["replay"]["bytes"], 0)
        seconds = {phase["name"]: phase["seconds"] for phase in test["phases"]}
        self.assertTrue(0 <= test["replay_seconds"] < seconds["start"], test)
        # The same once more: the log is fetched as well.
        self.close(False)
        plan = self.cli("--json", "restore", "postgres", "--into", self.room / "target", "--dry-run", stack=stack).json()["restore"]
        self.close(True)
        expected = (plan["bytes"] + test["replay"]["bytes"]) * seconds["fetch"] / test["bytes"] + seconds["plan"] + seconds["start"]
        self.assertAlmostEqual(plan["predicted_seconds"], expected, delta=expected / 100)
        test = self.restore_test("--to", test["backup"], "--query", "SELECT count(*) = 0 FROM damaged WHERE n > 8000", stack=stack)
        self.assertEqual((test["verdict"], test["replay"]), ("pass", None))

    def test_a_random_point_between_two_backups(self):
        """Each draw is a state that was: as many rows as had been committed by then."""
        own = self.copy_of_the_server()
        own.psql("CREATE TABLE steps (n serial, at timestamptz NOT NULL DEFAULT clock_timestamp())")
        stack = self.stack_file(own)
        with self.capturing(stack):
            self.back_up(stack=stack)
            for number in range(40):
                own.psql("INSERT INTO steps DEFAULT VALUES")
                time.sleep(0.1)
                if number == 20:
                    self.back_up(stack=stack)
            self.back_up_reaches(stack, own.psql("SELECT pg_current_wal_lsn()"))
        window, = self.cli("--json", "recovery-points", stack=stack).json()["recovery_points"]
        self.assertEqual(len(window["backups"]), 2)
        drawn = {}
        for seed in ("1", "2", "3", "1"):
            test = self.restore_test("--random", "--seed", seed, "--query", "SELECT count(*) > 0 FROM steps", stack=stack)
            self.assertEqual((test["verdict"], test["seed"]), ("pass", int(seed)))
            self.assertTrue(window["earliest"] <= test["to"] < window["until"], test["to"])
            self.assertEqual(drawn.setdefault(seed, test["to"]), test["to"])
            expected = own.psql(f"SELECT count(*) FROM steps WHERE at <= '{test['to']}'")
            # The commit comes a moment after the row's own time.
            again = self.restore_test("--to", test["to"], "--query", f"SELECT {expected} - count(*) IN (0, 1) FROM steps", stack=stack)
            self.assertEqual(again["verdict"], "pass", again["reason"])
        self.assertEqual(len(set(drawn.values())), 3)
        done = self.cli("restore-test", "postgres", "--random", "--seed", "x", stack=stack)
        self.assertEqual((done.code, "'x'" in done.err), (2, True), done)

    def back_up_reaches(self, stack, lsn):
        def number(text):
            high, low = text.split("/")
            return int(high, 16) << 32 | int(low, 16)

        def captured():
            done = self.cli("--json", "restore", "postgres", "--into", self.room / "nowhere", "--dry-run", stack=stack)
            replay = done.json()["restore"]["replay"] if done.code == 0 else None
            return replay and number(replay["to"]) >= number(lsn)
        wait_until("the captured WAL", captured, 60)

    def test_without_a_stack_file_a_key_is_enough(self):
        self.back_up()
        # Of dumps no server can be made.
        self.primary.psql(f"GRANT pg_read_all_data TO {ROLE}")
        for _ in range(7):
            done = self.cli("backup", "postgres", "--logical", "--database", "postgres")
            self.assertEqual(done.code, 0, done)
        done = run("--repo", self.room / "repo", "--key-file", self.room / "key", "restore-test", "postgres", "--random",
                   env={"STATE_DIRECTORY": str(self.room / "other-state")})
        self.assertEqual(done.code, 0, done)
        self.assertIn("PASS: takes writes after", done.out)
        self.assertIn("not checked  drill rows: no drill was writing", done.out)
        tests = (self.room / "other-state/restore-tests.jsonl").read_text().splitlines()
        backup = next(one["id"] for one in self.cli("--json", "backups", "list").json()["backups"] if one["kind"] == "base")
        # Without any captured WAL there is no time to draw from.
        self.assertEqual([(json.loads(test)["to"], json.loads(test)["seed"] is None) for test in tests], [(backup, False)])

    def test_an_objective_that_is_missed(self):
        self.back_up()
        test = self.restore_test("--rto", "1ms", code=6)
        self.assertEqual((test["verdict"], test["met"]), ("pass", False))

    def test_a_query_that_finds_something_else_fails(self):
        self.back_up()
        for sql, word in (("SELECT 1 = 2", "gives 'f', expected 't'"), ("SELECT * FROM nowhere", "42P01"),
                          ("SELECT true WHERE false", "no row"), ("SELECT NULL", "gives NULL")):
            test = self.restore_test("--query", sql, code=1)
            self.assertEqual(test["verdict"], "fail")
            self.assertIn(word, test["reason"])

    def test_a_copy_follows_nobody_and_takes_no_slot(self):
        """A subscription's worker in the copy would take the live publisher's slot."""
        own = self.copy_of_the_server()
        for server, database in ((self.primary, "app"), (own, "postgres")):
            server.psql("CREATE TABLE published (id int, text text)", database)
        self.primary.psql("CREATE PUBLICATION all_published FOR TABLE published", "app")
        own.psql(f"CREATE SUBSCRIPTION kept CONNECTION 'host={self.place} port={self.primary.port} user=postgres dbname=app'"
                 " PUBLICATION all_published WITH (copy_data = false)")
        self.addCleanup(lambda: self.primary.psql("SELECT pg_drop_replication_slot('kept')"))
        wait_until("the subscription", lambda: self.primary.psql("SELECT active FROM pg_replication_slots") == "t", 30)
        stack = self.stack_file(own)
        self.back_up(stack=stack)
        own.stop()
        wait_until("the free slot", lambda: self.primary.psql("SELECT active FROM pg_replication_slots") == "f", 30)
        before = self.primary.psql("SELECT confirmed_flush_lsn FROM pg_replication_slots")
        self.primary.psql("INSERT INTO published VALUES (0, 'for the live subscriber')", "app")
        test = self.restore_test("--query", "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'logical%'",
                                 "--query", "SELECT count(*) = 1 FROM pg_subscription WHERE subenabled",
                                 "--query", "SELECT count(*) = 0 FROM published",
                                 "--query", "SELECT count(*) = 0 FROM pg_replication_slots", stack=stack)
        self.assertEqual(test["verdict"], "pass")
        self.assertEqual(self.primary.psql("SELECT confirmed_flush_lsn FROM pg_replication_slots"), before)

    def test_a_damaged_page_fails(self):
        own = self.copy_of_the_server()
        path = own.data / own.psql("SELECT pg_relation_filepath('damaged')")
        own.stop()
        with open(path, "r+b") as file:
            file.seek(3 * 8192 + 5000)
            file.write(b"not what was written")
        own.start()
        stack = self.stack_file(own)
        self.back_up(stack=stack)
        test = self.restore_test(code=1, stack=stack)
        self.assertEqual(test["verdict"], "fail")
        checksums = self.check(test, "checksums")
        self.assertEqual(checksums["outcome"], "failed")
        self.assertIn("1 bad pages", checksums["detail"])
        self.assertIn("block 3", checksums["detail"])
        self.assertEqual(self.check(test, "amcheck")["outcome"], "failed")

    def test_an_index_that_lies_fails(self):
        """Pages whose checksums are right, with an index that has not what its table has."""
        own = self.copy_of_the_server()
        own.psql("UPDATE pg_index SET indisready = false WHERE indexrelid = 'damaged_n'::regclass")
        own.psql("INSERT INTO damaged VALUES (7000, 'not in the index')")
        own.psql("UPDATE pg_index SET indisready = true WHERE indexrelid = 'damaged_n'::regclass")
        stack = self.stack_file(own)
        self.back_up(stack=stack)
        test = self.restore_test(code=1, stack=stack)
        self.assertEqual((self.check(test, "checksums")["outcome"], self.check(test, "amcheck")["outcome"]), ("passed", "failed"))
        self.assertIn("damaged_n", test["reason"])

    def hide_damage(self, words):
        """A page whose header is none, in a cluster without checksums that has been told to take such pages as empty."""
        own = self.copy_of_the_server()
        path = own.data / own.psql("SELECT pg_relation_filepath('damaged')")
        own.psql(words)
        own.stop()
        command(BIN / "pg_checksums", "--disable", "-D", own.data)
        with open(path, "r+b") as file:
            file.seek(3 * 8192)
            file.write(b"\xff" * 24)
        own.start()
        stack = self.stack_file(own)
        self.back_up(stack=stack)
        test = self.restore_test(code=1, stack=stack)
        self.assertEqual(self.check(test, "amcheck")["outcome"], "failed")

    def test_a_server_setting_that_hides_damage_hides_nothing(self):
        self.hide_damage("ALTER SYSTEM SET zero_damaged_pages = on")

    def test_a_database_setting_that_hides_damage_hides_nothing(self):
        self.hide_damage("ALTER DATABASE postgres SET zero_damaged_pages = on")

    def copy_that_crashes(self, number):
        """One whose restored server gets that signal while its indexes are checked."""
        own = self.copy_of_the_server()
        own.psql("CREATE FUNCTION crash(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN "
                 "IF current_setting('cluster_name') = 'aeterna-dr restore test' THEN "
                 f"EXECUTE 'COPY (SELECT 1) TO PROGRAM ''kill -{number} $PPID; sleep 10'''; END IF; RETURN n; END $$")
        own.psql("CREATE INDEX damaged_crash ON damaged (crash(n))")
        own.psql("ALTER FUNCTION crash VOLATILE")
        stack = self.stack_file(own)
        self.back_up(stack=stack)
        return stack

    def test_a_server_that_crashes_while_it_is_questioned_fails(self):
        test = self.restore_test(code=1, stack=self.copy_that_crashes(11))
        self.assertEqual((test["verdict"], self.check(test, "stop")["outcome"]), ("fail", "failed"))
        self.assertIn("signal 11", self.check(test, "stop")["detail"])

    def test_a_server_that_somebody_kills_says_nothing_of_the_backup(self):
        test = self.restore_test(code=4, stack=self.copy_that_crashes(9))
        self.assertEqual(test["verdict"], "unknown")
        self.assertIn("signal 9", test["reason"])

    def test_a_killed_postmaster_says_nothing_of_the_backup(self):
        """As a machine does it that is short of memory; its children then complain in the log."""
        self.back_up()
        test = self.begin_test("questioning", "--query", "SELECT pg_sleep(60)")
        sandbox, = [name for name in os.listdir(self.work) if name.startswith("restore-test-")]
        os.kill(int((self.work / sandbox / "data/postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL)
        out, _ = test.communicate(timeout=60)
        self.assertEqual(test.returncode, 4, out)
        result = json.loads(out)["restore_test"]
        self.assertEqual(result["verdict"], "unknown")
        self.assertIn("killed", result["reason"])
        self.assert_nothing_left(self.work)

    def test_a_database_that_is_half_dropped_is_left_out(self):
        own = self.copy_of_the_server()
        own.psql("CREATE DATABASE half")
        own.psql("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'half'")
        stack = self.stack_file(own)
        self.back_up(stack=stack)
        self.assertEqual(self.restore_test(stack=stack)["verdict"], "pass")

    def test_checksums_that_are_off_are_not_checked(self):
        own = self.copy_of_the_server()
        own.stop()
        command(BIN / "pg_checksums", "--disable", "-D", own.data)
        own.start()
        stack = self.stack_file(own)
        self.back_up(stack=stack)
        test = self.restore_test(stack=stack)
        checksums = self.check(test, "checksums")
        self.assertEqual((checksums["outcome"], checksums["detail"]), ("not_checked", "data checksums are off in this cluster"))

    def test_a_corrupt_pack_fails(self):
        self.back_up()
        damage(self.room / "repo")
        test = self.restore_test(code=1)
        self.assertEqual((test["verdict"], test["recovery_seconds"], test["checks"]), ("fail", None, []))
        self.assertIn("fail", self.cli("backups", "list").out)
        self.assertEqual(self.cli("--json", "status").json()["stores"]["postgres"]["rto_forecast_seconds"], None)

    def test_a_server_that_does_not_start_fails(self):
        self.back_up()
        programs = self.room / "bin"
        programs.mkdir()
        for name in os.listdir(BIN):
            (programs / name).symlink_to(BIN / name)
        (programs / "postgres").unlink()
        (programs / "postgres").write_text(f'#!/bin/sh\n[ "$1" = -V ] && exec {BIN}/postgres -V\n'
                                           "echo 'LOG:  hello' >&2; echo 'FATAL:  not today' >&2; exit 1\n")
        os.chmod(programs / "postgres", 0o755)
        test = self.restore_test("--server-bin", programs, code=1)
        self.assertEqual(test["verdict"], "fail")
        self.assertEqual(test["reason"], "start: the server ended: not today")

    def test_missing_programs_and_wrong_words_are_said(self):
        self.back_up()
        for words, text in ((("--server-bin", "/nowhere"), "has no program 'postgres'"),
                            (("--run-as", "nobody-of-this-name"), "no user" if AS_OWNER else "nobody-of-this-name"),
                            (("--to", "latest", "--random"), "--random"),
                            (("--rto", "5"), "'5'")):
            done = self.cli("restore-test", "postgres", "--work", self.work, *words)
            self.assertIn(done.code, (1, 2), done)
            self.assertIn(text, done.err)
        long_one = self.room / ("d" * 60)
        done = self.cli("restore-test", "postgres", "--work", long_one)
        self.assertEqual(done.code, 2, done)
        self.assertIn("bytes too long", done.err)
        done = self.cli("restore-test", "postgres", "--work", self.work, "--superuser", "nobody_here")
        self.assertEqual(done.code, 4, done)
        self.assertIn("--superuser NAME", done.err + done.out)
        self.assert_nothing_left(self.work)
        self.assertEqual(os.listdir(self.room).count("w"), 0)

    @unittest.skipUnless(AS_OWNER, "root alone can mount")
    def test_a_full_disk_is_no_fault_of_the_backup(self):
        self.back_up()
        small = self.room / "small"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m,mode=0755", "tmpfs", small], check=True)
        self.addCleanup(subprocess.run, ["umount", small], check=True)
        test = self.restore_test(code=4, work=small)
        self.assertEqual(test["verdict"], "unknown")
        self.assertEqual(os.listdir(small), [])

    def kill_at(self, line):
        """Starts a test, kills it with SIGKILL as soon as it says `line`; the sandbox that it leaves."""
        test = self.begin_test(line)
        test.send_signal(signal.SIGKILL)
        test.communicate()
        left = [name for name in os.listdir(self.work) if name.startswith("restore-test-")]
        self.assertEqual(len(left), 1, line)
        return self.work / left[0]

    def test_what_a_killed_test_left_goes_with_the_next_one(self):
        self.back_up()
        for line in ("fetching", "starting", "questioning", "stopping"):
            left = self.kill_at(line)
            test = self.restore_test()
            self.assertEqual(test["verdict"], "pass", line)
            self.assertFalse(left.exists(), line)

    def test_cleanup_removes_the_dead_and_leaves_the_living(self):
        self.back_up()
        dead = self.kill_at("questioning")
        wait_until("the server of the dead test", lambda: servers_in(dead), 10)
        living = self.begin_test("fetching")
        living.send_signal(signal.SIGSTOP)
        try:
            self.assertFalse(dead.exists())
            self.assertEqual(servers_in(dead), [])
            done = self.cli("restore-test", "cleanup", "--work", self.work)
            self.assertEqual((done.code, done.out), (0, "0 removed\n"))
        finally:
            living.send_signal(signal.SIGCONT)
        living.communicate(timeout=120)
        self.assertEqual(living.returncode, 0)
        self.assert_nothing_left(self.work)

    def test_a_stopped_test_cleans_up_and_says_that_nothing_is_known(self):
        self.back_up()
        test = self.begin_test("questioning")
        test.send_signal(signal.SIGTERM)
        out, _ = test.communicate(timeout=60)
        self.assertEqual(test.returncode, 130)
        self.assertEqual(json.loads(out)["restore_test"]["verdict"], "unknown")
        self.assert_nothing_left(self.work)
        self.assertIn(": unknown", self.cli("backups", "list").out)

    def test_the_rows_of_a_drill_are_held_against_its_ledger(self):
        own = self.copy_of_the_server()
        own.psql("CREATE SCHEMA aeterna_dr")
        own.psql("CREATE TABLE aeterna_dr.drill_writes (drill text, id bigint, at timestamptz NOT NULL DEFAULT clock_timestamp(), "
                 "PRIMARY KEY (drill, id))")
        own.psql("INSERT INTO aeterna_dr.drill_writes (drill, id) VALUES ('d1', 1), ('d1', 2), ('d1', 4)")
        stack = self.stack_file(own)
        self.back_up(stack=stack)
        self.assertIn("no ledger here", self.check(self.restore_test(stack=stack), "drill rows")["detail"])
        ledger = self.room / "state/drills/d1/postgres.ledger"
        ledger.parent.mkdir(parents=True)

        def write(ids):
            lines = ["aeterna-dr-ledger-1\td1\tpostgres\t0\tdirect:postgres-1"]
            for id in ids:
                lines += [f"I\t{id}\t0\t{id * 1000}\t{id * 1000}", f"O\t{id}\tok\t{id * 1000 + 500}\tpostgres-1\t"]
            ledger.write_text("\n".join(lines) + "\n")
        write([1, 2, 4, 5])
        found = self.check(self.restore_test(stack=stack), "drill rows")
        self.assertEqual(found["outcome"], "passed", found)
        write([1, 2, 3, 4, 5])
        test = self.restore_test(stack=stack, code=1)
        self.assertIn("1 acknowledged writes of drill 'd1' are missing before one that is there: 3", test["reason"])

    def script(self, *words, prefix=(), **environment):
        return subprocess.run([*prefix, SCRIPT, *words], capture_output=True, text=True, timeout=150, stdin=subprocess.DEVNULL,
                              env={**os.environ, "AETERNA_DR": str(PROGRAM), "AETERNA_DR_STACK": str(self.stack),
                                   "STATE_DIRECTORY": str(self.room / "state"), "RESTORE_DIR": str(self.work),
                                   "LOG_DIR": str(self.room), **environment})

    def test_the_old_script(self):
        self.back_up()
        done = self.script("postgres")
        self.assertEqual(done.returncode, 0, done)
        report = json.loads((self.work / "restore-test-report.json").read_text())
        self.assertEqual((report["rto_limit_seconds"], report["rto_met"], report["components"]["postgresql"]["status"]), (900, True, "pass"))
        self.assertGreater(report["components"]["postgresql"]["elapsed_seconds"], 0)
        self.assertEqual(json.loads(done.stdout)["restore_test"]["verdict"], "pass")
        self.assertIn("questioning", done.stderr)
        log = (self.room / "restore-test.log").read_text()
        self.assertTrue(done.stdout in log and done.stderr in log, log)
        shutil.rmtree(self.room / "repo")
        # Without a place for the log it does what it is for.
        done = self.script("postgres", LOG_DIR="/nowhere")
        self.assertEqual(done.returncode, 10, done)
        self.assertEqual((self.room / "restore-test.log").read_text(), log)
        report = json.loads((self.work / "restore-test-report.json").read_text())
        self.assertEqual((report["rto_met"], report["components"]["postgresql"]), (False, {"elapsed_seconds": None, "status": "unknown"}))
        for word in ("full", "qdrant", "redis"):
            done = self.script(word)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn("not built yet", done.stderr)
        self.assertEqual(self.script("cleanup").returncode, 0)
        self.assertEqual(self.script().returncode, 2)
        self.assertEqual(self.script("postgres", RTO_LIMIT_SECONDS="5 min").returncode, 2)

    def test_the_old_script_replays_what_came_after_the_backup_and_leaves_the_archive_alone(self):
        """A script that recovers to consistency alone, or starts the copy with its old settings, fails here."""
        own = self.copy_of_the_server()
        archive = self.room / "archive"
        with open(own.data / "postgresql.conf", "a") as conf:
            conf.write(f"archive_mode = on\narchive_command = 'pwd >> {archive}'\n")
        own.stop()
        own.start()
        stack = self.stack_file(own, more=["    restore_test:", "      queries:",
                                           "        - {name: later, database: postgres, sql: 'SELECT count(*) = 1 FROM damaged WHERE n = 8001'}"])
        with self.capturing(stack):
            # WAL that no restore needs.
            for _ in range(3):
                own.psql("INSERT INTO damaged SELECT 9000, 'x' FROM generate_series(1, 100)")
                own.psql("SELECT pg_switch_wal()")
            backup = self.back_up(stack=stack)
            own.psql("INSERT INTO damaged VALUES (8001, 'after the backup')")
            own.psql("SELECT pg_switch_wal()")
            own.psql("CHECKPOINT")
            self.back_up_reaches(stack, own.psql("SELECT pg_current_wal_lsn()"))
        done = self.script("postgres", AETERNA_DR_STACK=str(stack), prefix=("sh", "-c", 'umask 022; exec "$@"', "sh"))
        self.assertEqual(done.returncode, 0, done)
        test = json.loads(done.stdout)["restore_test"]
        self.assertEqual((test["verdict"], test["replay"]["from"]), ("pass", backup["details"]["start_lsn"]))
        archivers = set(archive.read_text().splitlines()) if archive.exists() else set()
        self.assertLessEqual(archivers, {str(own.data)})

    def test_the_old_script_fails_with_a_backup_that_does_not_restore(self):
        self.back_up()
        damage(self.room / "repo")
        done = self.script("postgres")
        self.assertEqual(done.returncode, 1, done)
        report = json.loads((self.work / "restore-test-report.json").read_text())
        # What the byte belongs to says whether it is found before there is a verdict.
        self.assertFalse(report["rto_met"], done)
        self.assertIn(report["components"]["postgresql"]["status"], ("fail", "unknown"), done)


if __name__ == "__main__":
    unittest.main()
