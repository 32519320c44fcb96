"""Patroni outside of a lab: one etcd, members whose replicas and clusters come out of a repository by our commands, a capture."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import unittest
import urllib.request
from pathlib import Path

import psycopg2

from capturing import AS_SERVER, BINARIES, as_server, ask, free_port
from support import PROGRAM, wait_until

HOST = "127.0.95.1"
PASSWORD = "0123456789abcdef"


class Member:
    """One Patroni with its PostgreSQL."""

    def __init__(self, test, scope, name, bootstrap, methods):
        self.test, self.scope, self.name = test, scope, name
        self.rest, self.port = f"{HOST}:{free_port(HOST)}", free_port(HOST)
        self.data, self.log = test.place / "data" / name, test.place / f"{name}.log"
        config = {
            "scope": scope, "namespace": "/test/", "name": name,
            "restapi": {"listen": self.rest, "connect_address": self.rest},
            "etcd3": {"hosts": [test.etcd_address]},
            "bootstrap": {"dcs": {"loop_wait": 2, "ttl": 20, "retry_timeout": 3, "ignore_slots": [{"name": "aeterna", "type": "physical"}], "postgresql": {
                "use_pg_rewind": False, "parameters": {"max_connections": 120, "wal_keep_size": "256MB"}}}, **bootstrap},
            "postgresql": {
                "listen": f"{HOST}:{self.port}", "connect_address": f"{HOST}:{self.port}", "data_dir": str(self.data),
                "bin_dir": "/usr/lib/postgresql/15/bin", "pgpass": str(test.place / f"{name}.pgpass"),
                "authentication": {"superuser": {"username": "postgres", "password": PASSWORD},
                                   "replication": {"username": "replicator", "password": PASSWORD}},
                "pg_hba": ["local all all trust", "host all all 127.0.0.0/8 md5", "host replication all 127.0.0.0/8 md5"],
                # Patroni lets only the address that it listens at in while it bootstraps; on the loopback net connections
                # come from 127.0.0.1.
                "parameters": {"unix_socket_directories": str(test.place), "fsync": "off"}, "use_unix_socket": True, **methods},
        }
        self.file = test.place / f"{name}.yml"
        self.file.write_text(json.dumps(config))  # which YAML contains
        if AS_SERVER:
            shutil.chown(self.file, "postgres", "postgres")

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*AS_SERVER, "/usr/bin/patroni", str(self.file)], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, cwd="/", env=self.test.process_environment())
        self.test.addCleanup(self.stop)
        return self

    def kill(self):
        """Patroni alone: what it has started lives on."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=60)
        finally:
            self.process.kill()
            if (self.data / "postmaster.pid").exists():
                as_server(BINARIES / "pg_ctl", "-D", self.data, "-m", "immediate", "-t", "60", "-w", "stop")

    def role(self):
        try:
            with urllib.request.urlopen(f"http://{self.rest}/patroni", timeout=5) as answer:
                said = json.load(answer)
            return said["role"] if said["state"] in ("running", "streaming") else said["state"]
        except (OSError, ValueError, KeyError):
            return None

    def sql(self, statement, *values):
        connection = psycopg2.connect(host=HOST, port=self.port, user="postgres", password=PASSWORD, dbname="postgres", connect_timeout=5)
        return ask(connection, statement, *values)

    def rows(self):
        return {row[0] for row in self.sql("SELECT id FROM ledger")}

    def said(self):
        return self.log.read_text(errors="replace")

    def tail(self):
        said = self.said()
        odd = [line for line in said.splitlines() if any(word in line for word in ("FATAL", "PANIC", "ERROR", "aeterna-dr: "))]
        return "\n".join(odd[-30:]) + "\n…\n" + said[-3000:]


