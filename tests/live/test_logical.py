"""Logical backups of a real PostgreSQL: every database and the roles into the repository, and back by stock pg_restore: whole,
one table, one schema, into a new database or one that is there; the failures of both ways; the export that pg_restore loads."""
import os
import random
import shutil
import signal
import subprocess
import threading
import unittest
from pathlib import Path

from servers import AS_OWNER, BIN, Server, command, make_place, make_room
from support import PROGRAM, run, wait_until

ROLE, PASSWORD = "aeterna_dr", "right"

DATABASE = """
CREATE SCHEMA shop;
CREATE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := ''stamped''; RETURN NEW; END';
CREATE TABLE shop.customers (id serial PRIMARY KEY, name text NOT NULL UNIQUE, note text);
CREATE TABLE shop.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES shop.customers, what text);
CREATE INDEX orders_what ON shop.orders (what);
CREATE TRIGGER stamp BEFORE INSERT ON shop.customers FOR EACH ROW EXECUTE FUNCTION shop.stamp();
GRANT SELECT ON shop.customers TO reader;
CREATE TABLE plain (n int);
INSERT INTO shop.customers (name) SELECT 'name ' || n FROM generate_series(1, 500) n;
INSERT INTO shop.orders (customer, what) SELECT n, md5(n::text) FROM generate_series(1, 500) n;
INSERT INTO plain SELECT generate_series(1, 1000);
SELECT lo_from_bytea(0, 'large');
"""


