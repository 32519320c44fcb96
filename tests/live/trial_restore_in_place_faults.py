"""A restore in place while what it restored dies: the new server, its agent, the server that replays beside the cluster. And what it is
to a cluster that waits for its standbys, or has tablespaces."""
import json
import os
import shutil
import signal
import tempfile
import urllib.request
import unittest
from pathlib import Path

from capturing import AS_SERVER
from in_place import NODES, InPlaceTest
from support import is_running, run, wait_until
from watching import kill

BEHIND = ("hand_over", "confirm_one_writer", "rejoin_members", "back_up")  # the steps behind the point of no return


class RestoreInPlaceFaultsTest(InPlaceTest):
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
        self.check_restored()
        self.drop_kept()
        return code

    def at_each_step(self, do):
        for step in BEHIND:
            with self.subTest(step=step):
                if step != BEHIND[0]:
                    self.setUp()
                do(step)

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
