"""Base backups of a real PostgreSQL primary with a streaming replica, by BASE_BACKUP into the repository, and restores that
stock pg_ctl brings up: under load, with a tablespace, from the replica; with a stream that is cut, changed, or whose server dies."""
import os
import random
import signal
import socket
import subprocess
import threading
import unittest
from pathlib import Path

from servers import AS_OWNER, BIN, Server, command, make_place, make_room
from support import run, wait_until

ROLE, PASSWORD = "aeterna_dr", "right"


class Proxy:
    """Between us and a server: passes everything on, but may change what the server sends, or cut it off."""

    def __init__(self, target, host, change=None, cut_after=None):
        self.target, self.change, self.cut_after, self.changed = target, change, cut_after, False
        self.listener = socket.create_server((host, 0))
        self.address = self.listener.getsockname()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            threading.Thread(target=self.copy, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.copy, args=(server, client, True), daemon=True).start()

    def copy(self, source, sink, is_answer):
        passed = 0
        try:
            while data := source.recv(1 << 16):
                if is_answer and self.change and self.change[0] in data:
                    data, self.changed = data.replace(*self.change), True
                sink.sendall(data)
                passed += len(data)
                if is_answer and self.cut_after and passed > self.cut_after:
                    break
        except OSError:
            pass
        # Ends the other direction too, which then closes its own socket.
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        source.close()

    def close(self):
        self.listener.close()


