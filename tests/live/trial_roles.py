"""Everything asks for a password, and we have exactly the rights that `config check` prints: that must be enough."""
import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import unittest
import urllib.request

import psycopg2
import redis
from assisted import tree
from support import PROGRAM, Lab, run, wait_until
from watching import kill

DATABASE = "secured"
POSTGRES_ROLE, REDIS_USER, SENTINEL_USER, ETCD_USER, PATRONI_USER = "watcher", "watcher", "listener", "watcher", "operator"
# What belongs to the stack's owner, not to us.
ROOT_PASSWORD, PATRONI_ETCD_PASSWORD = secrets.token_hex(8), secrets.token_hex(8)


def host_port(address):
    host, port = address.rsplit(":", 1)
    return {"host": host, "port": int(port)}


class SecuredLab:
    """A lab whose servers are told to ask for users; the rights of ours come from the printed text alone."""

    def __init__(self, lab):
        self.lab = lab
        self.passwords = {name: secrets.token_hex(8) for name in ("postgres", "redis", "sentinel", "etcd", "patroni")}
        self.stack = self.write_stack()
        printed = run("--stack", self.stack, "--json", "config", "check", timeout=60).json()["least_privilege"]
        self.secure_etcd(printed["postgres"])
        self.secure_postgres(printed["postgres"])
        self.secure_redis(printed["redis"])
        self.serve = self.replace_serve()

    def nodes(self, kind):
        return [node for node in self.lab.lab_status()["nodes"] if node["kind"] == kind]

    def secret_file(self, name):
        path = os.path.join(self.lab.directory, f"secret-{name}")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(self.passwords[name] + "\n")
        return path

    def write_stack(self):
        with open(self.lab.stack) as file:
            text = file.read()

        def change(pattern, replacement):
            nonlocal text
            text, count = re.subn(pattern, replacement, text)
            assert count == 1, pattern

        change(r"(?m)^(etcd:.*\n  endpoints: .*)$",
               rf"\1\n  user: {ETCD_USER}\n  password_file: {self.secret_file('etcd')}")
        change(r"(?m)^    user: aeterna_dr .*\n    password_file: .*\n    database: \S+$",
               f"    user: {POSTGRES_ROLE}\n    password_file: {self.secret_file('postgres')}\n"
               f"    database: {DATABASE}\n    patroni_user: {PATRONI_USER}\n"
               f"    patroni_password_file: {self.secret_file('patroni')}")
        change(r"(?m)^(    master_name: \S+)\n    password_file: .*$",
               rf"\1\n    user: {REDIS_USER}\n    password_file: {self.secret_file('redis')}\n"
               f"    sentinel_user: {SENTINEL_USER}\n    sentinel_password_file: {self.secret_file('sentinel')}")
        path = os.path.join(self.lab.directory, "stack-secured.yaml")
        with open(path, "w") as file:
            file.write(text)
        return path

    def etcdctl(self, *arguments, password=None):
        environment = {"PATH": os.environ["PATH"], "ETCDCTL_API": "3",
                       "ETCDCTL_ENDPOINTS": ",".join(node["address"] for node in self.nodes("etcd"))}
        subprocess.run(["etcdctl", *arguments], env=environment, check=True, text=True, stdout=subprocess.DEVNULL,
                       input=password + "\n" if password else None)

    def etcdctl_as_root(self, *arguments):
        self.etcdctl("--user", f"root:{ROOT_PASSWORD}", *arguments)

    def secure_etcd(self, printed):
        self.etcdctl("role", "add", "root")
        self.etcdctl("user", "add", "root", "--interactive=false", password=ROOT_PASSWORD)
        self.etcdctl("user", "grant-role", "root", "root")
        self.etcdctl("role", "add", "patroni")
        self.etcdctl("role", "grant-permission", "patroni", "--prefix", "readwrite", "/service/")
        self.etcdctl("user", "add", "patroni", "--interactive=false", password=PATRONI_ETCD_PASSWORD)
        self.etcdctl("user", "grant-role", "patroni", "patroni")
        for line in re.findall(r"(?m)^etcdctl ([^#\n]*)", printed):
            words = [word.strip("\"'") for word in line.split()]
            is_user = words[:2] == ["user", "add"]
            self.etcdctl(*words, *(["--interactive=false"] if is_user else []),
                         password=self.passwords["etcd"] if is_user else None)
        # An agent with a password waits for an etcd that asks for one, and the other way round. PostgreSQL goes on.
        primary = self.lab.status()["stores"]["postgres"]["primary"]
        agents = sorted(self.nodes("patroni"), key=lambda node: node["name"][-1] != primary[-1])
        for node in agents:
            self.secure_patroni(node)
        self.etcdctl("auth", "enable")
        for node in agents:
            kill(node["pid"])
            done = run("lab", "up", "--dir", self.lab.directory, "--only", node["name"])
            assert done.code == 0, done
        for node in agents:
            wait_until(f"{node['name']} again", lambda address=node["address"]: self.is_running(address), 90)

    def secure_patroni(self, node):
        path = os.path.join(self.lab.directory, "etc", node["name"], "patroni.yml")
        with open(path) as file:
            text = file.read()
        text = text.replace("etcd3:\n", f"etcd3:\n  username: patroni\n  password: {PATRONI_ETCD_PASSWORD}\n", 1)
        text = text.replace("restapi:\n", "restapi:\n  authentication: "
                            f"{{username: {PATRONI_USER}, password: {self.passwords['patroni']}}}\n", 1)
        with open(path, "w") as file:
            file.write(text)

    @staticmethod
    def is_running(address):
        try:
            with urllib.request.urlopen(f"http://{address}/patroni", timeout=5) as answer:
                return json.load(answer)["state"] == "running"
        except OSError:
            return False

    def secure_postgres(self, printed):
        owner = self.lab.lab_status()["credentials"]["postgres"]
        primary = self.lab.node(self.lab.status()["stores"]["postgres"]["primary"])

        def execute(database, *statements):
            connection = psycopg2.connect(**host_port(primary["address"]), user=owner["user"], dbname=database,
                                          password=owner["password"])
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
            connection.close()

        execute("postgres", f"CREATE DATABASE {DATABASE}", f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC")
        sql = printed.split("\n# ", 1)[0].replace("'...'", f"'{self.passwords['postgres']}'")
        execute(DATABASE, "REVOKE ALL ON SCHEMA public FROM PUBLIC", sql)

    def secure_redis(self, printed):
        watch, act, sentinel = re.findall(r"(?m)^user (.*)$", printed)
        assert act.startswith(watch)
        owner = self.lab.lab_status()["credentials"]["redis"]["password"]
        for kind, line, password, login in (("redis", act, self.passwords["redis"], owner),
                                            ("sentinel", sentinel, self.passwords["sentinel"], None)):
            words = line.replace(">PASSWORD", ">" + password).split()
            for node in self.nodes(kind):
                client = redis.Redis(**host_port(node["address"]), password=login)
                assert client.execute_command("ACL", "SETUSER", words[0], "reset", *words[1:]) in (b"OK", True)

    def replace_serve(self):
        """Ours, with the secured stack file, in the place of the lab's own."""
        own = self.lab.node("serve")["pid"]
        os.kill(own, signal.SIGTERM)
        wait_until("the end of the lab's serve", lambda: not os.path.exists(f"/proc/{own}"), 20)
        with open(os.path.join(self.lab.directory, "log", "serve-secured.log"), "w") as log:
            return subprocess.Popen([PROGRAM, "--stack", self.stack, "serve"], stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log)

    def end(self):
        self.serve.terminate()
        self.serve.wait(20)

    def cli(self, *arguments, timeout=300):
        return run("--stack", self.stack, *arguments, timeout=timeout)

    def status(self):
        return self.cli("--json", "status", timeout=30).json()

    def await_healthy(self, seconds=180):
        last = {}

        def healthy():
            last.update(self.status())
            return last["watcher"] == "serve" and last["healthy"] and not last["incidents"]
        try:
            wait_until("a healthy secured stack", healthy, seconds)
        except AssertionError as error:
            reasons = {name: store.get("reasons") for name, store in last.get("stores", {}).items()}
            raise AssertionError(f"{error}: {reasons} {json.dumps(last)[:4000]}") from None


class RolesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.remove)
        cls.lab.up()
        cls.secured = SecuredLab(cls.lab)
        cls.addClassCleanup(cls.secured.end)
        cls.secured.await_healthy()

    def setUp(self):
        self.secured.await_healthy()

    def test_servers_do_ask(self):
        """Otherwise the other tests prove nothing."""
        with self.assertRaises(subprocess.CalledProcessError):
            self.secured.etcdctl("get", "/service/aeterna/leader")
        redis_node, sentinel = (self.secured.nodes(kind)[0] for kind in ("redis", "sentinel"))
        client = redis.Redis(**host_port(redis_node["address"]), username=REDIS_USER,
                             password=self.secured.passwords["redis"])
        for forbidden in (["GET", "aeterna-dr:x"], ["SET", "application", "1"], ["FLUSHALL"], ["ACL", "LIST"]):
            with self.assertRaises(redis.exceptions.NoPermissionError):
                client.execute_command(*forbidden)
        with self.assertRaises(redis.exceptions.NoPermissionError):
            redis.Redis(**host_port(sentinel["address"]), username=SENTINEL_USER,
                        password=self.secured.passwords["sentinel"]).execute_command("SENTINEL", "RESET", "*")

    def test_config_check_misses_no_right(self):
        done = self.secured.cli("--json", "config", "check", timeout=60)
        findings = done.json()["findings"]
        self.assertEqual([finding for finding in findings if finding["level"] == "error"], [])
        self.assertEqual(done.code, 0)
        self.assertTrue(any("has all rights it needs" in finding["message"] for finding in findings))
        self.assertEqual([finding for finding in findings if "pg_monitor" in finding["message"]], [])

    def test_a_role_that_cannot_release_the_lease_is_told(self):
        """What `config check` once printed itself: reading Patroni's keys alone."""
        permission = ["readwrite", "/service/aeterna/leader"]
        self.secured.etcdctl_as_root("role", "revoke-permission", ETCD_USER, permission[1])
        self.addCleanup(self.secured.etcdctl_as_root, "role", "grant-permission", ETCD_USER, *permission)
        done = self.secured.cli("--json", "config", "check", timeout=60)
        self.assertEqual(done.code, 2, done)
        errors = [finding for finding in done.json()["findings"] if finding["level"] == "error"]
        self.assertEqual([finding["subject"] for finding in errors], ["etcd rights"], errors)
        self.assertIn("may not write '/service/aeterna/leader'", errors[0]["message"])

    def test_a_kill_is_ended_by_the_assist(self):
        primary = self.secured.status()["stores"]["postgres"]["primary"]
        known = {one["id"] for one in self.secured.cli("--json", "execution", "list").json()["executions"]}
        nodes = [self.lab.node(name)["pid"] for name in ("patroni-" + primary[-1], primary)]
        for pid in [child for node in nodes for child in tree(node)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

        def ended():
            listed = self.secured.cli("--json", "execution", "list").json()["executions"]
            return next((one for one in reversed(listed)
                         if one["id"] not in known and one["store"] == "postgres" and one["state"] != "running"), None)
        found = wait_until("the end of an execution", ended, 240)
        execution = self.secured.cli("--json", "execution", "show", found["id"]).json()["execution"]
        self.assertEqual(execution["state"], "succeeded", execution)
        self.assertEqual(execution["facts"]["assist"], "acted", execution["facts"].get("assist_reasons"))
        self.assertNotEqual(execution["facts"]["new_primary"], primary)
        self.assertGreater(execution["facts"]["lease_remaining_seconds"], 0, "the lease was not waited for")

    def test_status_sees_everything_and_writes_its_heartbeat(self):
        status = self.secured.status()
        self.assertTrue(status["healthy"])
        self.assertEqual(status["stores"]["postgres"]["heartbeat"], "writing")
        for node in status["stores"]["postgres"]["nodes"] + status["stores"]["redis"]["nodes"]:
            self.assertIn(node["state"], ("running", "streaming", "connected"), node)
            if node["role"] == "replica":
                self.assertIsNotNone(node["lag_bytes"], node)

    def switch(self, store):
        before = self.secured.status()["stores"][store]["primary"]
        done = self.secured.cli("switchover", store, "--yes", timeout=200)
        self.assertEqual(done.code, 0, done)
        self.assertNotEqual(self.secured.status()["stores"][store]["primary"], before)

    def test_switchover_redis(self):
        self.switch("redis")

    def test_switchover_postgres(self):
        self.switch("postgres")

    def test_a_drill_writes_into_every_store_until_its_fault(self):
        drill = subprocess.Popen([PROGRAM, "--stack", self.secured.stack, "drill", "run", "q1", "--fault", "pause", "--yes"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(drill.kill)
        said = []
        for line in drill.stderr:
            said.append(line)
            if "injecting:" in line:
                drill.send_signal(signal.SIGINT)
        self.assertEqual(drill.wait(180), 130, said)
        self.assertTrue(any("injecting: pause" in line for line in said), said)
        self.assertEqual(self.secured.cli("drill", "heal").code, 0)


if __name__ == "__main__":
    unittest.main()