class PatroniRestoringTest(unittest.TestCase):
    def setUp(self):
        self.place = Path(tempfile.mkdtemp(prefix="aeterna-dr-test-", dir="/var/tmp"))
        self.addCleanup(shutil.rmtree, self.place, ignore_errors=True)
        (self.place / "data").mkdir()
        if AS_SERVER:
            shutil.chown(self.place, "postgres", "postgres")
            shutil.chown(self.place / "data", "postgres", "postgres")
        self.etcd_address, peers = f"{HOST}:{free_port(HOST)}", f"http://{HOST}:{free_port(HOST)}"
        urls = ["--listen-client-urls", f"http://{self.etcd_address}", "--advertise-client-urls", f"http://{self.etcd_address}",
                "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", f"one={peers}"]
        with open(self.place / "etcd.log", "wb") as log:
            etcd = subprocess.Popen([*AS_SERVER, "/usr/bin/etcd", "--name", "one", "--data-dir", str(self.place / "etcd"), *urls],
                                    stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/")
        self.addCleanup(etcd.wait)
        self.addCleanup(etcd.kill)
        self.repo, self.key, self.stack = self.place / "repo", self.place / "key", self.place / "stack.yaml"
        self.assertEqual(self.cli("repo", "init").code, 0)

    def process_environment(self):
        return dict(os.environ, STATE_DIRECTORY=str(self.place / "state"), HOME=str(self.place), AETERNA_PASSWORD=PASSWORD)

    def arguments(self, *words):
        return [PROGRAM, "--repo", self.repo, "--key-file", self.key, *words]

    def cli(self, *words):
        return as_server(*self.arguments(*words), env=self.process_environment())

    def write_stack(self, *members):
        password = self.place / "password"
        password.write_text(PASSWORD)
        password.chmod(0o600)
        if AS_SERVER:
            shutil.chown(password, "postgres", "postgres")
        nodes = "".join(f"      - {{name: {one.name}, address: '{HOST}:{one.port}', patroni: 'http://{one.rest}'}}\n" for one in members)
        self.stack.write_text(f"name: test\nstores:\n  postgres:\n    scope: {members[0].scope}\n    user: postgres\n"
                              f"    password_file: {password}\n    nodes:\n{nodes}")

    def command(self, *words):
        return " ".join(map(str, self.arguments(*words)))

    def replica_methods(self, member_data):
        return {"create_replica_methods": ["aeterna"],
                "aeterna": {"command": self.command("restore", "postgres", "--for", "patroni-replica", "--into", member_data),
                            "no_params": True, "no_master": True}}

    def await_rows(self, member, rows):
        def has_them():
            try:
                return member.rows() == rows
            except psycopg2.Error:
                return False
        try:
            wait_until("its rows", has_them, 30)
        except AssertionError as error:
            raise AssertionError(f"{error}: {member.tail()}") from None

    def begin_cluster(self, scope, first_number, bootstrap, roles=("master", "primary")):
        members = []
        for number in (first_number, first_number + 1):
            name = f"{scope}-{number}"
            members.append(Member(self, scope, name, bootstrap(self.place / "data" / name),
                                  self.replica_methods(self.place / "data" / name)))
        members[0].start()
        try:
            wait_until(f"a primary of {scope}", lambda: members[0].role() in roles, 120)
        except AssertionError as error:
            raise AssertionError(f"{error}: {members[0].tail()}") from None
        return members

    def watch(self):
        with open(self.place / "watch.log", "wb") as said:
            watch = subprocess.Popen([*AS_SERVER, *map(str, self.arguments("--stack", self.stack, "backup", "watch"))],
                                     stdout=said, stderr=said, stdin=subprocess.DEVNULL, cwd="/", env=self.process_environment())
        self.addCleanup(watch.wait)
        self.addCleanup(watch.kill)
        return watch

    def from_initdb(self, data):
        return {"initdb": ["data-checksums", "no-sync", {"auth": "trust"}]}

    def from_repository(self, data, when="latest"):
        return {"method": "aeterna",
                "aeterna": {"command": self.command("restore", "postgres", "--for", "patroni-bootstrap", "--to", when, "--into", data),
                            "no_params": True, "keep_existing_recovery_conf": True}}