@unittest.skipUnless((BIN / "postgres").exists(), "no PostgreSQL 15 on this machine")
class LogicalTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        make_place(cls)
        cls.host = f"127.0.76.{random.randrange(1, 250)}"
        cls.primary, cls.replica = Server(cls.place, "a", cls.host), Server(cls.place, "b", cls.host)
        command(BIN / "initdb", "-D", cls.primary.data, "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C.UTF-8")
        hba = cls.primary.data / "pg_hba.conf"
        hba.write_text(f"host all {ROLE} 127.0.0.0/8 scram-sha-256\nhost all restorer 127.0.0.0/8 scram-sha-256\n"
                       "host all builder 127.0.0.0/8 trust\n"
                       + hba.read_text() + "host all postgres 127.0.0.0/8 trust\nhost replication postgres 127.0.0.0/8 trust\n")
        cls.primary.start()
        cls.addClassCleanup(cls.primary.stop, "immediate")
        cls.primary.psql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE reader; CREATE ROLE builder CREATEDB LOGIN; "
                         f"CREATE ROLE restorer SUPERUSER LOGIN PASSWORD 'restores'; GRANT pg_monitor, pg_read_all_data TO {ROLE}; "
                         f"ALTER ROLE {ROLE} SET lo_compat_privileges = on")
        command(BIN / "pg_basebackup", "-h", cls.host, "-p", cls.primary.port, "-U", "postgres", "-D", cls.replica.data, "-R",
                "-c", "fast")
        cls.replica.start()
        cls.addClassCleanup(cls.replica.stop, "immediate")
        cls.primary.psql("CREATE DATABASE app")
        cls.primary.psql(DATABASE, "app")
        cls.primary.psql("""CREATE DATABASE "odd/na'me=x" """)
        (cls.place / "password").write_text(PASSWORD + "\n")
        (cls.place / "restorer").write_text("restores\n")

    def setUp(self):
        make_room(self)
        self.stack = self.stack_file()
        self.assertEqual(self.cli("repo", "init").code, 0)
        self.await_replay()

    def await_replay(self):
        wait_until("the replica's replay", lambda: self.replica.psql(
            f"SELECT pg_last_wal_replay_lsn() >= '{self.primary.psql('SELECT pg_current_wal_lsn()')}'") == "t", 60)

    def stack_file(self, user=ROLE, name="stack"):
        lines = ["name: test", f"state_directory: {self.room / 'state'}",
                 f"repository: {{place: {self.room / 'repo'}, key_file: {self.room / 'key'}}}", "stores:", "  postgres:",
                 "    objectives: {rto: 5m, rpo: 5m}", "    scope: test", f"    user: {user}",
                 f"    password_file: {self.place / 'password'}", "    database: postgres", "    ssl_mode: disable", "    nodes:"]
        for node, server in (("postgres-1", self.primary), ("postgres-2", self.replica)):
            lines.append(f"      - {{name: {node}, agent: {node}-agent, member: {node}, address: \"{server.host}:{server.port}\", "
                         f"patroni: \"http://{server.host}:{server.port + 1}\"}}")
        path = self.room / f"{name}.yaml"
        path.write_text("\n".join(lines) + "\n")
        return path

    def cli(self, *words, stack=None, limit="100s", **environment):
        return run("--stack", stack or self.stack, "--timeout", limit, *words, timeout=130,
                   env={"STATE_DIRECTORY": str(self.room / "state"), **environment})

    def back_up(self, *words):
        done = self.cli("--json", "backup", "postgres", "--logical", *words)
        self.assertEqual(done.code, 0, done)
        return done.json()["backup"]

    def url(self, database, server=None):
        server = server or self.primary
        return f"postgresql://restorer@{server.host}:{server.port}/{database}"

    def load(self, database, *words, server=None):
        return self.cli("--json", "restore", "postgres", "--into", self.url(database, server), "--password-file",
                        self.place / "restorer", *words)

    def new_name(self):
        name = f"new_{random.randrange(10 ** 9)}"
        self.addCleanup(self.primary.psql, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        return name

    def has_database(self, name):
        return self.primary.psql(f"SELECT count(*) FROM pg_database WHERE datname = '{name}'") == "1"

    def shape(self, database):
        """Everything that pg_dump says of a database."""
        return [line for line in command(BIN / "pg_dump", "-h", self.place, "-p", self.primary.port, "-U", "postgres", database)
                .splitlines() if not line.startswith(("--", "\\restrict", "\\unrestrict"))]

    def assert_no_backup(self):
        self.assertEqual(self.cli("--json", "backups", "list").json()["backups"], [])
        checked = self.cli("repo", "check", "--read-data")
        self.assertEqual(checked.code, 0, checked)

    def test_everything_goes_in_and_comes_back(self):
        backup = self.back_up()
        self.assertEqual((backup["kind"], backup["store"], backup["node"]), ("logical", "postgres", "postgres-2"))
        details = backup["details"]
        self.assertTrue(details["from_replica"])
        self.assertTrue(details["has_passwords"])  # pg_read_all_data reads them
        self.assertEqual([one["name"] for one in details["databases"]], ["app", "odd/na'me=x", "postgres"])
        name = self.new_name()
        done = self.load(name, "--database", "app")
        self.assertEqual(done.code, 0, done)
        # A replica's sequences are up to 32 values ahead, because the primary logs them so.
        self.assertEqual(*([line for line in self.shape(one) if "setval" not in line] for one in (name, "app")))
        self.assertEqual(self.primary.psql("SELECT convert_from(lo_get(oid), 'UTF8') FROM pg_largeobject_metadata", name), "large")
        # Plain files for whoever has no more than the repository.
        done = self.cli("restore", "files", backup["id"], "--into", self.room / "files")
        self.assertEqual(done.code, 0, done)
        self.assertEqual(sorted(os.listdir(self.room / "files")),
                         ["app.dump", "globals.sql", "odd%2Fna%27me%3Dx.dump", "postgres.dump"])
        text = (self.room / "files" / "globals.sql").read_text()
        self.assertIn("CREATE ROLE reader", text)
        self.assertIn("SCRAM", text)

    def test_the_next_dump_stores_what_changed(self):
        # A vacuum between the two would let short rows fill gaps everywhere: without it they come last.
        self.primary.psql("CREATE TABLE wide WITH (autovacuum_enabled = off) AS SELECT n, md5(n::text) || md5((n * 7)::text) AS text FROM generate_series(1, 300000) n", "app")
        self.addCleanup(self.primary.psql, "DROP TABLE wide", "app")
        first = self.back_up("--node", "postgres-1", "--database", "app")
        self.primary.psql("INSERT INTO wide SELECT n, md5(n::text) FROM generate_series(300001, 303000) n", "app")
        second = self.back_up("--node", "postgres-1", "--database", "app")
        self.assertEqual(second["parent"], first["id"])
        self.assertLess(second["stored_bytes"], first["stored_bytes"] / 10)
        # Larger than one block and one segment of a stream.
        self.assertGreater(first["bytes"], 20 << 20)
        name = self.new_name()
        self.assertEqual(self.load(name, "--to", first["id"]).code, 0)
        self.assertEqual(self.primary.psql("SELECT count(*), max(n) FROM wide", name), "300000|300000")

    def test_one_table_comes_with_all_that_is_its_own(self):
        self.back_up()
        name = self.new_name()
        done = self.load(name, "--database", "app", "--table", "shop.customers")
        self.assertEqual(done.code, 0, done)
        self.assertIn("TRIGGER shop.customers stamp", done.json()["restore"]["left_out"])
        self.assertEqual(self.primary.psql("SELECT count(*) FROM shop.customers", name), "500")
        self.assertEqual(self.primary.psql("INSERT INTO shop.customers (name) VALUES ('next') RETURNING id > 500", name), "t")
        self.assertEqual(self.primary.psql("SELECT conname FROM pg_constraint WHERE conrelid = 'shop.customers'::regclass ORDER BY 1", name),
                         "customers_name_key\ncustomers_pkey")
        self.assertEqual(self.primary.psql("SELECT has_table_privilege('reader', 'shop.customers', 'SELECT')", name), "t")
        self.assertEqual(self.primary.psql("SELECT to_regclass('shop.orders') IS NULL AND to_regclass('plain') IS NULL", name), "t")

    def test_a_dropped_table_comes_back_into_the_live_database(self):
        self.back_up("--node", "postgres-1")
        before = self.shape("app")
        self.primary.psql("DROP TABLE plain", "app")
        # Not without leave, and a dry run needs none.
        done = self.load("app", "--table", "plain")
        self.assertEqual(done.code, 7, done)
        self.assertEqual(self.load("app", "--table", "plain", "--dry-run").code, 0)
        self.assertEqual(self.primary.psql("SELECT to_regclass('plain') IS NULL", "app"), "t")
        done = self.load("app", "--table", "plain", "--yes")
        self.assertEqual(done.code, 0, done)
        self.assertEqual(self.shape("app"), before)

    def test_what_is_there_is_never_added_to(self):
        self.back_up("--node", "postgres-1")
        before = self.shape("app")
        for words in (["--table", "plain"], []):
            done = self.load("app", *words, "--yes")
            self.assertEqual(done.code, 1, done)
            self.assertIn("already exists", done.err)
            self.assertEqual(self.shape("app"), before)
        self.primary.psql("DELETE FROM plain WHERE n > 10", "app")
        done = self.load("app", "--table", "plain", "--clean", "--yes")
        self.assertEqual(done.code, 0, done)
        self.assertEqual(self.shape("app"), before)

    def test_one_schema_into_a_database_that_is_there(self):
        self.back_up()
        name = self.new_name()
        self.primary.psql(f"CREATE DATABASE {name}")
        done = self.load(name, "--database", "app", "--schema", "shop", "--yes")
        self.assertEqual(done.code, 0, done)
        self.assertEqual(self.primary.psql("SELECT count(*) FROM shop.orders JOIN shop.customers c ON c.id = customer", name), "500")
        self.assertEqual(self.primary.psql("SELECT to_regclass('plain') IS NULL", name), "t")
        self.assertEqual(self.primary.psql("SELECT count(*) FROM pg_constraint WHERE contype = 'f'", name), "1")

    def test_a_restore_that_fails_leaves_no_database(self):
        self.back_up()
        self.primary.psql("CREATE ROLE gone; ALTER TABLE plain OWNER TO gone", "app")
        self.addCleanup(self.primary.psql, "ALTER TABLE plain OWNER TO postgres; DROP ROLE IF EXISTS gone", "app")
        backup = self.back_up("--node", "postgres-1")
        self.primary.psql("ALTER TABLE plain OWNER TO postgres; DROP ROLE gone", "app")
        name = self.new_name()
        done = self.load(name, "--database", "app", "--to", backup["id"])
        self.assertEqual(done.code, 1, done)
        self.assertIn('role "gone" does not exist', done.err)
        self.assertIn("--no-owner", done.err)
        self.assertFalse(self.has_database(name))
        self.assertFalse(self.has_database(f"being_restored_{name}"))
        self.assertEqual(self.load(name, "--database", "app", "--to", backup["id"], "--no-owner").code, 0)
        self.assertEqual(self.primary.psql("SELECT tableowner FROM pg_tables WHERE tablename = 'plain'", name), "restorer")

    def held_load(self, name):
        """A restore into the new database `name`, as a process, that waits in the middle until the role 'hold' is gone; and
        the name that the database has until then."""
        self.primary.psql("CREATE FUNCTION waits() RETURNS bool LANGUAGE plpgsql AS 'BEGIN WHILE current_database() <> ''app'' AND "
                          "EXISTS (SELECT FROM pg_roles WHERE rolname = ''hold'') LOOP PERFORM pg_sleep(0.05); END LOOP; RETURN true; END';"
                          "CREATE TABLE held (n int CHECK (waits())); INSERT INTO held VALUES (1)", "app")
        self.addCleanup(self.primary.psql, "DROP TABLE held; DROP FUNCTION waits", "app")
        self.back_up("--node", "postgres-1")
        self.primary.psql("CREATE ROLE hold")
        self.addCleanup(self.primary.psql, "DROP ROLE IF EXISTS hold")
        unfinished = f"being_restored_{name}"
        self.addCleanup(self.primary.psql, f"DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")
        loading = subprocess.Popen([PROGRAM, "--stack", self.stack, "--timeout", "100s", "restore", "postgres", "--into", self.url(name),
                                    "--password-file", self.place / "restorer", "--database", "app"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (loading.kill(), loading.wait()))
        wait_until("the restore's middle", lambda: self.sessions(unfinished, "wait_event = 'PgSleep'"), 60)
        return loading, unfinished

    def sessions(self, database, condition="true"):
        return self.primary.psql(f"SELECT pid FROM pg_stat_activity WHERE datname = '{database}' AND {condition}").split()

    def test_what_a_killed_restore_leaves_never_has_the_name(self):
        name = self.new_name()
        loading, unfinished = self.held_load(name)
        second = self.load(name, "--database", "app")
        self.assertEqual(second.code, 5, second)
        self.assertIn("another restore", second.err)
        # One that cannot cancel its statement any more, as it does when only we are killed.
        program, = (int(word) for word in Path(f"/proc/{loading.pid}/task/{loading.pid}/children").read_text().split())
        os.kill(program, signal.SIGSTOP)
        loading.kill()
        loading.wait()
        os.kill(program, signal.SIGKILL)
        self.assertFalse(self.has_database(name))
        # Its session has not noticed yet; a person who looks at what is left would be one like it.
        wait_until("the end of the lock", lambda: self.primary.psql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0", 60)
        self.assertTrue(self.sessions(unfinished))
        second = self.load(name, "--database", "app")
        self.assertEqual(second.code, 5, second)
        self.assertIn(unfinished, second.err)
        self.primary.psql("DROP ROLE hold")
        wait_until("the end of its session", lambda: not self.sessions(unfinished), 60)
        self.assertTrue(self.has_database(unfinished))
        dry = self.load(name, "--database", "app", "--dry-run")
        self.assertEqual(dry.json()["restore"]["target"]["leftover"], unfinished)
        done = self.load(name, "--database", "app")
        self.assertEqual(done.code, 0, done)
        self.assertEqual(self.primary.psql("SELECT count(*) FROM plain", name), "1000")
        self.assertFalse(self.has_database(unfinished))

    def test_what_a_killed_restore_was_doing_ends_with_it(self):
        loading, unfinished = self.held_load(self.new_name())
        loading.kill()
        loading.wait()
        wait_until("the end of its session, which waits", lambda: not self.sessions(unfinished), 30)
        self.primary.psql("DROP ROLE hold")

    def test_who_looks_at_an_unfinished_database_does_not_keep_it_from_its_name(self):
        name = self.new_name()
        loading, unfinished = self.held_load(name)
        guest = subprocess.Popen([BIN / "psql", "-X", "-h", self.primary.host, "-p", str(self.primary.port), "-U", "postgres", "-c",
                                  "SELECT pg_sleep(1000)", unfinished], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (guest.kill(), guest.wait()))
        wait_until("the guest", lambda: len(self.sessions(unfinished, "wait_event = 'PgSleep'")) == 2, 60)
        self.primary.psql("DROP ROLE hold")
        self.assertEqual(loading.wait(60), 0)
        self.assertEqual(self.primary.psql("SELECT count(*) FROM plain", name), "1000")
        self.assertFalse(self.has_database(unfinished))

    def test_a_name_that_is_taken_meanwhile_loses_nothing(self):
        name = self.new_name()
        loading, unfinished = self.held_load(name)
        self.primary.psql(f"CREATE DATABASE {name}")
        self.primary.psql("DROP ROLE hold")
        self.assertEqual(loading.wait(60), 3)
        self.assertEqual(self.primary.psql("SELECT count(*) FROM plain", unfinished), "1000")
        # What is whole is not taken for a leftover.
        self.primary.psql(f"DROP DATABASE {name}")
        done = self.load(name, "--database", "app")
        self.assertEqual(done.code, 5, done)
        self.assertIn("has everything", done.err)
        self.assertEqual(self.primary.psql("SELECT count(*) FROM plain", unfinished), "1000")

    def test_a_database_of_somebody_elses_is_left_alone(self):
        name = self.new_name()
        self.back_up()
        self.primary.psql(f"CREATE DATABASE being_restored_{name}")
        self.addCleanup(self.primary.psql, f"DROP DATABASE being_restored_{name}")
        done = self.load(name, "--database", "app")
        self.assertEqual(done.code, 5, done)
        self.assertIn("no unfinished restore of ours", done.err)
        self.assertFalse(self.has_database(name))

    def test_who_may_make_databases_may_restore_into_a_new_one(self):
        self.back_up()
        for name in (self.new_name(), self.new_name() + "_" + "n" * 50):
            self.addCleanup(self.primary.psql, f"DROP DATABASE IF EXISTS {name}")
            done = self.cli("restore", "postgres", "--into", self.url(name).replace("restorer@", "builder@"), "--database", "app", "--table",
                            "plain", "--no-owner")
            self.assertEqual(done.code, 0, done)
            self.assertEqual(self.primary.psql("SELECT count(*), current_database() FROM plain", name), f"1000|{name[:63]}")
        self.assertEqual(self.primary.psql("SELECT count(*) FROM pg_database WHERE datname ~ '^being_restored'"), "0")
        self.assertEqual(self.primary.psql("SELECT count(*) FROM pg_shdescription WHERE description ~ '^aeterna'"), "0")

    def test_the_deadline_ends_a_restore_and_nothing_of_it_is_there(self):
        self.back_up()
        name = self.new_name()
        self.primary.psql(f"CREATE DATABASE {name}")
        self.primary.psql("CREATE FUNCTION wait() RETURNS event_trigger LANGUAGE plpgsql AS "
                          "'BEGIN IF to_regclass(''public.plain'') IS NOT NULL THEN PERFORM pg_sleep(1000); END IF; END'; "
                          "CREATE EVENT TRIGGER wait ON ddl_command_end EXECUTE FUNCTION wait()", name)
        done = self.cli("restore", "postgres", "--into", self.url(name), "--password-file", self.place / "restorer", "--database", "app",
                        "--yes", limit="5s")
        self.assertEqual(done.code, 8, done)
        self.primary.psql(f"SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = '{name}'")
        self.assertEqual(self.primary.psql("SELECT to_regnamespace('shop') IS NULL", name), "t")

    def test_wrong_words_are_refused_in_one_line(self):
        self.back_up()
        for words, said in ((("--into", "postgresql://me:hush@h/x"), "password"),
                            (("--into", "mysql://h/x"), "names"),
                            (("--into", self.url("x"), "--tablespace", "1=/x"), "--tablespace"),
                            (("--into", self.room / "x", "--clean"), "--clean"),
                            (("--into", self.url("x"), "--password-file", self.place / "restorer"), "databases")):
            done = self.cli("restore", "postgres", *words)
            self.assertEqual(done.code, 2, done)
            self.assertIn(said, done.err)
            self.assertNotIn("hush", done.err)
        done = self.load("x", "--database", "app", server=self.replica)
        self.assertEqual(done.code, 5, done)
        done = self.cli("backup", "postgres", "--logical", "--label", "x")
        self.assertEqual(done.code, 2, done)
        done = self.cli("backup", "postgres", "--logical", "--database", "none")
        self.assertEqual(done.code, 2, done)
        self.assertIn("odd/na'me=x", done.err)

    def test_a_role_that_may_not_read_gives_no_backup(self):
        self.primary.psql("CREATE ROLE mere LOGIN")
        self.addCleanup(self.primary.psql, "DROP ROLE mere")
        hba = self.primary.data / "pg_hba.conf"
        text = hba.read_text()
        hba.write_text("host all mere 127.0.0.0/8 trust\n" + text)
        self.addCleanup(self.primary.psql, "SELECT pg_reload_conf()")
        self.addCleanup(hba.write_text, text)
        self.primary.psql("SELECT pg_reload_conf()")
        mere = self.stack_file("mere", "mere")
        done = wait_until("the new rule", lambda: (lambda d: d if "permission" in d.err else None)(
            self.cli("backup", "postgres", "--logical", "--node", "postgres-1", stack=mere)), 60)
        self.assertEqual(done.code, 1, done)
        self.assertIn("permission denied for schema shop", done.err)
        self.assertIn("pg_read_all_data", done.err)
        self.assertEqual(len([line for line in done.err.splitlines() if line.startswith("aeterna-dr:")]), 1)
        self.assert_no_backup()
        # What it may read comes, and the roles without their passwords.
        done = self.cli("backup", "postgres", "--logical", "--database", "odd/na'me=x", "--node", "postgres-1", stack=mere)
        self.assertEqual(done.code, 0, done)
        self.assertIn("without their passwords", done.err)
        self.assertEqual(self.cli("restore", "files", "latest", "--into", self.room / "files").code, 0)
        text = (self.room / "files" / "globals.sql").read_text()
        self.assertIn("CREATE ROLE reader", text)
        self.assertNotIn("SCRAM", text)

    def hold_a_lock(self):
        """A session that keeps everybody from reading a table, until the test is over."""
        holder = subprocess.Popen([*AS_OWNER, BIN / "psql", "-qAtX", "-h", self.place, "-p", str(self.primary.port), "-U", "postgres", "app"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")
        holder.stdin.write("BEGIN; LOCK TABLE plain IN ACCESS EXCLUSIVE MODE; SELECT 'held';\n")
        holder.stdin.flush()
        self.assertEqual(holder.stdout.readline().strip(), "held")

        def release():
            holder.stdin.close()
            holder.wait(60)
            holder.stdout.close()
        self.addCleanup(release)

    def dumps(self):
        return self.primary.psql("SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE datname = 'app' AND usename = "
                                 f"'{ROLE}' AND wait_event_type = 'Lock'")

    def pg_dump_processes(self):
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"pg_dump") and f"port={self.primary.port}".encode() in b" ".join(words):
                found.append((int(entry), words))
        return found

    def test_deadline_and_stop_end_the_dump_and_its_process(self):
        self.hold_a_lock()
        done = self.cli("backup", "postgres", "--logical", "--node", "postgres-1", limit="4s")
        self.assertEqual(done.code, 8, done)
        self.assertEqual(self.pg_dump_processes(), [])
        program = subprocess.Popen([PROGRAM, "--stack", self.stack, "backup", "postgres", "--logical", "--node", "postgres-1"],
                                   stderr=subprocess.PIPE, text=True, env={**os.environ, "STATE_DIRECTORY": str(self.room / "state")})
        try:
            # The server's side of the first one may still be waiting for the lock.
            (_, words), = wait_until("the dump", self.pg_dump_processes, 60)
            self.assertNotIn(PASSWORD.encode(), b" ".join(words))
            program.send_signal(signal.SIGTERM)
            self.assertEqual(program.wait(60), 130)
        finally:
            program.kill()
            program.communicate()
        self.assertEqual(self.pg_dump_processes(), [])
        self.assert_no_backup()

    def test_a_dump_that_dies_is_no_backup(self):
        self.hold_a_lock()
        done = []
        worker = threading.Thread(target=lambda: done.append(self.cli("backup", "postgres", "--logical", "--node", "postgres-1")))
        worker.start()
        try:
            wait_until("the dump's wait", self.dumps, 60)
            (pid, _), = self.pg_dump_processes()
            os.kill(pid, signal.SIGKILL)
        finally:
            worker.join(120)
        self.assertEqual(done[0].code, 1, done)
        self.assertIn("pg_dump was ended by signal 9", done[0].err)
        self.assert_no_backup()

    def test_a_session_that_is_ended_is_no_backup(self):
        self.hold_a_lock()
        done = []
        worker = threading.Thread(target=lambda: done.append(self.cli("backup", "postgres", "--logical", "--node", "postgres-1")))
        worker.start()
        try:
            pids = wait_until("the dump's wait", self.dumps, 60)
            self.primary.psql(f"SELECT pg_terminate_backend({pids.split()[0]})")
        finally:
            worker.join(120)
        self.assertEqual(done[0].code, 1, done)
        self.assertIn("terminating connection", done[0].err)
        self.assert_no_backup()

    def test_an_export_is_what_stock_tools_load(self):
        self.back_up("--node", "postgres-1")
        output = self.room / "latest.dump"
        done = self.cli("export", "postgres", "latest", "--output", output)
        self.assertEqual(done.code, 2, done)  # which database
        done = self.cli("export", "postgres", "latest", "--database", "app", "--output", output)
        self.assertEqual(done.code, 0, done)
        self.assertEqual(output.stat().st_mode & 0o777, 0o600)
        name = self.new_name()
        self.primary.psql(f"CREATE DATABASE {name}")
        if AS_OWNER:
            shutil.chown(output, "postgres")
        command(BIN / "pg_restore", "--exit-on-error", "-j", "2", "-h", self.place, "-p", self.primary.port, "-U", "postgres", "-d", name, output)
        self.assertEqual(self.shape(name), self.shape("app"))
        content = output.read_bytes()
        self.assertEqual(self.cli("export", "postgres", "latest", "--database", "app", "--output", output).code, 1)
        self.assertEqual(self.cli("export", "postgres", "latest", "--database", "app", "--output", output, "--replace").code, 0)
        self.assertEqual(output.read_bytes(), content)
        self.assertEqual([path.name for path in self.room.glob("*.aeterna")], [])


if __name__ == "__main__":
    unittest.main()
