"""Servers of PostgreSQL outside of a lab, and writers that remember what was acknowledged: for tests of capture and restore."""
import os
import socket
import subprocess
import threading
import unittest
from datetime import timezone
from pathlib import Path

import psycopg2

# Repository and key belong to the server's user, as restore_command needs it.
from servers import AS_OWNER as AS_SERVER, BIN as BINARIES
from support import Done, Lab, wait_until

ADDRESS = "127.0.93.1"
SLOT = "aeterna"
MIB = 1 << 20


def free_port(address=ADDRESS):
    with socket.socket() as listener:
        listener.bind((address, 0))
        return listener.getsockname()[1]


def ask(connection, statement, *values):
    """One statement, committed by itself; the connection is closed."""
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else None
    finally:
        connection.close()


def as_server(*argv, timeout=120, env=None):
    return Done(subprocess.run([*AS_SERVER, *map(str, argv)], capture_output=True, text=True, timeout=timeout,
                               stdin=subprocess.DEVNULL, cwd="/", env=dict(os.environ, **(env or {}))))


def position(text):
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)


def iso(moment):
    return moment.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def stack_of(*servers, more=""):
    """A stack file of these servers. Nobody answers at the Patroni addresses: SQL alone says who is the primary."""
    nodes = "".join(f"      - {{name: {server.name}, address: '{ADDRESS}:{server.port}', "
                    f"patroni: 'http://{ADDRESS}:{number}'}}\n" for number, server in enumerate(servers, 1))
    return f"name: test\nstores:\n  postgres:\n    scope: test\n    user: postgres\n{more}    nodes:\n{nodes}"


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

    def copy_of(self, other, follows=False):
        done = as_server(BINARIES / "pg_basebackup", "-D", self.data, "-d", other.dsn(), "-c", "fast", "-X", "stream",
                         "--no-sync")
        assert done.code == 0, done
        if follows:
            (self.data / "standby.signal").touch()
            with open(self.data / "postgresql.auto.conf", "a") as file:
                file.write(f"primary_conninfo = '{other.dsn()}'\n")
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
        return ask(self.connect(), statement, *values)

    def one(self, statement, *values):
        rows = self.sql(statement, *values)
        return rows[0][0] if rows else None

    def pid(self):
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

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


def members(lab, place):
    """Every PostgreSQL of a lab by its name."""
    status = lab.lab_status()
    return {node["name"]: Member(place, node["name"], status["credentials"]["postgres"], node["address"])
            for node in status["nodes"] if node["kind"] == "postgres"}


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


class MembersTest(unittest.TestCase):
    """A healthy lab per class, and its servers of PostgreSQL by name."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.remove)
        cls.lab.up()
        cls.lab.await_healthy(180)
        cls.members = members(cls.lab, Path(cls.lab.base))
