"""`lab`: up is healthy and idempotent, down leaves nothing, also after a kill -9 halfway; two labs live side by side."""
import glob
import os
import signal
import subprocess
import time
import unittest

from support import PROGRAM, Lab, processes_of, run, shared_lab, wait_until


class LabTest(unittest.TestCase):
    def test_up_twice_changes_nothing_and_status_has_the_contracts_members(self):
        lab = shared_lab()
        before = {node["name"]: node["pid"] for node in lab.lab_status()["nodes"]}
        lab.up()
        status = lab.lab_status()
        self.assertEqual({node["name"]: node["pid"] for node in status["nodes"]}, before)
        self.assertTrue(status["up"])
        for node in status["nodes"]:
            for member in ("name", "kind", "store", "site", "address", "pid", "data_dir", "server"):
                self.assertIn(member, node)
        kinds = [node["kind"] for node in status["nodes"]]
        for kind in ("postgres", "patroni", "etcd", "redis", "sentinel", "qdrant"):
            self.assertEqual(kinds.count(kind), 3, kind)
        self.assertEqual(sorted(status["credentials"]), ["postgres", "qdrant", "redis"])

    def test_status_has_the_contracts_members_and_knows_the_primaries(self):
        status = shared_lab().status()
        self.assertTrue(status["healthy"])
        self.assertEqual(status["schema_version"], 1)
        self.assertEqual(sorted(status["stores"]), ["postgres", "qdrant", "redis"])
        self.assertEqual(status["stores"]["qdrant"]["cluster_status"], "Green")
        for store in ("postgres", "redis"):
            self.assertRegex(status["stores"][store]["primary"], f"^{store}-[123]$")
        for store in status["stores"].values():
            for member in ("health", "primary", "nodes", "capture", "rpo_now_seconds", "rto_forecast_seconds", "reasons"):
                self.assertIn(member, store)
            for node in store["nodes"]:
                for member in ("name", "kind", "role", "state", "lag_bytes", "fenced", "server"):
                    self.assertIn(member, node)

    def test_the_servers_do_not_run_as_root(self):
        lab = shared_lab()
        for node in lab.lab_status()["nodes"]:
            if node["kind"] in ("serve", "aeterna-dr"):
                continue
            self.assertNotEqual(os.stat(f"/proc/{node['pid']}").st_uid, 0, node["name"])

    def test_down_after_kill_9_of_up_halfway_leaves_no_process(self):
        lab = Lab()
        self.addCleanup(lab.remove)
        up = subprocess.Popen([PROGRAM, "lab", "up", "--dir", lab.directory], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # PostgreSQL overwrites its environment, where the lab's mark is: it has to be found all the same.
        wait_until("a postmaster", lambda: glob.glob(f"{lab.directory}/data/postgres-*/postmaster.pid"), 60)
        up.send_signal(signal.SIGKILL)
        up.wait()
        done = lab.down()
        self.assertEqual(done.code, 0, done)
        self.assertEqual(processes_of(lab.directory), [])

    def test_up_after_everything_was_killed_as_by_a_power_cut(self):
        lab = Lab()
        self.addCleanup(lab.remove)
        lab.up()
        while processes_of(lab.directory):
            for pid in processes_of(lab.directory):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        lab.up()
        lab.await_healthy(60)

    def test_a_second_lab_lives_beside_the_first(self):
        first = shared_lab()
        second = Lab()
        self.addCleanup(second.remove)
        begin = time.monotonic()
        second.up()
        print(f"     second lab healthy after {time.monotonic() - begin:.1f} s", flush=True)
        ours = {node["address"] for node in first.lab_status()["nodes"]}
        theirs = {node["address"] for node in second.lab_status()["nodes"]}
        self.assertFalse(ours & theirs)
        second.await_healthy(60)
        before = first.lab_status()["nodes"]
        done = second.down()
        self.assertEqual(done.code, 0, done)
        self.assertEqual(processes_of(second.directory), [])
        self.assertEqual(first.lab_status()["nodes"], before)
        first.await_healthy(60)

    def test_status_and_down_where_no_lab_is_say_so(self):
        for command in ("status", "down"):
            done = run("lab", command, "--dir", "/var/tmp/aeterna-dr-no-such-lab")
            self.assertIn("no-such-lab", done.out + done.err, command)
        self.assertEqual(run("lab", "status", "--dir", "/var/tmp/aeterna-dr-no-such-lab").code, 1)


if __name__ == "__main__":
    unittest.main()
