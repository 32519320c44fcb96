"""One table, or a whole database, out of a base backup and the captured WAL into a server that runs, by a server in a sandbox
that lives only meanwhile: at any time, with all that is the table's own, and nothing left behind."""
import os
import unittest

from capturing import ADDRESS, as_server, iso
from restoring import RestoringTest
from support import wait_until


class TableRestoreTest(RestoringTest):
    def setUp(self):
        super().setUp()
        self.primary.sql("CREATE SCHEMA shop")
        self.primary.sql("CREATE TYPE shop.state AS ENUM ('open', 'paid')")
        self.primary.sql("CREATE TABLE shop.customers (id serial PRIMARY KEY, name text)")
        self.primary.sql("CREATE TABLE shop.\"odd Orders\" (id serial PRIMARY KEY, customer int REFERENCES shop.customers, note text UNIQUE)")
        self.primary.sql("CREATE TABLE shop.events (id int, at date) PARTITION BY RANGE (id)")
        self.primary.sql("CREATE TABLE shop.events_1 PARTITION OF shop.events FOR VALUES FROM (0) TO (1000)")
        # What nobody asks for; its rows must not be dumped.
        self.primary.sql("CREATE TABLE shop.noise AS SELECT n, repeat(md5(n::text), 20) AS filler FROM generate_series(1, 30000) n")
        self.primary.sql("INSERT INTO shop.customers (name) VALUES ('one'), ('two')")
        self.watch()
        self.back_up()
        self.pass_checkpoint_time()
        self.primary.sql("INSERT INTO shop.\"odd Orders\" (customer, note) VALUES (1, 'first'), (2, 'second')")
        self.primary.sql("INSERT INTO shop.events VALUES (7, '2026-03-01')")
        self.moment = self.insert(1)
        self.primary.sql("SELECT pg_sleep(0.01)")
        self.primary.sql("DELETE FROM shop.\"odd Orders\" WHERE note = 'second'")
        self.insert(2)
        self.await_durable(self.primary)
        self.to = iso(self.moment)

    def url(self, database):
        return f"postgresql://postgres@{ADDRESS}:{self.primary.port}/{database}"

    def load(self, *words, database="rescued", code=0):
        done = self.cli("--json", "restore", "postgres", "--into", self.url(database), "--database", "postgres", *words)
        self.assertEqual(done.code, code, done)
        state = self.place / "state"
        self.assertEqual([name for name in os.listdir(state) if name.startswith("restore-test-")] if state.exists() else [], [])
        self.assertEqual(as_server("pgrep", "-f", f"{self.room.name}.*/restore-test-").out, "")
        return done

    def ask(self, database, sql):
        dsn, self.primary.dsn = self.primary.dsn, lambda: f"host={ADDRESS} port={self.primary.port} user=postgres dbname={database}"
        try:
            return self.primary.sql(sql)
        finally:
            self.primary.dsn = dsn

    def has_database(self, name):
        return bool(self.primary.sql("SELECT 1 FROM pg_database WHERE datname = %s", name))

    def test_one_table_as_it_was(self):
        done = self.load("--to", self.to, "--table", "shop.odd Orders")
        self.assertEqual(self.ask("rescued", 'SELECT id, customer, note FROM shop."odd Orders" ORDER BY id'), [(1, 1, "first"), (2, 2, "second")])
        self.assertEqual(self.ask("rescued", "SELECT count(*) FROM pg_tables WHERE schemaname = 'shop'"), [(1,)])
        self.ask("rescued", 'INSERT INTO shop."odd Orders" (note) VALUES (\'its sequence goes on\')')
        with self.assertRaisesRegex(Exception, "duplicate"):
            self.ask("rescued", 'INSERT INTO shop."odd Orders" (note) VALUES (\'first\')')
        restore = done.json()["restore"]
        self.assertLess(restore["restored_bytes"], 200_000, "the rows of other tables came along")
        self.assertEqual((restore["tables"], restore["replay"]["timeline"], restore["target"]["exists"]), (["shop.odd Orders"], 1, False))
        self.assertIn("left out, because it needs more than this: FK CONSTRAINT", done.err)
        # Partitions belong to their table.
        self.load("--to", self.to, "--table", "shop.events", database="parts")
        self.assertEqual(self.ask("parts", "SELECT id FROM shop.events"), [(7,)])

    def test_a_dropped_table_comes_back_into_the_live_database(self):
        self.primary.sql('DROP TABLE shop."odd Orders"')
        words = ("--to", self.to, "--table", "shop.odd Orders")
        done = self.load(*words, database="postgres", code=7)
        self.assertIn("the one that the backup is of", done.err)
        self.load(*words, "--yes", database="postgres")
        self.assertEqual(self.primary.sql('SELECT note FROM shop."odd Orders" ORDER BY 1'), [("first",), ("second",)])
        # A foreign key comes only with both of its tables.
        self.assertEqual(self.primary.sql("SELECT 1 FROM pg_constraint WHERE contype = 'f'"), [])
        # It is there now: nothing is added to it.
        done = self.load(*words, "--yes", database="postgres", code=1)
        self.assertIn("already exists", done.err)

    def test_a_whole_database_and_the_end_of_all_wal(self):
        self.load("--to", self.to)
        self.assertEqual(self.ask("rescued", "SELECT id FROM ledger"), [(1,)])
        self.assertEqual(self.ask("rescued", "SELECT count(*) FROM shop.noise"), [(30000,)])
        # Without any dump in the repository 'latest' is the end of the WAL; with one, that.
        self.load("--table", "ledger", database="newest")
        self.assertEqual(self.ask("newest", "SELECT id FROM ledger ORDER BY 1"), [(1,), (2,)])
        self.back_up("--logical")
        self.insert(3)
        self.await_durable(self.primary)
        self.load("--table", "ledger", database="dumped")
        self.assertEqual(self.ask("dumped", "SELECT count(*) FROM ledger"), [(2,)])
        self.load("--table", "ledger", "--kind", "base", database="captured")
        self.assertEqual(self.ask("captured", "SELECT count(*) FROM ledger"), [(3,)])

    def test_an_unlogged_table_takes_no_live_rows(self):
        self.primary.sql("CREATE UNLOGGED TABLE shop.sessions AS SELECT 1 AS id")
        moment = self.insert(3)
        self.primary.sql("SELECT pg_sleep(0.01)")
        self.insert(4)
        self.await_durable(self.primary)
        words = ("--to", iso(moment), "--table", "shop.sessions")
        done = self.load(*words, "--clean", "--yes", database="postgres", code=5)
        self.assertIn("shop.sessions", done.err)
        self.assertEqual(self.primary.sql("SELECT id FROM shop.sessions"), [(1,)])
        self.assertIn("'shop.sessions' is unlogged", self.load(*words).err)
        self.assertEqual(self.ask("rescued", "SELECT count(*) FROM shop.sessions"), [(0,)])

    def test_what_cannot_be_is_refused_and_leaves_nothing(self):
        def refused(code, text, *words):
            done = self.load(*words, code=code)
            self.assertIn(text, done.err + done.out)
            self.assertFalse(self.has_database("rescued"))
        refused(1, "has no table 'shop.nothing'", "--to", self.to, "--table", "shop.nothing")
        refused(1, "lead to", "--to", "2001-01-01T00:00:00Z", "--table", "ledger")
        refused(1, "lies behind it", "--to", "lsn:F/0", "--table", "ledger")
        refused(2, "/nowhere", "--to", self.to, "--server-bin", "/nowhere")
        refused(2, "nobody_here", "--to", self.to, "--table", "ledger", "--superuser", "nobody_here")
        done = self.cli("restore", "postgres", "--into", self.place / "directory", "--work", self.place)
        self.assertEqual(done.code, 2, done)
        self.back_up("--logical")
        refused(2, "base backups", "--table", "ledger", "--timeline", "1")
        done = self.cli("--timeout", "1s", "restore", "postgres", "--into", self.url("rescued"), "--database", "postgres", "--to", self.to)
        self.assertEqual(done.code, 8, done)
        self.assertFalse(self.has_database("rescued"))
        plan = self.load("--to", self.to, "--table", "ledger", "--dry-run").json()["restore"]
        self.assertTrue(plan["dry_run"])
        self.assertFalse(self.has_database("rescued"))

    def test_killed_it_leaves_what_the_next_one_removes(self):
        process = self.begin("restore", "postgres", "--into", self.url("rescued"), "--database", "postgres", "--to", self.to)
        for line in process.stderr:
            if "dumping" in line:
                break
        process.kill()
        process.wait()
        wait_until("the end of its session", lambda: not self.primary.sql("SELECT 1 FROM pg_stat_activity WHERE application_name = 'pg_restore'"), 30)
        self.primary.sql("DROP DATABASE IF EXISTS rescued")
        self.load("--to", self.to, "--table", "ledger")
        self.assertEqual(self.ask("rescued", "SELECT id FROM ledger"), [(1,)])


if __name__ == "__main__":
    unittest.main()
