"""Tests of base backups, captured WAL and restores: a server, its capture, and restored servers that stock pg_ctl starts."""
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from datetime import timedelta
from pathlib import Path

from capturing import ADDRESS, AS_SERVER, BINARIES, Server, as_server, iso, stack_of
from support import PROGRAM, wait_until


class RestoringTest(unittest.TestCase):
    def setUp(self):
        # A name that a shell and PostgreSQL would both take apart.
        self.room = Path(tempfile.mkdtemp(prefix="aeterna-dr-test-", dir="/var/tmp"))
        self.place = self.room / "it's 50% f\\ull"
        self.place.mkdir()
        self.addCleanup(shutil.rmtree, self.room, ignore_errors=True)
        if AS_SERVER:
            shutil.chown(self.room, "postgres", "postgres")
            shutil.chown(self.place, "postgres", "postgres")
        self.repo, self.key, self.stack = self.place / "repo", self.place / "key", self.place / "stack.yaml"
        self.environment = {"STATE_DIRECTORY": str(self.place / "state")}
        self.assertEqual(self.cli("repo", "init").code, 0)
        self.watches, self.restores, self.before = [], 0, {}
        self.addCleanup(self.end_watch)
        self.primary = self.make_server("primary")
        self.primary.initialise()
        # As Patroni does it, on the command line alone; a restored server has the default, and would not replay.
        self.primary.options = "-c max_connections=150 -c max_prepared_transactions=5 -c max_worker_processes=12"
        self.start(self.primary)
        self.primary.sql("CREATE TABLE ledger (id bigint PRIMARY KEY, filler text)")
        self.write_stack(self.primary)

    def binaries(self, server):
        """The programs for its data."""
        return BINARIES

    def start(self, server):
        options = (f"-h {ADDRESS} -p {server.port} -c unix_socket_directories='' -c max_wal_size=64MB "
                   f"{getattr(server, 'options', '')}")
        done = as_server(self.binaries(server) / "pg_ctl", "-D", server.data, "-l", self.room / f"{server.name}.log",
                         "-o", options, "-t", "60", "-w", "start")
        self.assertEqual(done.code, 0, (done, self.log(server)))

    def log(self, server):
        path = self.room / f"{server.name}.log"
        return path.read_text()[-3000:] if path.exists() else "no log: it was not started"

    def make_server(self, name):
        server = Server(self.place, name)
        self.addCleanup(server.stop)
        return server

    def write_stack(self, *servers):
        self.stack.write_text(stack_of(*servers))

    def arguments(self, *words):
        return [PROGRAM, "--repo", self.repo, "--key-file", self.key, "--stack", self.stack, *words]

    def cli(self, *words):
        return as_server(*self.arguments(*words), env=self.environment)

    def archive_by(self, command=None):
        """From now on, also what was written before; without a command by ours."""
        ours = " ".join(shlex.quote(str(word)) for word in self.arguments("archive-push")).replace("%", "%%") + " %p %f"
        self.primary.sql("ALTER SYSTEM SET archive_command = %s", command or ours)
        self.primary.sql("SELECT pg_reload_conf()")

    def begin(self, *words):
        """A command of ours that runs beside the test."""
        process = subprocess.Popen([*AS_SERVER, *map(str, self.arguments(*words))], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, stdin=subprocess.DEVNULL, cwd="/", env=dict(os.environ, **self.environment))

        def end():
            process.kill()
            process.communicate()
        self.addCleanup(end)
        return process

    def standby_of(self, upstream, name, more=""):
        standby = self.make_server(name).copy_of(upstream, follows=True)
        standby.options = f"{self.primary.options} {more}"
        self.start(standby)
        return standby

    def back_up(self, *words):
        done = self.cli("--json", "backup", "postgres", *words)
        self.assertEqual(done.code, 0, done)
        return done.json()["backup"]

    def watch(self, *words):
        with open(self.room / "watch.log", "a") as said:
            self.watches.append(subprocess.Popen(
                [*AS_SERVER, *map(str, self.arguments("backup", "watch", *words))], stdout=subprocess.DEVNULL, stderr=said,
                stdin=subprocess.DEVNULL, cwd="/", env=dict(os.environ, **self.environment)))
        wait_until("the slot", self.primary.held_from, 30)

    def end_watch(self):
        while self.watches:
            process = self.watches.pop()
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=60)
            finally:
                process.kill()

    def watch_the_new_cluster(self):
        """Captures and backs up what is another cluster under the old name."""
        refused = self.begin("backup", "watch")
        _, err = refused.communicate(timeout=60)
        self.assertEqual(refused.returncode, 5, err)
        self.assertIn("--new-cluster", err)
        self.watch("--new-cluster")
        self.back_up()
        self.pass_checkpoint_time()

    def write_around_a_time(self, number):
        """A row, a time behind it as a word for --to, and the next row."""
        committed = self.insert(number)
        time.sleep(0.05)
        self.insert(number + 1)
        return iso(committed + timedelta(milliseconds=10))

    def await_durable(self, server):
        end = server.end_of_wal()
        wait_until(f"durability of {end:x}", lambda: server.held_from() >= end, 60)

    def insert(self, number, server=None):
        """When it had been committed, by the server's clock; when it had not yet is in `before`."""
        connection = (server or self.primary).connect()
        with connection.cursor() as cursor:
            def now():
                cursor.execute("SELECT clock_timestamp()")
                return cursor.fetchone()[0]
            self.before[number] = now()
            cursor.execute("INSERT INTO ledger VALUES (%s, 'x')", (number,))
            after = now()
        connection.close()
        return after

    def small_disk(self, name, options):
        small = self.place / name
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", small], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", small], check=True)
        shutil.chown(small, "postgres", "postgres")
        return small

    def fill(self, disk, free):
        """Leaves so many bytes."""
        with open(disk / "ballast", "wb") as ballast:
            while os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize > free:
                ballast.write(bytes(1 << 16))
                ballast.flush()

    def write_noise(self, number):
        """16 MB that nothing makes smaller."""
        self.primary.sql("INSERT INTO ledger SELECT %s * 1000000 + n, (SELECT string_agg(md5(random()::text || n || i), '') "
                         "FROM generate_series(1, 64) i) FROM generate_series(1, 8000) n", number)

    def restore(self, to, *words, over=None):
        """The restored server, up, and the plan. `over`: in the place of that one."""
        self.restores += 1
        server = over or self.make_server(f"restored {self.restores}")
        done = self.cli("restore", "postgres", "--to", to, "--into", server.data, "--json", *words)
        self.assertEqual(done.code, 0, done)
        self.start(server)
        wait_until("the end of recovery", lambda: not server.one("SELECT pg_is_in_recovery()"), 60)
        return server, json.loads(done.out)["restore"]

    def rows_at(self, to, *words):
        server, _ = self.restore(to, *words)
        rows = server.rows()
        server.stop()
        return rows

    def recovery_points(self):
        done = self.cli("recovery-points", "--json")
        self.assertEqual(done.code, 0, done)
        return json.loads(done.out)["recovery_points"]

    def assert_refused(self, code, text, to, *words):
        into = self.place / "nothing"
        done = self.cli("restore", "postgres", "--to", to, "--into", into, *words)
        self.assertEqual(done.code, code, (to, done))
        self.assertIn(text, done.err, to)
        self.assertTrue(done.err.startswith("aeterna-dr: "), done)
        self.assertFalse(into.exists(), to)

    # A time is only reached from a backup whose checkpoint began two seconds before it: the checkpoint tells whole seconds.
    def pass_checkpoint_time(self):
        time.sleep(2.1)