@unittest.skipUnless((BIN / "postgres").exists(), "no PostgreSQL 15 on this machine")
class BackupPostgresTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        make_place(cls)
        cls.host = f"127.0.74.{random.randrange(1, 250)}"
        cls.primary, cls.replica = Server(cls.place, "a", cls.host), Server(cls.place, "b", cls.host)
        command(BIN / "initdb", "-D", cls.primary.data, "-U", "postgres", "-A", "trust", "--data-checksums", "--no-sync",
                "--locale=C.UTF-8")
        with open(cls.primary.data / "pg_hba.conf", "a") as hba:
            hba.write("host all postgres 127.0.0.0/8 trust\nhost replication postgres 127.0.0.0/8 trust\n")
        text = (cls.primary.data / "pg_hba.conf").read_text()
        lines = f"host all {ROLE} 127.0.0.0/8 scram-sha-256\nhost replication {ROLE} 127.0.0.0/8 scram-sha-256\n" \
                "host all mere 127.0.0.0/8 trust\nhost replication mere 127.0.0.0/8 trust\n"
        (cls.primary.data / "pg_hba.conf").write_text(lines + text)
        # As Patroni writes it: absolute, so that a copy elsewhere would go by the live server's rules.
        with open(cls.primary.data / "postgresql.conf", "a") as conf:
            conf.write(f"hba_file = '{cls.primary.data}/pg_hba.conf'\nident_file = '{cls.primary.data}/pg_ident.conf'\n")
        cls.primary.start()
        cls.addClassCleanup(cls.primary.stop, "immediate")
        for name in ("space-a", "space-b"):
            command("mkdir", cls.place / name)
        cls.primary.psql(f"CREATE ROLE {ROLE} LOGIN REPLICATION PASSWORD '{PASSWORD}'")
        cls.primary.psql(f"GRANT pg_monitor TO {ROLE}")
        cls.primary.psql("CREATE ROLE mere LOGIN")
        cls.primary.psql(f"CREATE TABLESPACE elsewhere LOCATION '{cls.place / 'space-a'}'")
        command(BIN / "pg_basebackup", "-h", cls.host, "-p", cls.primary.port, "-U", "postgres", "-D", cls.replica.data, "-R",
                "-c", "fast", "-T", f"{cls.place / 'space-a'}={cls.place / 'space-b'}")
        cls.replica.start()
        cls.addClassCleanup(cls.replica.stop, "immediate")
        cls.primary.psql("CREATE TABLE marked TABLESPACE elsewhere AS SELECT n, 'aeterna-marker' AS text FROM generate_series(1, 20000) n")
        command(BIN / "pgbench", "-h", cls.place, "-p", cls.primary.port, "-U", "postgres", "-i", "-s", "6", "-q", "postgres")
        (cls.place / "password").write_text(PASSWORD + "\n")
        cls.oid = cls.primary.psql("SELECT oid FROM pg_tablespace WHERE spcname = 'elsewhere'")

    def setUp(self):
        make_room(self)
        self.stack = self.stack_file([("postgres-1", (self.host, self.primary.port)), ("postgres-2", (self.host, self.replica.port))])
        self.assertEqual(self.cli("repo", "init").code, 0)
        self.await_replay()

    def await_replay(self):
        wait_until("the replica's replay", lambda: self.replica.psql(
            f"SELECT pg_last_wal_replay_lsn() >= '{self.primary.psql('SELECT pg_current_wal_lsn()')}'") == "t", 60)

    def stack_file(self, nodes, user=ROLE, name="stack"):
        lines = ["name: test", f"state_directory: {self.room / 'state'}",
                 f"repository: {{place: {self.room / 'repo'}, key_file: {self.room / 'key'}}}", "stores:", "  postgres:",
                 "    objectives: {rto: 5m, rpo: 5m}", "    scope: test", f"    user: {user}",
                 f"    password_file: {self.place / 'password'}", "    database: postgres", "    ssl_mode: disable", "    nodes:"]
        for node, (host, port) in nodes:
            lines.append(f"      - {{name: {node}, agent: {node}-agent, member: {node}, address: \"{host}:{port}\", "
                         f"patroni: \"http://{host}:{port + 1}\"}}")
        path = self.room / f"{name}.yaml"
        path.write_text("\n".join(lines) + "\n")
        return path

    def cli(self, *words, stack=None, timeout=120):
        return run("--stack", stack or self.stack, "--timeout", "100s", *words, timeout=timeout,
                   env={"STATE_DIRECTORY": str(self.room / "state")})

    def back_up(self, *words):
        done = self.cli("--json", "backup", "postgres", *words)
        self.assertEqual(done.code, 0, done)
        return done.json()["backup"]

    def restore(self, *words, into="restored"):
        target = self.room / into
        done = self.cli("--json", "restore", "postgres", "--into", target, "--tablespace", f"{self.oid}={target}-space", *words)
        self.assertEqual(done.code, 0, done)
        server = Server(self.room, into, self.host)
        self.addCleanup(server.stop, "immediate")
        return server, done.json()["restore"]

    def assert_no_backup(self):
        self.assertEqual(self.cli("--json", "backups", "list").json()["backups"], [])
        checked = self.cli("repo", "check", "--read-data")
        self.assertEqual(checked.code, 0, checked)

    def test_a_backup_under_load_restores_to_a_consistent_server(self):
        load = subprocess.Popen([*AS_OWNER, BIN / "pgbench", "-h", self.place, "-p", str(self.primary.port), "-U", "postgres",
                                 "-T", "100", "-c", "2", "-n", "postgres"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                cwd="/", start_new_session=True)
        try:
            wait_until("the load", lambda: int(self.replica.psql("SELECT count(*) FROM pgbench_history")) > 100, 60)
            backup = self.back_up()
        finally:
            os.killpg(load.pid, signal.SIGTERM)
            load.wait()
        self.assertEqual((backup["node"], backup["kind"], backup["store"]), ("postgres-2", "base", "postgres"))
        details = backup["details"]
        self.assertEqual((details["timeline"], details["from_replica"], details["damaged_pages"]), (1, True, 0))
        self.assertEqual(details["system_identifier"],
                         self.primary.psql("SELECT system_identifier FROM pg_control_system()"))
        server, restored = self.restore()
        self.assertEqual(restored["backup"], backup["id"])
        command(BIN / "pg_verifybackup", "-n", server.data)
        self.assertEqual(os.stat(server.data).st_mode & 0o777, 0o700)
        self.assertFalse((server.data / "standby.signal").exists())
        server.start()
        self.assertEqual(server.psql("SELECT pg_is_in_recovery(), current_setting('archive_mode'), "
                                     "current_setting('primary_conninfo'), current_setting('hba_file'), "
                                     "current_setting('ident_file')"),
                         f"f|off||{server.data}/pg_hba.conf|{server.data}/pg_ident.conf")
        sums = server.psql("SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers), "
                           "(SELECT sum(bbalance) FROM pgbench_branches), (SELECT sum(delta) FROM pgbench_history)").split("|")
        self.assertEqual(len(set(sums)), 1, sums)
        self.assertGreaterEqual(int(server.psql("SELECT count(*) FROM pgbench_history")), 100)
        self.assertEqual(server.psql("SELECT count(*), min(text) FROM marked"), "20000|aeterna-marker")
        command(BIN / "pg_amcheck", "-h", self.room, "-p", server.port, "-U", "postgres", "--install-missing", "--heapallindexed",
                "--all")
        server.psql("INSERT INTO marked VALUES (0, 'it takes writes')")
        server.stop()
        command(BIN / "pg_checksums", "--check", "-D", server.data)

    def test_the_next_backup_stores_what_changed(self):
        self.primary.psql("VACUUM FREEZE")
        self.primary.psql("CHECKPOINT")
        first = self.back_up("--node", "postgres-1")
        self.primary.psql("UPDATE pgbench_accounts SET filler = 'changed' WHERE aid BETWEEN 1000 AND 1100")
        second = self.back_up("--node", "postgres-1", "--manifest-checksums", "SHA256")
        self.assertEqual(second["parent"], first["id"])
        self.assertFalse(second["details"]["from_replica"])
        self.assertLess(second["stored_bytes"], first["stored_bytes"] / 5)
        for name, backup, is_updated in (("one", first, "f"), ("two", second, "t")):
            server, _ = self.restore("--to", backup["id"], into=name)
            server.start()
            self.assertEqual(server.psql("SELECT bool_and(filler = 'changed') FROM pgbench_accounts WHERE aid BETWEEN 1000 AND 1100"),
                             is_updated)

    def test_a_dry_run_touches_nothing_and_a_full_directory_is_refused(self):
        backup = self.back_up()
        target = self.room / "target"
        done = self.cli("--json", "restore", "postgres", "--into", target, "--tablespace", f"{self.oid}={target}-space", "--dry-run")
        self.assertEqual(done.code, 0, done)
        plan = done.json()["restore"]
        self.assertTrue(plan["dry_run"])
        self.assertEqual((plan["start_lsn"], plan["stop_lsn"]), (backup["details"]["start_lsn"], backup["details"]["stop_lsn"]))
        self.assertEqual(plan["tablespaces"], {self.oid: f"{target}-space"})
        self.assertFalse(target.exists())
        # Where the tablespace was, it still is.
        self.assertEqual(self.cli("restore", "postgres", "--into", target).code, 5)
        self.assertEqual(self.cli("restore", "postgres", "--into", target, "--tablespace", "1=/nowhere").code, 2)
        self.assertEqual(self.cli("restore", "postgres", "--into", target, "--to", "2001").code, 1)
        target.mkdir()
        (target / "mine").write_text("")
        self.assertEqual(self.cli("restore", "postgres", "--into", target, "--tablespace", f"{self.oid}={target}-space").code, 5)
        self.assertEqual(os.listdir(target), ["mine"])
        self.assertFalse(Path(f"{target}-space").exists())

    def test_what_this_machine_lacks_is_said_before_anything_is_written(self):
        words = ("--json", "restore", "postgres", "--into", self.room / "target", "--tablespace", f"{self.oid}={self.room / 'space'}", "--dry-run")
        self.back_up()
        before = self.cli(*words).json()["restore"]["notes"]
        # As if it came from an older machine with more packages.
        self.primary.psql("CREATE DATABASE older")
        self.addCleanup(self.primary.psql, "DROP DATABASE older")
        self.primary.psql("UPDATE pg_database SET datcollversion = '2.19' WHERE datname = 'older'")
        self.primary.psql("UPDATE pg_extension SET extname = 'vanished'", database="older")
        self.await_replay()
        backup = self.back_up()
        self.assertIn("vanished", backup["details"]["host"]["extensions"])
        notes = [note for note in self.cli(*words).json()["restore"]["notes"] if note not in before]
        self.assertEqual(len(notes), 2, notes)
        self.assertIn("sorted by glibc 2.19, this machine has ", notes[0])
        self.assertIn("vanished (1.0)", notes[1])

    def through(self, **options):
        proxy = Proxy((self.host, self.primary.port), self.host, **options)
        self.addCleanup(proxy.close)
        return proxy, self.stack_file([("postgres-1", proxy.address)], name="proxied")

    def test_changed_content_is_no_backup(self):
        proxy, stack = self.through(change=(b"aeterna-marker", b"aeterna-mArker"))
        done = self.cli("backup", "postgres", stack=stack)
        self.assertTrue(proxy.changed)
        self.assertEqual(done.code, 1, done)
        self.assertIn("has not the checksum of its backup manifest", done.err)
        self.assert_no_backup()

    def test_a_changed_manifest_is_no_backup(self):
        proxy, stack = self.through(change=(b'"Last-Modified"', b'"Last-ModifieD"'))
        done = self.cli("backup", "postgres", stack=stack)
        self.assertTrue(proxy.changed)
        self.assertEqual(done.code, 1, done)
        self.assertIn("its own checksum is wrong", done.err)
        self.assert_no_backup()

    def test_a_stream_that_is_cut_is_no_backup(self):
        _, stack = self.through(cut_after=12 << 20)
        done = self.cli("backup", "postgres", stack=stack)
        self.assertEqual(done.code, 1, done)
        self.assert_no_backup()

    def test_a_server_that_dies_gives_no_backup(self):
        done = []
        worker = threading.Thread(target=lambda: done.append(self.cli("backup", "postgres", "--node", "postgres-2", "--max-rate", "8192")))
        worker.start()
        try:
            pids = wait_until("the walsender", lambda: self.replica.psql(
                "SELECT pid FROM pg_stat_replication WHERE state = 'backup'"), 60)
            os.kill(int(pids.split()[0]), signal.SIGKILL)  # the whole server begins anew
            worker.join(100)
        finally:
            worker.join(1)
        self.assertEqual(done[0].code, 1, done)
        self.assert_no_backup()
        wait_until("the replica", lambda: subprocess.run([*AS_OWNER, BIN / "pg_isready", "-h", self.place, "-p", str(self.replica.port)],
                                                         capture_output=True, cwd="/").returncode == 0, 60)

    def test_a_role_without_replication_is_told_so(self):
        stack = self.stack_file([("postgres-1", (self.host, self.primary.port))], user="mere", name="mere")
        done = self.cli("backup", "postgres", stack=stack)
        self.assertEqual(done.code, 1, done)
        self.assertIn("42501", done.err)
        self.assertIn("Give the role REPLICATION", done.err)

    def test_damaged_pages_are_told_with_file_and_block(self):
        path = self.primary.psql("CREATE TABLE hurt AS SELECT generate_series(1, 5000) n; CHECKPOINT; SELECT pg_relation_filepath('hurt')")
        self.primary.stop()
        with open(self.primary.data / path, "r+b") as file:
            file.seek(3 * 8192 + 5000)
            file.write(b"bent")
        self.primary.start()
        self.addCleanup(self.primary.psql, "SET zero_damaged_pages = on; DROP TABLE hurt")
        done = self.cli("--json", "backup", "postgres", "--node", "postgres-1")
        self.assertEqual(done.code, 3, done)
        backup = done.json()["backup"]
        self.assertIn(path, backup["problem_lines"][0])
        self.assertIn("block 3", backup["problem_lines"][0])
        self.assertGreater(backup["details"]["damaged_pages"], 0)


if __name__ == "__main__":
    unittest.main()
