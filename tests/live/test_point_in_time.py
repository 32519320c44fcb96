"""Restores of PostgreSQL to a point in time out of base backups and captured WAL, each started by stock pg_ctl: to every kind
of target, over a fork and back onto its dead branch, behind a hole, and to points that nobody can reach."""
import os
import subprocess
import time
import unittest
from datetime import datetime, timedelta, timezone

from capturing import ADDRESS, AS_SERVER, BINARIES, Writer, as_server, iso, position
from restoring import RestoringTest
from support import wait_until


class PointInTimeTest(RestoringTest):
    def test_every_kind_of_target(self):
        before = self.primary.one("SELECT clock_timestamp()")
        self.watch()
        self.back_up()
        self.pass_checkpoint_time()
        times = []
        for number in range(1, 6):
            times.append(self.insert(number))
            time.sleep(0.02)
        self.primary.sql("SELECT pg_create_restore_point('here')")
        position_of_five = self.primary.one("SELECT pg_current_wal_lsn()::text")
        connection = self.primary.connect()
        connection.autocommit = False
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO ledger VALUES (6, 'x')")
            cursor.execute("SELECT txid_current() % 4294967296")
            xid = cursor.fetchone()[0]
        self.insert(7)
        connection.commit()
        connection.close()
        self.insert(8)
        self.primary.sql("SELECT pg_create_restore_point('here')")
        self.back_up()
        for number in range(9, 12):
            self.insert(number)
        self.await_durable(self.primary)
        server, plan = self.restore("latest")
        self.assertEqual(server.rows(), set(range(1, 12)))
        server.stop()
        # The server's own tool counts the same.
        replay = plan["replay"]
        said = as_server(BINARIES / "pg_waldump", "-p", self.primary.data / "pg_wal", "-s", replay["from"], "-e", replay["to"], "-r", "Transaction")
        self.assertEqual((said.code, said.out.count("COMMIT")), (0, replay["commits"]), said)
        self.assertEqual(self.rows_at(iso(times[1] + timedelta(milliseconds=5))), {1, 2})
        self.assertEqual(self.rows_at(f"lsn:{position_of_five}"), set(range(1, 6)))
        self.assertEqual(self.rows_at("name:here"), set(range(1, 9)))
        self.assertEqual(self.rows_at(f"xid:{xid}"), {*range(1, 6), 6, 7})
        server, plan = self.restore(iso(times[3] + timedelta(milliseconds=5)))
        self.assertEqual(server.rows(), {1, 2, 3, 4})
        self.assertEqual(server.one("SELECT timeline_id FROM pg_control_checkpoint()"), 2)
        self.assertEqual(server.one("SHOW archive_mode"), "off")
        self.assertEqual(plan["replay"]["timeline"], 1)
        four = datetime.fromisoformat(plan["replay"]["last_commit"].replace("Z", "+00:00"))
        self.assertTrue(self.before[4] - timedelta(milliseconds=1) <= four <= times[3])
        server.sql("INSERT INTO ledger VALUES (100, 'of its own')")
        server.stop()
        # What no backup and WAL can give is said before anything is touched.
        self.assert_refused(1, "lead to", iso(before - timedelta(hours=1)))
        self.assert_refused(1, "lead to", iso(before))
        self.assert_refused(1, "the last commit in it", iso(datetime.now(timezone.utc)))
        self.assert_refused(1, "lies behind it", "lsn:1/0")
        self.assert_refused(1, "lead to", "lsn:0/1000000")
        self.assert_refused(1, "lead to", "name:nowhere")
        self.assert_refused(1, "lead to", "xid:4000000000")
        self.assert_refused(1, "timeline 7", "latest", "--timeline", "7")
        self.assert_refused(2, "future", "2199-01-01T00:00:00Z")
        for word in ("yesterday", "2026-01-01T00:00:00", "lsn:x", "xid:x", "name:"):
            self.assert_refused(2, f"'{word}'", word)
        window, = self.recovery_points()
        self.assertEqual((len(window["backups"]), window["timeline"], window["gap"]), (2, 1, None), window)
        self.assertGreaterEqual(position(window["to"]), position(replay["to"]))
        # What the kept backup does not need goes, the rest is enough.
        done = self.cli("repo", "prune", "--keep-last", "1")
        self.assertEqual(done.code, 0, done)
        self.assertIn("trim ", done.out)
        self.assertEqual(self.rows_at("latest"), set(range(1, 12)))
        self.assert_refused(1, "lead to", iso(times[1]))
        self.assertEqual(len(self.recovery_points()[0]["backups"]), 1)
        done = self.cli("repo", "check", "--read-data")
        self.assertEqual(done.code, 0, done)
        self.assert_refused(2, "no timeline", "latest", "--timeline", "x")

    def test_a_delta_over_servers_that_went_on(self):
        self.watch()
        self.back_up()
        self.pass_checkpoint_time()
        times = []
        for number in range(1, 4):
            times.append(self.insert(number))
            time.sleep(0.02)
        self.await_durable(self.primary)
        server, _ = self.restore("latest")
        # It goes its own way, at other places of the same files, in new ones and without old ones, and dies.
        server.sql("UPDATE ledger SET filler = 'changed'")
        server.sql("INSERT INTO ledger VALUES (100, 'its own')")
        server.sql("CREATE TABLE own AS SELECT generate_series(1, 50000) n")
        server.sql("VACUUM FULL ledger")
        server.sql("CHECKPOINT")
        server.sql("INSERT INTO ledger VALUES (101, 'in no checkpoint')")
        server.stop("immediate")
        early = iso(times[1] + timedelta(milliseconds=5))
        server, plan = self.restore(early, "--delta", "--yes", over=server)
        self.assertGreater(plan["kept_bytes"], 10 << 20, plan)
        self.check_sound(server, {1, 2})
        server.stop()
        # Of another directory, that stays as it is.
        taken_from, plan = self.restore("latest", "--delta-from", server.data)
        self.assertGreater(plan["kept_bytes"], 10 << 20, plan)
        self.check_sound(taken_from, {1, 2, 3})
        taken_from.stop()
        self.start(server)
        self.check_sound(server, {1, 2})

    def check_sound(self, server, rows):
        self.assertEqual(server.rows(), rows)
        self.assertEqual(server.one("SELECT string_agg(DISTINCT filler, ',') FROM ledger"), "x")
        self.assertIsNone(server.one("SELECT to_regclass('own')::text"))
        done = as_server(BINARIES / "pg_amcheck", "-h", ADDRESS, "-p", server.port, "--install-missing", "--heapallindexed", "-a")
        self.assertEqual((done.code, done.out), (0, ""), done)

    def test_recovery_settings_of_the_old_server_do_not_count(self):
        """Its own file may still have what it once was restored or delayed by."""
        ended = self.place / "ended"
        with open(self.primary.data / "postgresql.conf", "a") as conf:
            conf.write("recovery_target_time = '2001-01-01 00:00:00+00'\nrecovery_min_apply_delay = '1h'\n"
                       f"recovery_end_command = 'touch \"{str(ended)}\"'\n".replace("it's", "it''s").replace("f\\ull", "f\\\\ull")
                       .replace("50%", "50%%"))
        self.watch()
        self.back_up()
        self.insert(1)
        self.await_durable(self.primary)
        self.assertEqual(self.rows_at("latest"), {1})
        self.assertFalse(ended.exists())

    def test_an_interrupted_restore_to_another_point_is_named(self):
        self.back_up()
        into = self.place / "begun"
        into.mkdir()
        (into / ".aeterna-dr-restore").write_text("BACKUP to 0/3000148")
        done = self.cli("restore", "postgres", "--into", into)
        self.assertEqual(done.code, 5, done)
        self.assertIn("interrupted restore of BACKUP to 0/3000148: go on with it", done.err)

    def test_what_is_captured_later_does_not_move_the_end(self):
        self.watch()
        self.back_up()
        self.insert(1)
        self.await_durable(self.primary)
        server = self.make_server("late")
        done = self.cli("restore", "postgres", "--to", "latest", "--into", server.data)
        self.assertEqual(done.code, 0, done)
        for number in range(2, 5):
            self.insert(number)
            self.primary.sql("SELECT pg_switch_wal()")
        self.await_durable(self.primary)
        self.start(server)
        self.assertEqual(server.rows(), {1})

    def test_over_a_fork_and_on_the_dead_branch(self):
        standby = self.standby_of(self.primary, "standby")
        self.write_stack(self.primary, standby)
        self.watch()
        wait_until("the slots", standby.held_from, 30)
        self.back_up()
        self.pass_checkpoint_time()
        one = self.insert(1)
        end = self.primary.end_of_wal()
        wait_until("the standby", lambda: position(standby.one("SELECT pg_last_wal_replay_lsn()::text")) >= end, 30)
        standby.cut_off()
        time.sleep(0.05)
        dead = self.insert(2)
        self.insert(3)
        self.await_durable(self.primary)
        self.primary.stop()
        standby.promote()
        four = self.insert(4, standby)
        time.sleep(0.05)
        self.insert(5, standby)
        self.await_durable(standby)
        self.assertEqual(self.rows_at("latest"), {1, 4, 5})
        self.assertEqual(self.rows_at(iso(four + timedelta(milliseconds=10))), {1, 4})
        self.assertEqual(self.rows_at(iso(one + timedelta(milliseconds=10))), {1})
        self.assertEqual(self.rows_at(iso(dead + timedelta(milliseconds=1))), {1}, "what the dead branch had is not in it")
        self.assertEqual(self.rows_at("latest", "--timeline", "1"), {1, 2, 3})
        server, _ = self.restore("latest", "--timeline", "1")
        # Its own history is a third one beside both.
        self.assertEqual(server.one("SELECT timeline_id FROM pg_control_checkpoint()"), 3)
        server.stop()
        self.end_watch()
        standby.stop()

    def test_a_backup_without_wal_and_a_hole(self):
        self.back_up()
        self.insert(1)
        self.primary.sql("SELECT pg_switch_wal()")
        self.primary.sql("CHECKPOINT")
        self.primary.sql("SELECT pg_switch_wal()")
        server, plan = self.restore("latest")
        self.assertEqual(server.rows(), set())
        self.assertIsNone(plan["replay"])
        self.assertIn("no WAL of this cluster", " ".join(plan["notes"]))
        server.stop()
        self.assert_refused(1, "no WAL of the cluster", iso(datetime.now(timezone.utc)))
        # The capture begins behind that backup.
        self.watch()
        self.insert(2)
        self.await_durable(self.primary)
        server, plan = self.restore("latest")
        self.assertEqual(server.rows(), set())
        self.assertIn("does not have the WAL", " ".join(plan["notes"]))
        server.stop()
        self.back_up()
        self.pass_checkpoint_time()
        three = self.insert(3)
        time.sleep(0.02)
        self.primary.sql("SELECT pg_switch_wal()")
        self.insert(4)
        self.await_durable(self.primary)
        self.primary.sql("SELECT pg_switch_wal()")
        begin_of_five = self.primary.end_of_wal()
        five = self.insert(5)
        self.await_durable(self.primary)
        self.insert(6)
        self.await_durable(self.primary)
        self.assertEqual(self.rows_at("latest"), set(range(1, 7)))
        self.end_watch()
        # A piece of the middle is lost.
        log = next((self.repo / "logs").iterdir())
        pieces = sorted(path for path in log.iterdir() if len(path.name) == 16)
        [piece for piece in pieces if int(piece.name, 16) <= begin_of_five][-1].unlink()
        server, plan = self.restore("latest")
        self.assertEqual(server.rows(), {1, 2, 3, 4})
        self.assertIn("nothing behind that hole", " ".join(plan["notes"]))
        server.stop()
        self.assertEqual(self.rows_at(iso(three + timedelta(milliseconds=5))), {1, 2, 3})
        self.assert_refused(1, "lies in or behind that hole", iso(five))
        alone, cut = self.recovery_points()
        self.assertEqual(alone["from"], alone["to"])
        self.assertIn("is missing", alone["gap"])
        self.assertEqual(alone["not_restorable"]["to"], cut["from"])
        self.assertIn("is missing", cut["gap"])
        self.assertEqual((cut["not_restorable"]["from"], cut["not_restorable"]["to"]), (cut["to"], None))
        self.assertLess(position(cut["to"]), begin_of_five)

    def test_killed_and_begun_again(self):
        self.primary.sql("INSERT INTO ledger SELECT n, repeat(md5(n::text), 20) FROM generate_series(1, 100000) n")
        self.watch()
        self.back_up()
        self.insert(200001)
        end = self.primary.one("SELECT pg_current_wal_lsn()::text")
        self.await_durable(self.primary)
        server = self.make_server("killed")
        words = self.arguments("restore", "postgres", "--to", "latest", "--into", server.data)
        for seconds in (0.02, 0.05, 0.1, 0.2, 0.4):
            process = subprocess.Popen([*AS_SERVER, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                       stdin=subprocess.DEVNULL, cwd="/", env=dict(os.environ, **self.environment))
            time.sleep(seconds)
            process.kill()
            process.wait()
            # The control file is the last one of all: with it only the marker is left to go.
            if (server.data / "global" / "pg_control").exists():
                self.assertTrue((server.data / "recovery.signal").exists())
        is_done = (server.data / "global" / "pg_control").exists() and not (server.data / ".aeterna-dr-restore").exists()
        if (server.data / ".aeterna-dr-restore").exists():
            # One to another point is not gone on with.
            self.insert(200002)
            self.await_durable(self.primary)
            refused = self.cli(*words[len(self.arguments()):])
            self.assertEqual(refused.code, 5)
            self.assertIn(f"to {end}: go on with it", refused.err)
            words[words.index("latest")] = "lsn:" + end
        done = self.cli(*words[len(self.arguments()):])
        self.assertEqual(done.code, 5 if is_done else 0, done)
        self.start(server)
        rows = server.rows()
        self.assertEqual(len(rows), 100001)
        self.assertIn(200001, rows)

    def test_every_acknowledged_row_by_a_time_and_none_after(self):
        self.watch()
        self.back_up()
        self.pass_checkpoint_time()
        writer = Writer(self.primary)
        wait_until("rows", lambda: len(writer.acknowledged) > 300, 60)
        # Between two transactions of the writer anything may be in flight: the server's clock is asked in its own order.
        done_before = set(writer.acknowledged)
        moment = self.primary.one("SELECT clock_timestamp()")
        begun = writer.next
        wait_until("more rows", lambda: len(writer.acknowledged) > len(done_before) + 300, 60)
        writer.end()
        self.await_durable(self.primary)
        rows = self.rows_at(iso(moment))
        self.assertTrue(done_before <= rows, "an acknowledged row is missing")
        # One may have been under way: the time of a commit is from before its flush.
        self.assertLessEqual(max(rows), begun, "a row of later on is there")


if __name__ == "__main__":
    unittest.main()
