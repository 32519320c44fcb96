"""A full disk and a frozen file system below one PostgreSQL, on real servers. Needs root: the mounts live in a mount
namespace of this process and go with it."""
import contextlib
import ctypes
import os
import shutil
import subprocess
import time
import unittest
from pathlib import Path

import assisted
from support import Lab, is_running, run, wait_until
from watching import await_incident, detectors_seen, incidents, seen

CLONE_NEWNS = 0x00020000
NODE = "postgres-1"
DISK_BYTES = 400 << 20


def own_mounts():
    """From here on nothing that is mounted shows outside, and nothing stays."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


class DiskTest(assisted.AssistTest):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("mounting needs root")
        own_mounts()
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.remove)
        cls.lab.up()
        cls.lab.await_healthy(180)
        cls.lab.down()
        # What the lab has made moves onto the file system that is to fail.
        data = Path(cls.lab.directory, "data", NODE)
        kept = data.rename(data.with_suffix(".kept"))
        data.mkdir()
        cls.mount(data)
        cls.addClassCleanup(subprocess.run, ["umount", "-l", str(data)], check=False)
        subprocess.run(["cp", "-a", f"{kept}/.", str(data)], check=True)
        shutil.rmtree(kept)
        cls.lab.up()

    def setUp(self):
        self.lab.await_healthy(180)
        if self.lab.status()["stores"]["postgres"]["primary"] != NODE:
            done = self.lab.cli("switchover", "postgres", "--candidate", NODE, "--yes", timeout=200)
            self.assertEqual(done.code, 0, done)
            self.lab.await_healthy(180)
        super().setUp()
        self.told_before = {incident["id"] for incident in self.journaled()}

    def journaled(self):
        return self.lab.cli("--json", "incident", "list").json()["incidents"]

    def told(self):
        """The incidents of this test, open or closed, by detector and subject."""
        return {(incident["detector"], incident["subject"]) for incident in self.journaled()
                if incident["id"] not in self.told_before}

    def data(self):
        return Path(self.lab.directory, "data", NODE)


class FullDiskTest(DiskTest):
    @classmethod
    def mount(cls, data):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "aeterna-dr-full", str(data)], check=True)

    def test_a_primary_whose_disk_is_full_is_replaced(self):
        ballast = self.data() / "ballast"
        with assisted.Rows(self.lab) as rows:
            free = os.statvfs(self.data())
            with contextlib.suppress(OSError), open(ballast, "wb") as file:
                while True:
                    file.write(b"\0" * (1 << 20))
            self.assertLess(os.statvfs(self.data()).f_bavail, free.f_bavail)
            # Through what is left of the present WAL segment and of those made ready, into one for which there is no
            # room; at a pace that the replicas keep up with, for nobody far behind may take over.
            with contextlib.suppress(assisted.psycopg2.Error), contextlib.closing(rows.connect(NODE)) as connection:
                connection.autocommit = True
                for _ in range(20000):
                    with connection.cursor() as cursor:
                        cursor.execute("SELECT pg_logical_emit_message(false, 'full', repeat('x', 50000))")
                    time.sleep(0.01)
            await_incident(self.lab, "postgres.disk_full", 30)
            self.assertRegex(incidents(self.lab)["postgres.disk_full"]["reasons"][0], f"{NODE} disk: '.*' has [0-9]+ MiB of [0-9]+ MiB free")
            await_incident(self.lab, "postgres.primary_down", 60)
            wait_until("another primary", lambda: seen(self.lab)["stores"]["postgres"]["primary"] not in (None, NODE), 330)
            print(f"     told {sorted(self.told())}", flush=True)
            self.assertIn(("postgres.primary_down", NODE), self.told())
            ballast.unlink()
            execution = self.execution(400)
            print(f"     {execution['state']}: {execution['facts'].get('assist')}: "
                  f"{execution['facts'].get('assist_reasons')}", flush=True)
        run("lab", "up", "--dir", self.lab.directory, timeout=200)
        self.lab.await_healthy(300)
        self.assertEqual(self.fences(), [])
        facts = execution["facts"]
        lost = rows.lost(self.lab.status()["stores"]["postgres"]["primary"])
        self.assertLessEqual(len(lost), (facts.get("salvaged") or {}).get("lost_writes") or 0, "and told")


class FrozenDiskTest(DiskTest):
    @classmethod
    def mount(cls, data):
        cls.image = Path(cls.lab.base, "frozen.ext4")
        subprocess.run(["truncate", "-s", str(DISK_BYTES), cls.image], check=True)
        subprocess.run(["mkfs.ext4", "-q", cls.image], check=True)
        subprocess.run(["mount", "-o", "loop", str(cls.image), str(data)], check=True)
        (data / "lost+found").rmdir()

    @contextlib.contextmanager
    def frozen(self):
        subprocess.run(["fsfreeze", "--freeze", str(self.data())], check=True)
        try:
            yield
        finally:
            subprocess.run(["fsfreeze", "--unfreeze", str(self.data())], check=True)

    def new_executions(self):
        return [one for one in self.executions() if one["id"] not in self.known]

    def test_a_primary_that_answers_and_takes_no_write_is_told_and_not_fenced(self):
        with assisted.Rows(self.lab) as rows, self.frozen():
            await_incident(self.lab, "postgres.heartbeat_failed", 30)
            count = len(rows.acknowledged)
            self.assertEqual(detectors_seen(self.lab, 60), {"postgres.heartbeat_failed", "postgres.client_path_down"})
            incident = incidents(self.lab)["postgres.heartbeat_failed"]
            self.assertEqual(incident["severity"], "critical")
            self.assertEqual(incident["summary"], f"primary '{NODE}' answers but accepts no write")
            self.assertEqual(seen(self.lab)["stores"]["postgres"]["primary"], NODE)
            self.assertEqual(assisted.Etcd(self.lab).get("leader"), NODE, "its lease is not ours to end")
            self.assertEqual(len(rows.acknowledged), count, "nobody takes writes")
            self.assertEqual((self.fences(), self.new_executions()), ([], []))
            self.assertTrue(self.lab.node(self.agent)["pid"] and self.lab.node(NODE)["pid"], "both live")
        self.lab.await_healthy(300)
        self.assertEqual((self.fences(), self.new_executions()), ([], []))
        self.assertEqual(rows.lost(NODE), set())

    def test_a_server_that_sigkill_may_not_end_is_never_taken_for_fenced(self):
        with assisted.Rows(self.lab) as rows, self.frozen():
            await_incident(self.lab, "postgres.heartbeat_failed", 30)
            left = {pid for pid in assisted.tree(self.lab.node(NODE)["pid"])}
            self.lose_node()
            refused = wait_until("a refusal", self.refusal, 60)
            print(f"     refused: {refused}", flush=True)
            self.assertRegex(refused, "the fence was not confirmed: .*still there")
            self.assertTrue([pid for pid in left if is_running(pid)], "blocked in the kernel")
            self.assertEqual(assisted.Etcd(self.lab).get("leader"), NODE, "its lease ends by itself")
            new = wait_until("another primary", lambda: seen(self.lab)["stores"]["postgres"]["primary"] not in (None, NODE) and
                             seen(self.lab)["stores"]["postgres"]["primary"], 60)
            self.assertEqual({name for name, _ in rows.acknowledged}, {NODE, new})
        execution = self.execution()
        self.assertEqual((execution["state"], execution["facts"]["assist"]), ("succeeded", "refused"), execution)
        self.assertNotIn("lease_remaining_seconds", execution["facts"])
        run("lab", "up", "--dir", self.lab.directory, timeout=200)
        self.lab.await_healthy(300)
        self.assertEqual(self.fences(), [])
        self.assertLess(rows.last[NODE], rows.first_sent[new])


del DiskTest  # only its children are tests

if __name__ == "__main__":
    unittest.main()
