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
from support import Lab, run, wait_until
from watching import incidents, seen

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
            found = wait_until("an incident", lambda: {"postgres.primary_down", "postgres.heartbeat_failed"} &
                               set(incidents(self.lab)), 60)
            print(f"     seen as {sorted(found)}", flush=True)
            wait_until("another primary", lambda: seen(self.lab)["stores"]["postgres"]["primary"] not in (None, NODE), 330)
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

    def test_a_server_that_sigkill_may_not_end_is_never_taken_for_fenced(self):
        thaw = ["fsfreeze", "--unfreeze", str(self.data())]
        with assisted.Rows(self.lab):
            subprocess.run(["fsfreeze", "--freeze", str(self.data())], check=True)
            try:
                found = wait_until("an incident", lambda: set(incidents(self.lab)), 60)
                time.sleep(60)
                found |= set(incidents(self.lab))
                print(f"     seen as {sorted(found)}", flush=True)
                primary = seen(self.lab)["stores"]["postgres"]["primary"]
                print(f"     primary {primary}, fences {self.fences()}", flush=True)
                if self.fences():
                    # Held down, but not confirmed: then nobody's lease was released by us.
                    facts = [one for one in self.executions() if one["id"] not in self.known]
                    self.assertNotIn("acted", [self.facts(one).get("assist") for one in facts])
            finally:
                subprocess.run(thaw, check=True)
        run("lab", "up", "--dir", self.lab.directory, timeout=200)
        self.lab.await_healthy(300)
        self.assertEqual(self.fences(), [])

    def facts(self, one):
        return self.lab.cli("--json", "execution", "show", one["id"]).json()["execution"]["facts"]


del DiskTest  # only its children are tests

if __name__ == "__main__":
    unittest.main()
