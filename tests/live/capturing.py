"""Servers of PostgreSQL outside of a lab, and writers that remember what was acknowledged: for tests of capture and restore."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from datetime import timezone
from pathlib import Path

import psycopg2

from support import PROGRAM, Done, wait_until

BINARIES = Path("/usr/lib/postgresql/15/bin")
ADDRESS = "127.0.93.1"
SLOT = "aeterna"
# PostgreSQL refuses root; repository and key belong to the same user, as restore_command needs it.
AS_SERVER = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if os.geteuid() == 0 else []
MIB = 1 << 20


def free_port():
    with socket.socket() as listener:
        listener.bind((ADDRESS, 0))
        return listener.getsockname()[1]


def as_server(*argv, timeout=120, env=None):
    return Done(subprocess.run([*AS_SERVER, *map(str, argv)], capture_output=True, text=True, timeout=timeout,
                               stdin=subprocess.DEVNULL, cwd="/", env=dict(os.environ, **(env or {}))))


def position(text):
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def iso(moment):
    return moment.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Server:
    """One data directory with its postmaster."""

    def __init__(self, place, name):
        self.name, self.data, self.log = name, place / name, place / f"{name}.log"
        self.port = free_port()

    def initialise(self):
        done = as_server(BINARIES / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync")
        assert done.code == 0, done
        with open(self.data / "pg_hba.conf", "a") as file:
            file.write("host all all 127.0.0.0/8 trust\nhost replication all 127.0.0.0/8 trust\n")

    def copy_of(self, other):
        done = as_server(BINARIES / "pg_basebackup", "-D", self.data, "-d", other.dsn(), "-c", "fast", "-X", "stream",
                         "--no-sync")
        assert done.code == 0, done
        return self

    def start(self, wait=True):
        options = f"-h {ADDRESS} -p {self.port} -c unix_socket_directories='' -c wal_keep_size=0 -c max_wal_size=64MB"
        return as_server(BINARIES / "pg_ctl", "-D", self.data, "-l", self.log, "-o", options, "-t", "60",
                         "-w" if wait else "-W", "start")

    def begin(self):
        done = self.start()
        assert done.code == 0, (done, self.log.read_text()[-3000:])
        return self

    def stop(self, mode="immediate"):
        if (self.data / "postmaster.pid").exists():
            as_server(BINARIES / "pg_ctl", "-D", self.data, "-m", mode, "-t", "60", "-w", "stop")

    def dsn(self):
        return f"host={ADDRESS} port={self.port} user=postgres dbname=postgres"

    def connect(self):
        connection = psycopg2.connect(self.dsn(), connect_timeout=5, application_name="test")
        connection.autocommit = True
        return connection

    def sql(self, statement, *values):
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall() if cursor.description else None
        finally:
            connection.close()

    def one(self, statement, *values):
        rows = self.sql(statement, *values)
        return rows[0][0] if rows else None

    def cut_off(self):
        """From its primary: what that one writes from now on, this one does not have."""
        self.sql("ALTER SYSTEM SET primary_conninfo = ''")
        self.sql("SELECT pg_reload_conf()")
        wait_until("its end", lambda: not self.sql("SELECT 1 FROM pg_stat_wal_receiver"), 30)

    def promote(self):
        self.one("SELECT pg_promote()")
        wait_until("a primary", lambda: not self.one("SELECT pg_is_in_recovery()"), 60)

    def end_of_wal(self):
        return position(self.one("SELECT pg_current_wal_flush_lsn()::text"))

    def held_from(self):
        text = self.one("SELECT restart_lsn::text FROM pg_replication_slots WHERE slot_name = %s", SLOT)
        return position(text) if text else 0

    def rows(self):
        return {row[0] for row in self.sql("SELECT id FROM ledger")}


class Writer(threading.Thread):
    """Inserts numbers one by one and remembers which were acknowledged."""

    def __init__(self, server, first=0):
        super().__init__(daemon=True)
        self.server, self.next, self.acknowledged, self.is_over = server, first, [], threading.Event()
        self.start()

    def run(self):
        try:
            connection = self.server.connect()
            with connection.cursor() as cursor:
                while not self.is_over.is_set():
                    cursor.execute("INSERT INTO ledger VALUES (%s, repeat(md5(random()::text), 60))", (self.next,))
                    self.acknowledged.append(self.next)
                    self.next += 1
        except psycopg2.Error:
            pass  # the server was killed

    def end(self):
        self.is_over.set()
        self.join()
        return set(self.acknowledged)


class Member(Server):
    """A server of the lab, or a copy of one, asked as the lab's own role."""

    def __init__(self, place, name, credentials, address=None):
        super().__init__(place, name)
        self.credentials = credentials
        self.host, self.port = address.rsplit(":", 1) if address else (ADDRESS, self.port)

    def dsn(self):
        return (f"host={self.host} port={self.port} user={self.credentials['user']} "
                f"password={self.credentials['password']} dbname={self.credentials['database']}")

    def start(self, wait=True):
        options = (f"-h {ADDRESS} -p {self.port} -c unix_socket_directories='' -c logging_collector=off "
                   "-c cluster_name=restored")
        return as_server(BINARIES / "pg_ctl", "-D", self.data, "-l", self.log, "-o", options, "-t", "60", "-w", "start")


class RecoveryCase(unittest.TestCase):
    """A server, a repository, `backup watch` and restores from it, all of one user."""

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

    def start(self, server):
        options = (f"-h {ADDRESS} -p {server.port} -c unix_socket_directories='' -c max_wal_size=64MB "
                   f"{getattr(server, 'options', '')}")
        done = as_server(BINARIES / "pg_ctl", "-D", server.data, "-l", self.room / f"{server.name}.log", "-o", options, "-t", "60", "-w", "start")
        self.assertEqual(done.code, 0, (done, self.log(server)))

    def log(self, server):
        return (self.room / f"{server.name}.log").read_text()[-3000:]

    def make_server(self, name):
        server = Server(self.place, name)
        self.addCleanup(server.stop)
        return server

    def write_stack(self, *servers):
        nodes = "".join(f"      - {{name: {server.name}, address: '{ADDRESS}:{server.port}', "
                        f"patroni: 'http://{ADDRESS}:{number}'}}\n" for number, server in enumerate(servers, 1))
        self.stack.write_text(f"name: test\nstores:\n  postgres:\n    scope: test\n    user: postgres\n    nodes:\n{nodes}")

    def arguments(self, *words):
        return [PROGRAM, "--repo", self.repo, "--key-file", self.key, "--stack", self.stack, *words]

    def cli(self, *words):
        return as_server(*self.arguments(*words), env=self.environment)

    def back_up(self):
        done = self.cli("backup", "postgres")
        self.assertEqual(done.code, 0, done)

    def watch(self):
        with open(self.room / "watch.log", "a") as said:
            self.watches.append(subprocess.Popen(
                [*AS_SERVER, *map(str, self.arguments("backup", "watch"))], stdout=subprocess.DEVNULL, stderr=said,
                stdin=subprocess.DEVNULL, cwd="/", env=dict(os.environ, **self.environment)))
        wait_until("the slot", self.primary.held_from, 30)

    def end_watch(self):
        while self.watches:
            process = self.watches.pop()
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)

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

    def restore(self, to, *words):
        """The restored server, up, and the plan."""
        self.restores += 1
        server = self.make_server(f"restored {self.restores}")
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
