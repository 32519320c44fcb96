"""Capture as serve does it, on a lab: RPO now under load and over a failover, merged pieces, a repository that is away, and the
guard of the slots."""
import json
import os
import re
import shutil
import signal
import tempfile
import unittest
import urllib.request
from pathlib import Path

import capturing
from capturing import MIB, Writer, position
from support import Lab, is_running, restart_serve, run, wait_until

SEGMENT = 16 * MIB


class CaptureServeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.remove)
        cls.lab.up()
        cls.place = Path(tempfile.mkdtemp(prefix="aeterna-dr-test-", dir="/var/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.place, ignore_errors=True)
        stack = Path(cls.lab.stack)
        text = stack.read_text()
        text = re.sub(r"(  place: .*\n)", r"\1  merge_every: 2s\n", text, count=1)
        text = re.sub(r"(  postgres:\n    objectives: \{rto: 5m, rpo: )5m\}", r"\g<1>20s}", text, count=1)
        text = re.sub(r"(    capture: on.*\n)", r"\1    slot_limit: 64MiB\n", text, count=1)
        stack.write_text(text)
        assert "merge_every" in text and "rpo: 20s" in text and "slot_limit" in text, text
        restart_serve(cls.lab)
        cls.repo = Path(cls.lab.directory) / "repository"
        cls.key = Path(cls.lab.directory) / "secrets" / "repository.key"

    def setUp(self):
        self.lab.await_healthy()
        self.leader = self.find_leader()
        self.leader.sql("DROP TABLE IF EXISTS ledger")
        self.leader.sql("CREATE TABLE ledger (id bigint PRIMARY KEY, filler text)")
        self.await_capture()

    def tearDown(self):
        away = self.repo.with_name("repository.away")
        if away.exists():
            self.repo.unlink(missing_ok=True)
            away.rename(self.repo)

    # ------------------------------------------------------------------------------------------ what is asked

    def postgres(self):
        return self.lab.status()["stores"]["postgres"]

    def await_capture(self, seconds=120):
        def running():
            store = self.postgres()
            return store["capture"] == "running" and store["rpo_now_seconds"] is not None and store["rpo_now_seconds"] < 5
        wait_until("a running capture with an RPO under 5 s", running, seconds)

    def members(self):
        return capturing.members(self.lab, self.place)

    def find_leader(self):
        name = wait_until("a primary", lambda: self.postgres()["primary"], 120)
        return self.members()[name]

    def open_incidents(self):
        return {incident["detector"] for incident in self.lab.status()["incidents"] if incident["state"] == "open"}

    def pieces(self):
        return [path for path in self.repo.glob("logs/postgres-*/*") if re.match("[0-9a-f]{16}", path.name)]

    def await_durable(self):
        end = self.leader.end_of_wal()
        wait_until(f"durability of {end:x} told to every node",
                   lambda: all(member.held_from() >= end for member in self.members().values()), 120)

    def send_away(self):
        # As a mount that is gone for a while, but nothing can be written in its place.
        self.repo.rename(self.repo.with_name("repository.away"))
        self.repo.write_text("no directory")

    def bring_back(self):
        self.repo.unlink()
        self.repo.with_name("repository.away").rename(self.repo)

    def metrics(self):
        address = self.lab.node("serve")["address"]
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
            return answer.read().decode()

    # ------------------------------------------------------------------------------------------ the tests

    def test_under_load_and_over_a_failover(self):
        begin = self.leader.end_of_wal()
        self.leader.sql("SELECT pg_switch_wal()")
        writer = Writer(self.leader)
        wait_until("rows", lambda: len(writer.acknowledged) > 2000, 120)
        self.await_capture()
        metrics = self.metrics()
        self.assertIn('aeterna_capture{store="postgres",state="running"} 1', metrics)
        self.assertIn('aeterna_rpo_now_seconds{store="postgres"}', metrics)
        wait_until("a merged piece", lambda: any("-" in piece.name for piece in self.pieces()), 60)
        killed = self.leader
        for name in (killed.name.replace("postgres", "patroni"), killed.name):
            os.kill(self.lab.node(name)["pid"], signal.SIGKILL)
        first = writer.end()
        wait_until("another primary", lambda: self.postgres()["primary"] not in (None, killed.name), 180)
        self.leader = self.find_leader()
        writer = Writer(self.leader, 1_000_000)
        wait_until("rows", lambda: len(writer.acknowledged) > 500, 120)
        second = writer.end()
        self.lab.await_healthy()
        self.await_capture()
        self.leader.sql("SELECT pg_switch_wal()")
        self.leader.sql("INSERT INTO ledger VALUES (-1, 'the last one')")
        self.await_durable()
        self.assertLessEqual(second, self.leader.rows())
        self.assertGreater(len(first), 2000)
        self.assert_served(begin)
        done = run("--repo", self.repo, "--key-file", self.key, "repo", "check", "--read-data")
        self.assertEqual(done.code, 0, done)

    def assert_served(self, begin):
        """Every segment after `begin` that a recovery along the present timeline asks for."""
        system = str(self.leader.one("SELECT system_identifier FROM pg_control_system()"))
        timeline = int(self.leader.one("SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"), 16)
        self.assertGreater(timeline, 1)
        first, last = begin // SEGMENT + 1, self.leader.end_of_wal() // SEGMENT
        self.assertGreater(last, first)
        history = self.fetch(system, f"{timeline:08X}.history").read_text()
        forks = [(int(line.split()[0]), position(line.split()[1])) for line in history.splitlines() if line.strip()]
        for number in range(first, last + 1):
            # As recovery asks: a timeline's name for what lies wholly before its fork is its parent's.
            of = next((parent for parent, fork in forks if number < fork // SEGMENT), timeline)
            got = self.fetch(system, f"{of:08X}{number // 256:08X}{number % 256:08X}")
            self.assertEqual(got.stat().st_size, SEGMENT)

    def fetch(self, system, name):
        into = self.place / "got"
        into.unlink(missing_ok=True)
        done = run("--repo", self.repo, "--key-file", self.key, "archive-get", name, into, "--cluster", system,
                   "--wal-segment-size", SEGMENT)
        self.assertEqual(done.code, 0, (name, done))
        return into

    def test_a_repository_that_is_away_is_an_incident_and_the_guard_drops_the_slots(self):
        self.send_away()
        wait_until("the incident", lambda: "postgres.rpo_exceeded" in self.open_incidents(), 180)
        store = self.postgres()
        self.assertEqual(store["health"], "degraded", store)
        self.assertIn(store["capture"], ("behind", "stopped"))
        self.assertGreater(store["rpo_now_seconds"], 20)
        self.assertTrue(any("RPO now" in reason for reason in store["reasons"]), store)
        # More WAL than the guard allows, and more than the servers keep by themselves.
        self.leader.sql("INSERT INTO ledger SELECT n, repeat(md5(n::text), 60) FROM generate_series(1, 200000) n")
        wait_until("the end of every slot", lambda: not any(member.held_from() for member in self.members().values()), 180)
        for _ in range(2):
            for member in self.members().values():
                member.sql("CHECKPOINT")
        self.bring_back()
        wait_until("the hole", lambda: "postgres.capture_hole" in self.open_incidents(), 240)
        wait_until("the capture", lambda: self.postgres()["capture"] in ("running", "behind"), 60)
        self.assertGreater(self.postgres()["rpo_now_seconds"], 20)  # nothing behind the hole can be restored
        done = self.lab.cli("backup", "postgres")
        self.assertEqual(done.code, 0, done)
        self.await_capture()
        wait_until("the end of both", lambda: not {"postgres.capture_hole", "postgres.rpo_exceeded"} & self.open_incidents(), 60)
        self.await_durable()

    def test_wal_that_contradicts_the_repository_is_an_incident_at_once(self):
        """The repository has another cluster's WAL, and none of this one's."""
        def rename(old, new):
            for log in (self.repo / "logs").glob(f"postgres-{old}-*"):
                log.rename(log.with_name(log.name.replace(old, new, 1)))
        identifier = self.leader.sql("SELECT system_identifier FROM pg_control_system()")[0][0]
        foreign = str(int(identifier) + 1)
        serve = self.lab.node("serve")["pid"]
        os.kill(serve, signal.SIGTERM)
        wait_until("the end of serve", lambda: not is_running(serve), 60)
        rename(str(identifier), foreign)
        self.addCleanup(rename, foreign, str(identifier))
        run("lab", "up", "--dir", self.lab.directory, "--only", "serve")
        wait_until("the incident", lambda: "postgres.capture_refused" in self.open_incidents(), 60)
        self.assertNotIn("postgres.rpo_exceeded", self.open_incidents(), "it does not wait for the objective")
        rename(foreign, str(identifier))
        wait_until("its end", lambda: "postgres.capture_refused" not in self.open_incidents(), 180)
        self.await_capture()

    def test_slots_that_hold_much_or_are_unprotected_are_told(self):
        self.send_away()
        number = 0
        while self.leader.end_of_wal() - self.leader.held_from() < 52 * MIB:  # more than three quarters of slot_limit
            self.leader.sql("INSERT INTO ledger SELECT %s + n, repeat(md5(n::text), 60) FROM generate_series(1, 1000) n", number)
            number += 1000
        wait_until("the incident", lambda: "postgres.slot_held" in self.open_incidents(), 120)
        self.bring_back()
        wait_until("its end", lambda: "postgres.slot_held" not in self.open_incidents(), 120)
        self.patch_config({"ignore_slots": None})
        wait_until("the incident", lambda: "postgres.slot_unprotected" in self.open_incidents(), 120)
        self.patch_config({"ignore_slots": [{"name": "aeterna", "type": "physical"}]})
        wait_until("its end", lambda: "postgres.slot_unprotected" not in self.open_incidents(), 120)
        self.await_capture()
        self.await_durable()

    def patch_config(self, change):
        address = self.lab.node(self.leader.name.replace("postgres", "patroni"))["address"]
        request = urllib.request.Request(f"http://{address}/config", json.dumps(change).encode(), method="PATCH",
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            self.assertEqual(answer.status, 200)

    def test_serve_ends_in_good_order(self):
        pid = self.lab.node("serve")["pid"]
        self.leader.sql("INSERT INTO ledger SELECT n, repeat(md5(n::text), 60) FROM generate_series(1, 1000) n")
        os.kill(pid, signal.SIGTERM)
        wait_until("the end of serve", lambda: not is_running(pid), 60)
        status = self.lab.status()
        self.assertEqual(status["watcher"], "direct")
        self.assertEqual(status["stores"]["postgres"]["capture"], "unknown")
        self.assertIsNone(status["stores"]["postgres"]["rpo_now_seconds"])
        done = run("lab", "up", "--dir", self.lab.directory, "--only", "serve", timeout=60)
        self.assertEqual(done.code, 0, done)
        wait_until("serve's answer", lambda: self.lab.status()["watcher"] == "serve", 60)
        self.await_capture()
        self.await_durable()


if __name__ == "__main__":
    unittest.main()
