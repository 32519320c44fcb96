"""The WAL receiver and restore_command on real servers: killed at any moment, over a fork, beside a wait for a synchronous
standby, and asked for what is not there."""
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

import psycopg2

import capturing
from capturing import AS_SERVER, BINARIES, MIB, Member, Server, Writer, as_server, position, stack_of
from support import PROGRAM, Lab, is_running, restart_serve, run, wait_until
from watching import kill


class WalReceiverTest(unittest.TestCase):
    def setUp(self):
        self.place = Path(tempfile.mkdtemp(prefix="aeterna-dr-test-", dir="/var/tmp"))
        self.addCleanup(shutil.rmtree, self.place, ignore_errors=True)
        if AS_SERVER:
            shutil.chown(self.place, "postgres", "postgres")
        self.repo, self.key, self.stack = self.place / "repo", self.place / "key", self.place / "stack.yaml"
        self.environment = {"STATE_DIRECTORY": str(self.place / "state")}
        self.assertEqual(self.cli("repo", "init").code, 0)
        self.primary = self.make_server("primary")
        self.primary.initialise()
        self.primary.begin().sql("CREATE TABLE ledger (id bigint PRIMARY KEY, filler text)")
        self.write_stack(self.primary)
        self.watches = []
        self.addCleanup(self.end_watches)

    def make_server(self, name):
        server = Server(self.place, name)
        self.addCleanup(server.stop)
        return server

    def write_stack(self, *servers, **options):
        self.stack.write_text(stack_of(*servers, **options))

    def arguments(self, *words, key=None, repo=None):
        return [PROGRAM, "--repo", repo or self.repo, "--key-file", key or self.key, *words]

    def cli(self, *words, **options):
        return as_server(*self.arguments(*words, **options), env=self.environment)

    def watch(self, *words):
        said = open(self.place / "watch.log", "a")
        process = subprocess.Popen([*AS_SERVER, *map(str, self.arguments("--stack", self.stack, "backup", "watch", *words))],
                                   stdout=subprocess.PIPE, stderr=said, stdin=subprocess.DEVNULL, text=True, cwd="/",
                                   env=dict(os.environ, **self.environment))
        said.close()
        self.watches.append(process)
        return process

    def end_watches(self):
        while self.watches:
            process = self.watches.pop()
            process.kill()
            process.wait()
            process.stdout.close()

    def begin_writing(self):
        """Once it is captured; (a copy from before, the writer)."""
        wait_until("the slot", self.primary.held_from, 30)
        return self.make_server("base").copy_of(self.primary), Writer(self.primary)

    def said(self):
        return (self.place / "watch.log").read_text()

    def await_durable(self, server, end=None):
        """The slot is moved only to what the repository has."""
        end = end or server.end_of_wal()
        wait_until(f"durability of {end:x}", lambda: server.held_from() >= end, 60)

    def get(self, file, *words, into=None, key=None, repo=None):
        into = into or self.place / "got"
        into.unlink(missing_ok=True)
        return self.cli("archive-get", file, into, *words, key=key, repo=repo)

    def system_identifier(self):
        return self.system_identifier_of(self.primary)

    def system_identifier_of(self, server):
        return str(server.one("SELECT system_identifier FROM pg_control_system()"))

    def restored(self, base, key=None):
        """The copy `base`, made to recover by our archive-get alone."""
        command = " ".join(map(str, self.arguments("archive-get", "%f", "%p", key=key)))
        with open(base.data / "postgresql.auto.conf", "a") as file:
            file.write(f"restore_command = '{command}'\narchive_mode = off\nsynchronous_standby_names = ''\n")
        (base.data / "recovery.signal").touch()
        return base

    def begin_restored(self, base):
        self.restored(base).begin()
        wait_until("the end of recovery", lambda: not base.one("SELECT pg_is_in_recovery()"), 60)
        return base

    def pieces(self, timeline=1):
        log = self.repo / "logs" / f"postgres-{self.system}-{timeline:08X}"
        return sorted(path for path in log.iterdir() if re.fullmatch("[0-9a-f]{16}", path.name))

    def test_killed_at_any_moment_it_loses_nothing(self):
        chance = random.Random(6)
        watch = self.watch()
        base, writer = self.begin_writing()
        for _ in range(6):
            time.sleep(chance.uniform(0.2, 2.0))
            watch.kill()
            watch.wait()
            watch = self.watch()
        wait_until("rows enough", lambda: len(writer.acknowledged) > 1000, 120)
        acknowledged = writer.end()
        self.await_durable(self.primary)
        watch.kill()
        self.primary.stop()
        self.assertNotIn("hole", self.said())
        self.assertEqual(self.begin_restored(base).rows(), acknowledged)
        done = self.cli("repo", "check", "--read-data")
        self.assertEqual(done.code, 0, done)

    def test_a_damaged_last_piece_is_fetched_again(self):
        self.watch()
        base, writer = self.begin_writing()
        self.system = self.system_identifier()
        wait_until("rows enough", lambda: len(writer.acknowledged) > 300, 60)
        self.await_durable(self.primary)
        self.end_watches()
        last = self.pieces()[-1]
        content = bytearray(last.read_bytes())
        content[len(content) // 2] ^= 1
        last.write_bytes(content)
        self.assertEqual(self.cli("repo", "check", "--read-data").code, 1)
        self.watch()
        wait_until("more rows", lambda: len(writer.acknowledged) > 900, 60)
        acknowledged = writer.end()
        self.await_durable(self.primary)
        self.end_watches()
        self.primary.stop()
        self.assertNotIn("hole", self.said())
        self.assertEqual(self.begin_restored(base).rows(), acknowledged)

    def test_a_server_that_is_killed_alone_leaves_no_gap(self):
        """Its postmaster, or the process that streams, which takes the others along; the receiver lives on."""
        chance = random.Random(4)
        watch = self.watch()
        wait_until("the slot", self.primary.held_from, 30)
        base = self.make_server("base").copy_of(self.primary)
        acknowledged = set()
        for number, victim in enumerate((self.primary.pid, self.walsender) * 3):
            writer = Writer(self.primary, number * 1_000_000)
            wait_until("rows", lambda: len(writer.acknowledged) > 300, 60)
            time.sleep(chance.uniform(0, 1.2))
            kill(victim())
            acknowledged |= writer.end()
            self.await_restart()
        self.primary.sql("INSERT INTO ledger VALUES (-1, 'the last one')")
        self.await_durable(self.primary)
        self.assertIsNone(watch.poll())
        rows = self.primary.rows()
        self.assertLessEqual(acknowledged, rows)
        self.end_watches()
        self.primary.stop()
        self.assertNotIn("hole", self.said())
        self.assertNotIn("other WAL", self.said())
        self.assertEqual(self.begin_restored(base).rows(), rows)
        done = self.cli("repo", "check", "--read-data")
        self.assertEqual(done.code, 0, done)

    def walsender(self):
        return wait_until("the stream", lambda: self.primary.one("SELECT pid FROM pg_stat_replication WHERE state = 'streaming'"), 60)

    def await_restart(self):
        """By itself, or, without its postmaster, by us when the last of its processes is gone."""
        def answers():
            try:
                if not is_running(self.primary.pid()):
                    self.primary.start()
                return self.primary.one("SELECT true")
            except (OSError, psycopg2.OperationalError):
                return False
        wait_until("the server", answers, 60)

    def test_two_receivers_and_a_repository_that_is_gone_for_a_while_are_harmless(self):
        self.watch()
        self.watch()
        base, writer = self.begin_writing()
        wait_until("that one lost a piece", lambda: "another writer appends" in self.said(), 60)
        mode = self.repo.stat().st_mode
        self.repo.chmod(0)
        wait_until("that it is noticed", lambda: "ermission" in self.said(), 60)
        # Nothing from here on is durable, so the slot must not pass it.
        end, count = self.primary.end_of_wal(), len(writer.acknowledged)
        wait_until("more rows", lambda: len(writer.acknowledged) > count + 500, 60)
        self.assertLessEqual(self.primary.held_from(), end)
        self.repo.chmod(mode)
        acknowledged = writer.end()
        self.await_durable(self.primary)
        self.end_watches()
        self.primary.stop()
        self.assertNotIn("hole", self.said())
        self.assertEqual(self.begin_restored(base).rows(), acknowledged)

    def test_stopped_in_good_order_it_has_all_that_came(self):
        watch = self.watch("--json")
        wait_until("the slot", self.primary.held_from, 30)
        writer = Writer(self.primary)
        wait_until("some rows", lambda: len(writer.acknowledged) > 500, 30)
        acknowledged = writer.end()
        # It waits until its client has received everything, its last record too.
        self.primary.stop("fast")
        control = as_server(BINARIES / "pg_controldata", self.primary.data).out
        last = position(re.search(r"Latest checkpoint location: +(\S+)", control).group(1))
        watch.send_signal(signal.SIGINT)
        out = watch.communicate(timeout=30)[0]
        self.assertEqual(watch.returncode, 0, self.said())
        self.assertGreater(position(json.loads(out)["capture"][0]["position"]), last)
        self.assertGreater(len(acknowledged), 500)

    def wait_for_standbys(self, names):
        """A writer whose commit waits for one of them."""
        self.primary.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        self.primary.sql("SELECT pg_reload_conf()")
        wait_until("the setting", lambda: self.primary.one("SHOW synchronous_standby_names") == names, 30)
        writer = Writer(self.primary, 1)
        wait_until("a commit that waits", lambda: self.primary.one(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"), 30)
        return writer

    def test_where_everybody_is_named_its_own_name_confirms_nothing(self):
        """As Patroni's strict mode names them while nobody is fit to take over."""
        self.write_stack(self.primary, more="    synchronous_name: repository\n")
        self.watch()
        wait_until("the slot", self.primary.held_from, 30)
        writer = self.wait_for_standbys("*")
        self.await_durable(self.primary)
        time.sleep(3)  # a status of the receiver, and a look of its keeper, come each second
        self.assertEqual(writer.acknowledged, [])
        self.assertIn("no commit is confirmed", self.said())
        self.primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (repository)'")
        self.primary.sql("SELECT pg_reload_conf()")
        wait_until("the release", lambda: len(writer.acknowledged) > 100, 60)
        writer.end()

    def test_it_never_counts_as_a_synchronous_standby(self):
        self.watch()
        wait_until("the slot", self.primary.held_from, 30)
        writer = self.wait_for_standbys("*")
        # The repository has the commit, and still nobody is told that it is safe.
        end = self.primary.end_of_wal()
        self.await_durable(self.primary, end)
        wait_until("a report of what was received", lambda: position(self.primary.one(
            "SELECT coalesce(write_lsn::text, '0/0') FROM pg_stat_replication") or "0/0") >= end, 60)
        states = self.primary.sql("SELECT application_name, state, sync_state, flush_lsn FROM pg_stat_replication")
        self.assertEqual(states, [("aeterna-dr capture", "streaming", "async", None)])
        self.assertEqual(self.primary.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"), 1)
        self.assertEqual(writer.acknowledged, [])
        self.primary.sql("ALTER SYSTEM RESET synchronous_standby_names")
        self.primary.sql("SELECT pg_reload_conf()")
        wait_until("the release", lambda: writer.acknowledged, 30)
        writer.end()

    def test_under_a_name_of_its_own_it_confirms_what_the_repository_has(self):
        base = self.make_server("base").copy_of(self.primary)
        self.write_stack(self.primary, more="    synchronous_name: repository\n")
        self.watch()
        wait_until("the slot", self.primary.held_from, 30)
        self.primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (repository)'")
        self.primary.sql("SELECT pg_reload_conf()")
        wait_until("the standby", lambda: self.primary.sql(
            "SELECT application_name, sync_state FROM pg_stat_replication") == [("repository", "sync")], 30)
        # The weakest level that waits: what is only written counts.
        self.primary.sql("ALTER SYSTEM SET synchronous_commit = 'remote_write'")
        self.primary.sql("SELECT pg_reload_conf()")
        writers = [Writer(self.primary, number * 1_000_000) for number in range(3)]
        wait_until("commits", lambda: all(len(writer.acknowledged) > 100 for writer in writers), 60)
        self.watches[0].kill()
        self.primary.stop()
        acknowledged = set().union(*(writer.end() for writer in writers))
        self.begin_restored(base)
        self.assertEqual(acknowledged - base.rows(), set())

    def test_commits_wait_while_nobody_confirms_them(self):
        self.write_stack(self.primary, more="    synchronous_name: repository\n")
        writer = self.wait_for_standbys("FIRST 1 (repository)")
        self.assertEqual(writer.acknowledged, [])
        self.watch()
        wait_until("commits", lambda: len(writer.acknowledged) > 100, 60)
        writer.end()

    def begin_with_standby(self):
        standby = self.make_server("standby").copy_of(self.primary, follows=True).begin()
        self.write_stack(self.primary, standby)
        self.watch()
        wait_until("the slots", lambda: self.primary.held_from() and standby.held_from(), 30)
        return standby

    def write_on_both(self, standby):
        self.primary.sql("INSERT INTO ledger SELECT generate_series(1, 1000), 'both'")
        end = self.primary.end_of_wal()
        wait_until("the standby", lambda: position(standby.one("SELECT pg_last_wal_replay_lsn()::text")) >= end, 30)

    def test_a_server_that_was_set_back_is_not_captured(self):
        """On the same timeline it writes other WAL at positions that the repository has; it counts once it has come past them."""
        self.watch()
        self.await_durable(self.primary)
        self.end_watches()
        self.system = self.system_identifier()
        self.primary.stop("fast")
        before = self.place / "before"
        shutil.copytree(self.primary.data, before, symlinks=True)
        self.primary.begin()
        self.watch()
        self.primary.sql("INSERT INTO ledger SELECT generate_series(1, 1000), 'right'")
        self.await_durable(self.primary)
        self.end_watches()
        end, pieces = self.primary.end_of_wal(), self.pieces()
        self.primary.stop("fast")
        shutil.rmtree(self.primary.data)
        before.rename(self.primary.data)
        if AS_SERVER:
            for path in (self.primary.data, *self.primary.data.rglob("*")):
                shutil.chown(path, "postgres", "postgres")
        self.primary.begin()
        self.primary.sql("INSERT INTO ledger SELECT generate_series(1, 9000), 'other'")
        self.assertGreater(self.primary.end_of_wal(), end)
        self.assertEqual(end // (16 * MIB), self.primary.end_of_wal() // (16 * MIB), "the segment that is streamed again")
        self.watch()
        wait_until("the refusal", lambda: "has other WAL at" in self.said(), 60)
        time.sleep(3)
        self.end_watches()
        self.assertEqual(self.pieces(), pieces, "nothing of it was captured")
        self.assertLess(self.primary.held_from(), end, "nor given up")

    def test_the_end_of_the_old_timeline_comes_from_the_new_primary(self):
        standby = self.begin_with_standby()
        base = self.make_server("base").copy_of(self.primary)
        self.await_durable(self.primary)
        self.end_watches()
        self.write_on_both(standby)
        self.primary.stop()
        standby.promote()
        standby.sql("INSERT INTO ledger VALUES (5000, 'new')")
        self.watch()
        self.await_durable(standby)
        self.end_watches()
        standby.stop()
        self.assertIn("timeline 1 ended at", self.said())
        self.assertNotIn("hole", self.said())
        self.assertEqual(self.begin_restored(base).rows(), {5000, *range(1, 1001)})
        # Its last piece is gone: what is missing before the fork is not the end of the WAL.
        self.system = self.system_identifier_of(base)
        last = self.pieces()[-1]
        segment = int(last.name, 16) // (16 * MIB)
        last.unlink()
        done = self.get("{:08X}{:08X}{:08X}".format(1, 0, segment), "--cluster", self.system)
        self.assertEqual(done.code, 255, done)
        self.assertIn("its history goes on", done.err)

    def test_it_follows_a_fork_and_keeps_the_dead_branch(self):
        standby = self.begin_with_standby()
        base = self.make_server("base").copy_of(self.primary)
        self.write_on_both(standby)
        standby.cut_off()
        self.primary.sql("INSERT INTO ledger SELECT generate_series(2001, 3000), 'dead branch'")
        self.await_durable(self.primary)
        self.primary.stop()
        standby.promote()
        writer = Writer(standby, 10_000)
        wait_until("rows on the new timeline", lambda: len(writer.acknowledged) > 300, 60)
        acknowledged = writer.end()
        self.await_durable(standby)
        self.end_watches()
        standby.stop()
        self.assertIn("is a dead branch", self.said())
        self.assertNotIn("hole", self.said())
        self.assertEqual(self.begin_restored(base).rows(), acknowledged | set(range(1, 1001)))
        self.assertEqual(base.one("SELECT timeline_id FROM pg_control_checkpoint()"), 3)
        # What the receiver relies on where a server lacks an ancestor's file.
        two, three = ((base.data / "pg_wal" / f"0000000{number}.history").read_text() for number in (2, 3))
        self.assertEqual(three[:three.index("\n2\t")], two)

    def test_a_dead_branch_moves_no_slot_of_the_new_primary(self):
        """The old primary lives on and writes as well: its positions say nothing of the new timeline."""
        standby = self.begin_with_standby()
        base = self.make_server("base").copy_of(self.primary)
        self.write_on_both(standby)
        standby.cut_off()
        self.write_segments(self.primary, 2000)
        self.await_durable(self.primary)
        (watch,) = self.watches
        watch.send_signal(signal.SIGSTOP)  # between two of its looks
        standby.promote()
        self.write_segments(standby, 3000)
        is_over = threading.Event()

        def checkpoint():
            while not is_over.is_set():
                standby.sql("CHECKPOINT")  # removes what no slot holds

        thread = threading.Thread(target=checkpoint)
        thread.start()
        watch.send_signal(signal.SIGCONT)
        try:
            wait_until("the new timeline", lambda: "timeline 2 from" in self.said(), 60)
        finally:
            is_over.set()
            thread.join()
        self.assertNotIn("hole", self.said())
        self.await_durable(standby)
        self.end_watches()
        standby.stop()
        self.assertEqual(self.begin_restored(base).rows(), {*range(1, 1001), *range(3000, 3005)})

    def write_segments(self, server, first):
        for number in range(5):
            server.sql("INSERT INTO ledger VALUES (%s, 'a segment')", first + number)
            server.one("SELECT pg_switch_wal()::text")

    def test_what_archive_get_answers(self):
        self.watch()
        wait_until("the slot", self.primary.held_from, 30)
        self.system = self.system_identifier()
        begin = self.primary.held_from() // (16 * MIB)
        for _ in range(3):
            self.primary.sql("INSERT INTO ledger SELECT coalesce(max(id), 0) + 1, 'x' FROM ledger")
            self.primary.sql("SELECT pg_switch_wal()")
        self.primary.sql("INSERT INTO ledger VALUES (-1, 'the last one')")
        self.await_durable(self.primary)
        self.end_watches()
        name = "{:08X}{:08X}{:08X}".format
        cluster = ("--cluster", self.system)
        for number in (begin, begin + 1, begin + 2):
            done = self.get(name(1, 0, number), *cluster)
            self.assertEqual(done.code, 0, done)
            self.assertEqual((self.place / "got").read_bytes(),
                             (self.primary.data / "pg_wal" / name(1, 0, number)).read_bytes())
        # The end of the history: what is there, then zeros.
        done = self.get(name(1, 0, begin + 3), *cluster)
        self.assertEqual(done.code, 0, done)
        got = (self.place / "got").read_bytes()
        end = self.primary.end_of_wal() % (16 * MIB)
        self.assertEqual(len(got), 16 * MIB)
        self.assertEqual(got[:end], (self.primary.data / "pg_wal" / name(1, 0, begin + 3)).read_bytes()[:end])
        self.assertEqual(got[-MIB:], bytes(MIB))
        for absent in (name(1, 0, begin + 4), name(2, 0, begin), "00000002.history", "00000001.history",
                       name(1, 0, begin) + ".partial", name(1, 0, begin) + ".00000028.backup"):
            done = self.get(absent, *cluster)
            self.assertEqual(done.code, 1, (absent, done))
            self.assertFalse((self.place / "got").exists())
        self.assert_errors_are_no_end_of_wal(name(1, 0, begin), name(1, 0, begin + 4), cluster)
        # A piece of the middle is gone: a hole, not an end. A standby looks elsewhere.
        middle = next(piece for piece in self.pieces() if int(piece.name, 16) >= (begin + 1) * 16 * MIB)
        middle.unlink()
        done = self.get(name(1, 0, begin + 1), *cluster)
        self.assertEqual(done.code, 255, done)
        self.assertIn("lacks", done.err)

    def assert_errors_are_no_end_of_wal(self, file, absent, cluster):
        other = self.place / "other-key"
        self.assertEqual(self.cli("repo", "init", repo=self.place / "other", key=other).code, 0)
        for asked in (file, absent):
            for done in (self.get(asked, *cluster, key=other),
                         self.get(asked, *cluster, key=self.place / "no-key"),
                         self.get(asked, *cluster, repo=self.place / "nowhere"),
                         self.get(asked, *cluster, repo="s3://bucket/prefix?endpoint=http://127.0.93.1:9&region=x"),
                         self.get(asked, *cluster, repo=self.place / "other", key=other),
                         self.get(asked, "--cluster", "1"),
                         self.get(asked),  # not in a data directory
                         self.get(asked, "--wrong-option"),
                         self.cli("archive-get", asked),
                         self.get(asked, *cluster, "--timeout", "nonsense")):
                self.assertEqual(done.code, 255, done)
                self.assertFalse((self.place / "got").exists())
                self.assertTrue(done.err.startswith("aeterna-dr: "), done)
        self.assertEqual(self.get(file, *cluster, "--wal-segment-size", 32 * MIB).code, 255)
        self.assertEqual(self.get(file, *cluster, into=self.place / "no" / "such").code, 255)

    def test_a_wrong_key_does_not_promote(self):
        self.watch()
        wait_until("the slot", self.primary.held_from, 30)
        base = self.make_server("base").copy_of(self.primary)
        other = self.place / "other-key"
        self.assertEqual(self.cli("repo", "init", repo=self.place / "other", key=other).code, 0)
        self.restored(base, key=other).start(wait=False)
        wait_until("the end of the server", lambda: "could not restore file" in base.log.read_text()
                   and not (base.data / "postmaster.pid").exists(), 60)
        self.assertIn("FATAL", base.log.read_text())
        self.assertTrue((base.data / "recovery.signal").exists())

    def test_another_cluster_is_refused(self):
        self.watch()
        wait_until("the slot", self.primary.held_from, 30)
        self.await_durable(self.primary)
        self.end_watches()
        other = self.make_server("other")
        other.initialise()
        other.begin()
        self.write_stack(other)
        watch = self.watch()
        self.assertEqual(watch.wait(timeout=30), 5, self.said())
        self.assertIn("--new-cluster", self.said())
        self.assertEqual(other.held_from(), 0)
        self.watch("--new-cluster")
        wait_until("the slot", other.held_from, 30)


class PatroniTest(unittest.TestCase):
    """Under Patroni, over a switchover and a kill -9 of the leader; nothing but the stack file says where the servers are."""

    end_watches = WalReceiverTest.end_watches
    arguments = WalReceiverTest.arguments
    cli = WalReceiverTest.cli
    watch = WalReceiverTest.watch
    said = WalReceiverTest.said
    restored = WalReceiverTest.restored
    begin_restored = WalReceiverTest.begin_restored

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.remove)
        self.lab.up()
        # Two receivers may share a slot only when they share a repository.
        stack = Path(self.lab.stack)
        stack.write_text(stack.read_text().replace("    capture: on", "    capture: off"))
        restart_serve(self.lab)
        self.place = Path(tempfile.mkdtemp(prefix="aeterna-dr-test-", dir="/var/tmp"))
        self.addCleanup(shutil.rmtree, self.place, ignore_errors=True)
        # The stack file and its secrets are root's; repository and key have to be the servers'.
        shutil.copytree(self.lab.directory, self.place / "lab", ignore=lambda folder, names: [
            name for name in names if folder == self.lab.directory and name not in ("stack.yaml", "secrets")])
        self.stack = self.place / "lab" / "stack.yaml"
        self.stack.write_text(self.stack.read_text().replace(self.lab.directory, str(self.place / "lab")))
        if AS_SERVER:
            for path in [self.place, *self.place.rglob("*")]:
                shutil.chown(path, "postgres", "postgres")
        self.repo, self.key = self.place / "repo", self.place / "key"
        self.environment = {"STATE_DIRECTORY": str(self.place / "state")}
        self.assertEqual(self.cli("repo", "init").code, 0)
        self.watches = []
        self.addCleanup(self.end_watches)

    def members(self):
        return capturing.members(self.lab, self.place)

    def leader(self):
        name = wait_until("a primary", lambda: self.lab.status()["stores"]["postgres"]["primary"], 120)
        return self.members()[name]

    def await_slots(self, end):
        wait_until(f"durability of {end:x} told to every node",
                   lambda: all(member.held_from() >= end for member in self.members().values()), 120)

    def write_some(self, leader, first):
        writer = Writer(leader, first)
        wait_until("rows", lambda: len(writer.acknowledged) > 500, 60)
        return writer

    def begin_capture(self):
        """The leader, and a copy of it to which the captured WAL is to lead."""
        leader = self.leader()
        leader.sql("CREATE TABLE ledger (id bigint PRIMARY KEY, filler text)")
        self.watch()
        wait_until("the slots", lambda: all(member.held_from() for member in self.members().values()), 60)
        credentials = self.lab.lab_status()["credentials"]["postgres"]
        password = (self.place / "lab" / "secrets" / "postgres_aeterna_dr").read_text().strip()
        source = Member(self.place, "source", {**credentials, "user": "aeterna_dr", "password": password},
                        f"{leader.host}:{leader.port}")
        base = Member(self.place, "base", credentials).copy_of(source)
        self.addCleanup(base.stop)
        return leader, base

    def test_agents_that_are_killed_and_come_back_cost_no_slot(self):
        """The servers live on; a Patroni that starts drops slots that it does not know, but for those that it is told to leave."""
        leader, base = self.begin_capture()
        made = self.said().count("made the slot")
        writer = self.write_some(leader, 0)
        names = [leader.name, *(name for name in self.members() if name != leader.name)]
        for name in names:
            agent = name.replace("postgres", "patroni")
            kill(self.lab.node(agent)["pid"])
            done = run("lab", "up", "--dir", self.lab.directory, "--only", agent)
            self.assertEqual(done.code, 0, done)
            self.lab.await_healthy()
        self.watches[0].kill()  # and ours, while one more agent is away
        kill(self.lab.node(leader.name.replace("postgres", "patroni"))["pid"])
        self.watch()
        self.lab.await_healthy()
        acknowledged = writer.end()
        self.assertEqual(self.leader().name, leader.name)
        self.await_slots(leader.end_of_wal())
        self.end_watches()
        kept = leader.rows()
        self.assertEqual(acknowledged, kept)
        self.assertEqual(self.said().count("made the slot"), made, self.said())
        self.assertNotIn("hole", self.said())
        self.assertNotIn("not protected", self.said())
        self.assertEqual(self.begin_restored(base).rows(), kept)

    def test_switchover_and_failover_are_followed_without_a_gap(self):
        leader, base = self.begin_capture()
        writers = [self.write_some(leader, 0)]
        done = self.lab.cli("switchover", "postgres", "--yes")
        self.assertEqual(done.code, 0, done)
        old, leader = leader, self.leader()
        self.assertNotEqual(old.name, leader.name)
        acknowledged = writers[0].end()
        writers.append(self.write_some(leader, 100_000))
        self.lab.await_healthy()
        for name in (leader.name.replace("postgres", "patroni"), leader.name):
            os.kill(self.lab.node(name)["pid"], signal.SIGKILL)
        writers[1].end()
        killed, leader = leader, None
        wait_until("another primary", lambda: self.lab.status()["stores"]["postgres"]["primary"] not in (None, killed.name), 120)
        leader = self.leader()
        writers.append(self.write_some(leader, 200_000))
        acknowledged |= writers[2].end()
        self.lab.await_healthy()
        self.await_slots(leader.end_of_wal())
        self.end_watches()
        kept = leader.rows()
        self.assertLessEqual(acknowledged, kept)
        self.assertNotIn("hole", self.said())
        self.assertNotIn("not protected", self.said())
        self.assertEqual(self.begin_restored(base).rows(), kept)


if __name__ == "__main__":
    unittest.main()
