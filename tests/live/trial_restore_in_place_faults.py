"""A restore in place while something of the cluster dies: the live server or its agent before the two directories are swapped, the new
ones behind that, the server that replays beside the cluster. And what it is to a cluster that waits for its standbys, or has tablespaces."""
import json
import os
import re
import shutil
import signal
import tempfile
import urllib.request
import unittest
from pathlib import Path

from capturing import AS_SERVER, Member
from in_place import NODES, InPlaceTest
from support import damage_file, is_running, run, wait_until
from watching import kill, stopped

BESIDE = ("fetch_restore", "replay_restore", "stop_cluster")  # the steps that begin while the cluster runs
HELD_DOWN = ("swap_data", "clear_keys")
BEHIND = ("hand_over", "confirm_one_writer", "rejoin_members", "back_up")  # the steps behind the point of no return


class RestoreInPlaceFaultsTest(InPlaceTest):
    def setUp(self):
        self.drop_kept()  # of a test that failed
        super().setUp()

    # ------------------------------------------------------------------------------------------ what dies

    def postmaster(self, node):
        """Of the server that runs on the member's data directory now."""
        def running():
            try:
                pid = int((self.data(node) / "postmaster.pid").read_text().splitlines()[0])
            except (OSError, ValueError, IndexError):
                return None
            return pid if is_running(pid) and os.readlink(f"/proc/{pid}/cwd") == str(self.data(node)) else None
        return wait_until(f"a server of {node}", running, 120)

    def replaying_server(self):
        """The one in the sandbox, whose parent is no postgres of the same place."""
        def of_sandbox():
            found = {}
            for entry in filter(str.isdigit, os.listdir("/proc")):
                try:
                    place = os.readlink(f"/proc/{entry}/cwd")
                    parent = int(Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[1])
                except OSError:
                    continue
                if place.startswith(f"{self.lab.directory}/data/exec-"):
                    found[int(entry)] = parent
            return next((pid for pid, parent in found.items() if parent not in found), None)
        return wait_until("the server in the sandbox", of_sandbox, 60)

    def agent_of(self, node):
        return node.replace("postgres", "patroni")

    def finish(self, command):
        """By itself, or by being gone on with as it says."""
        code = command.wait(600)
        if code != 0:
            self.assertIn(code, (4, 7), "".join(self.said))
            done = self.act("execution", "resume", self.execution("unknown", "awaiting_approval"))
            self.assertEqual(done.code, 0, done)
        self.check_kept()
        self.check_restored()
        self.drop_kept()
        return code

    def check_kept(self):
        """The old data directory of the member that took writes is a server as it was."""
        (node, name), = ((node, name) for node in NODES for name in self.beside(node) if name.startswith(node))
        server = Member(self.data(node).parent, name, self.members[node].credentials)
        server.log = self.data(node).parent / "kept.log"
        self.addCleanup(server.stop)
        done = server.start()
        self.assertEqual(done.code, 0, (done, server.log.read_text()[-3000:]))
        self.assertEqual(server.rows(), self.after)
        server.stop("fast")

    def at_each_step(self, do, steps=BEHIND):
        for step in steps:
            with self.subTest(step=step):
                if step != steps[0]:
                    self.setUp()
                do(step)

    def check_untouched(self):
        """The cluster is as it was, and nothing of the try is left."""
        self.lab.await_healthy(240)
        for node in NODES:
            wait_until(f"the rows of {node}", lambda: self.rows(node) == self.after, 60)
        self.assertEqual([name for node in NODES for name in self.beside(node)], [])

    def restore_again(self):
        """A look on a busy machine sees too little now and then, and what is killed is long in dying: that is given up as well."""
        for _ in range(3):
            self.await_captured()
            done = self.lab.cli(*self.arguments("--yes"), timeout=500)
            if done.code not in (1, 5):
                break
            self.check_untouched()
        self.assertEqual(done.code, 0, done)
        self.check_kept()
        self.check_restored()
        self.drop_kept()

    def start_agent(self, node):
        """As soon as it may: what is held down, by a failover too, is refused."""
        wait_until(f"the start of {self.agent_of(node)}", lambda: run("lab", "up", "--dir", self.lab.directory, "--only",
                                                                      self.agent_of(node)).code == 0, 120)

    # ------------------------------------------------------------------------------------------ before the swap

    def finish_or_begin_anew(self, command):
        """What has been given up has changed nothing; the next try restores."""
        if command.wait(600) in (0, 4, 7):
            self.finish(command)
            return
        self.assertIn(command.returncode, (1, 5), "".join(self.said))
        self.check_untouched()
        self.restore_again()

    def test_the_live_server_is_killed(self):
        """Its agent starts it again, unless it is held down by then."""
        def at(step):
            server = self.postmaster(self.primary())
            command = self.begin(step)
            kill(server)
            self.finish_or_begin_anew(command)
        self.at_each_step(at, BESIDE)

    def test_the_live_agent_is_killed(self):
        def at(step):
            primary = self.primary()
            pid = self.lab.node(self.agent_of(primary))["pid"]
            command = self.begin(step)
            kill(pid)
            self.start_agent(primary)
            self.finish_or_begin_anew(command)
        self.at_each_step(at, BESIDE)

    def test_the_live_server_is_killed_with_its_agent(self):
        """And stays away: whoever took writes is not there to be stopped."""
        def at(step):
            primary = self.primary()
            pids = self.lab.node(self.agent_of(primary))["pid"], self.postmaster(primary)
            command = self.begin(step)
            for pid in pids:
                kill(pid)
            if command.wait(600) == 0:
                self.assertEqual(step, "stop_cluster", "it was seen just before")
            else:
                # How long the steps take decides whether another one has been promoted by then.
                self.assertEqual(command.returncode, 5, "".join(self.said))
                self.assertRegex("".join(self.said), f"'{primary}' took writes when this began, and who does now is not seen"
                                                     f"|takes writes by now, not '{primary}'|the cluster has begun timeline")
                self.start_agent(primary)
            self.finish_or_begin_anew(command)
        self.at_each_step(at, BESIDE)

    def test_another_member_is_promoted_while_the_server_beside_replays(self):
        """What it took since is in no place but its data directory: the restore is given up."""
        primary = self.primary()
        pids = self.lab.node(self.agent_of(primary))["pid"], self.postmaster(primary)
        command = self.begin("replay_restore")
        with stopped(self.replaying_server()):
            for pid in pids:
                kill(pid)
            other = wait_until("another primary", lambda: self.lab.status()["stores"]["postgres"]["primary"] not in (None, primary) and
                               self.lab.status()["stores"]["postgres"]["primary"], 120)
            self.sql("INSERT INTO ledger VALUES (3000)", other)
            self.after.add(3000)
        self.assertEqual(command.wait(300), 5, "".join(self.said))
        self.assertIn(f"'{other}' takes writes by now, not '{primary}'", "".join(self.said))
        self.start_agent(primary)
        self.check_untouched()
        self.restore_again()

    def test_who_starts_the_agents_while_they_are_held_down_starts_nothing(self):
        def at(step):
            servers = [self.postmaster(node) for node in NODES]
            self.killed_at(step)
            for node in NODES:
                done = run("lab", "up", "--dir", self.lab.directory, "--only", self.agent_of(node))
                self.assertEqual(done.code, 5, done)
                self.assertIn("is fenced by exec-", done.err)
                self.assertEqual([self.lab.node(name)["pid"] for name in (node, self.agent_of(node))], [None, None])
            self.assertEqual([pid for pid in servers if is_running(pid)], [])
            done = self.act("execution", "resume", self.execution("running"))
            self.assertEqual(done.code, 0, done)
            self.check_kept()
            self.check_restored()
            self.drop_kept()
        self.at_each_step(at, HELD_DOWN)

    # ------------------------------------------------------------------------------------------ behind the hand-over

    def test_the_new_server_is_killed(self):
        def at(step):
            primary = self.primary()
            command = self.begin(step)
            kill(self.postmaster(primary))
            self.finish(command)
        self.at_each_step(at)

    def test_the_new_agent_is_killed(self):
        """Its unit starts it again, as systemd does; while it is given over, we do."""
        def at(step):
            agent = self.agent_of(self.primary())
            command = self.begin(step, "progress +note .*was started" if step == "hand_over" else "apply +started")
            kill(wait_until("the agent", lambda: self.lab.node(agent)["pid"], 30))
            if step == "hand_over":
                command.send_signal(signal.SIGINT)
            else:
                done = run("lab", "up", "--dir", self.lab.directory, "--only", agent)
                self.assertEqual(done.code, 0, done)
            self.finish(command)
        self.at_each_step(at)

    # ------------------------------------------------------------------------------------------ beside the cluster

    def test_the_replaying_server_is_killed(self):
        """Nothing of the cluster was touched, and nothing of the try is left."""
        primary, before = self.primary(), {node: self.postmaster(node) for node in NODES}
        command = self.begin("replay_restore")
        kill(self.replaying_server())
        self.assertEqual(command.wait(300), 1, "".join(self.said))
        self.assertEqual({node: self.postmaster(node) for node in NODES}, before)
        self.assertEqual((self.primary(), self.rows()), (primary, self.after))
        self.assertEqual([name for node in NODES for name in self.beside(node)], [])
        done = self.lab.cli(*self.arguments("--yes"), timeout=500)
        self.assertEqual(done.code, 0, done)
        self.check_restored()
        self.drop_kept()

    def test_the_replaying_server_is_killed_with_us(self):
        command = self.begin("replay_restore")
        server = self.replaying_server()
        command.kill()
        command.wait()
        kill(server)
        done = self.act("execution", "resume", self.execution("running"))
        self.assertEqual(done.code, 0, done)
        self.check_restored()
        self.drop_kept()

    def test_a_replica_is_killed_while_it_is_made_anew(self):
        replica = next(node for node in NODES if node != self.primary())
        command = self.begin("rejoin_members")
        for node in (self.agent_of(replica), replica):
            if pid := self.lab.node(node)["pid"]:
                kill(pid)
        self.start_agent(replica)
        self.finish(command)

    # ------------------------------------------------------------------------------------------ the repository

    def repository(self):
        section = Path(self.lab.stack).read_text().split("\nrepository:")[1]
        return [Path(re.search(rf'^  {key}: "?([^"\n]+)', section, re.M).group(1)) for key in ("place", "key_file")]

    def test_a_damaged_backup_is_left_out_before_the_cluster_is_touched(self):
        """Single chunks may well be taken from the live directory and its WAL; here the list of its files is gone."""
        place, _ = self.repository()
        for path in (place / "packs").rglob("*"):
            if path.is_file():
                self.addCleanup(path.write_bytes, path.read_bytes())
                damage_file(path, every=1 << 14)
        done = self.lab.cli(*self.arguments("--yes"), timeout=500)
        self.assertEqual(done.code, 1, done)
        self.assertIn("the repository has lost a part of it", done.err)
        self.check_untouched()
        self.doCleanups()
        self.restore_again()

    def test_without_the_key_nothing_is_begun(self):
        _, key = self.repository()
        away = key.rename(key.with_suffix(".away"))
        self.addCleanup(lambda: away.exists() and away.rename(key))
        done = self.lab.cli(*self.arguments("--yes"), timeout=100)
        self.assertEqual(done.code, 2, done)
        self.assertIn(f"the key cannot be read: read '{key}'", done.err)
        away.rename(key)
        self.check_untouched()

    # ------------------------------------------------------------------------------------------ other clusters

    def patch(self, **change):
        address = self.lab.node(self.agent_of(self.primary()))["address"]
        request = urllib.request.Request(f"http://{address}/config", json.dumps(change).encode(), method="PATCH",
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            self.assertEqual(answer.status, 200)

    def synchronous_standbys(self):
        return self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')")[0][0]

    def test_in_synchronous_mode(self):
        self.addCleanup(self.patch, synchronous_mode=None, synchronous_mode_strict=None)
        self.patch(synchronous_mode=True)
        wait_until("a synchronous standby", self.synchronous_standbys, 60)
        self.lab.await_healthy(120)
        done = self.lab.cli(*self.arguments("--yes"), timeout=500)
        self.assertEqual(done.code, 0, done)
        wait_until("a synchronous standby again", self.synchronous_standbys, 60)
        self.check_restored()
        self.drop_kept()

    def test_in_strict_synchronous_mode(self):
        """Nobody could write before a standby is there again, and those are made anew only behind the proof of one writer."""
        self.addCleanup(self.patch, synchronous_mode=None, synchronous_mode_strict=None)
        self.patch(synchronous_mode=True, synchronous_mode_strict=True)
        wait_until("a synchronous standby", self.synchronous_standbys, 60)
        self.lab.await_healthy(120)
        self.refused("synchronous_mode_strict is on")
        self.assertEqual(self.rows(), self.after)

    def test_a_cluster_with_tablespaces_is_refused(self):
        aside = tempfile.mkdtemp(dir=self.lab.base)
        if AS_SERVER:
            shutil.chown(aside, "postgres", "postgres")
        self.sql(f"CREATE TABLESPACE aside LOCATION '{aside}'")
        self.addCleanup(self.sql, "DROP TABLESPACE aside")
        # A backup of a replica begins with its last restart point, and WAL that makes a tablespace is refused for itself.
        for node in sorted(NODES, key=lambda node: node != self.primary()):
            wait_until(f"the tablespace on {node}", lambda: self.sql("SELECT 1 FROM pg_tablespace WHERE spcname = 'aside'", node), 60)
            self.sql("CHECKPOINT", node)
        super().setUp()  # its backup and its point are behind that
        primary = self.primary()
        plan = self.lab.cli(*self.arguments("--dry-run"), timeout=100)
        self.assertIn("refused: the cluster has tablespaces, which are not restored in place yet", plan.out + plan.err)
        self.refused("the cluster has tablespaces, which are not restored in place yet")
        self.assertEqual(self.rows(), self.after)
        self.assertEqual(self.beside(primary), [])


if __name__ == "__main__":
    unittest.main()
