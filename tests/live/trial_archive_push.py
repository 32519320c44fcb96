"""archive-push as a server's archive_command: killed at random moments, and into a repository whose disk is full. What the server
was told is archived comes back byte by byte."""
import contextlib
import os
import random
import re
import subprocess
import time
import unittest
from pathlib import Path

from capturing import AS_SERVER
from restoring import RestoringTest
from support import PROGRAM, wait_until
from watching import kill


class ArchivePushTest(RestoringTest):
    def setUp(self):
        super().setUp()
        self.primary.stop("fast")
        # What is archived is kept, to be compared.
        self.primary.options += " -c archive_mode=on -c wal_keep_size=2GB"
        self.start(self.primary)

    def write_segments(self, first, count):
        """Their names."""
        names = []
        for number in range(first, first + count):
            self.write_noise(number)
            names.append(self.primary.one("SELECT pg_walfile_name(pg_switch_wal())"))
        return names

    def archived(self):
        return self.primary.one("SELECT last_archived_wal FROM pg_stat_archiver") or ""

    def await_archived(self, name):
        wait_until(f"{name} in the archive", lambda: self.archived() >= name, 120)

    def assert_comes_back(self, first, last):
        cluster = str(self.primary.one("SELECT system_identifier FROM pg_control_system()"))
        names = [path.name for path in sorted((self.primary.data / "pg_wal").iterdir()) if first <= path.name <= last]
        self.assertGreater(len(names), 5)
        for name in names:
            got = self.place / "got"
            got.unlink(missing_ok=True)
            done = self.cli("archive-get", name, got, "--cluster", cluster)
            self.assertEqual(done.code, 0, (name, done))
            self.assertTrue(got.read_bytes() == (self.primary.data / "pg_wal" / name).read_bytes(), f"{name} came back as something else")
        done = self.cli("repo", "check", "--read-data")
        self.assertEqual(done.code, 0, done)

    # ------------------------------------------------------------------------------------------ killed

    def test_killed_at_random_moments_it_changes_nothing(self):
        """Over and over on the same segments; whoever comes next goes on from what is there."""
        self.back_up()
        self.pass_checkpoint_time()
        names = self.write_segments(1, 8)
        chance, killed = random.Random(5), 0
        for path in self.segments(names[-1]):
            push = ("archive-push", path, path.name, "--data-directory", self.primary.data)
            for _ in range(4):
                process = self.begin(*push)
                time.sleep(chance.uniform(0.01, 0.3))
                killed += process.poll() is None
                process.kill()
                process.communicate()
            done = self.cli(*push)
            self.assertEqual(done.code, 0, done)
        self.assertGreater(killed, 10, "most were over too early")
        self.assert_comes_back(names[0], names[-1])
        self.assertEqual(self.rows_at("latest"), self.primary.rows())

    def segments(self, last):
        return [path for path in sorted((self.primary.data / "pg_wal").iterdir()) if len(path.name) == 24 and path.name <= last]

    def test_killed_under_the_archiver_it_is_asked_again(self):
        """PostgreSQL waits ten seconds after an archive_command that a signal has ended."""
        self.back_up()
        self.pass_checkpoint_time()
        names = self.write_segments(1, 6)
        self.archive_by()
        for number in range(1, 4):
            kill(wait_until("a push", self.pushes, 60)[0])
            wait_until("the archiver's end", lambda: self.killed_pushes() >= number or self.archived() >= names[-1], 60)
        self.await_archived(names[-1])
        self.assertGreater(self.killed_pushes(), 1)
        self.assert_comes_back(names[0], names[-1])
        self.assertEqual(self.rows_at("latest"), self.primary.rows())

    def killed_pushes(self):
        log = (self.room / "primary.log").read_text()
        return len(re.findall("archive command (?:was terminated by signal 9|failed with exit code 137)", log))

    def pushes(self):
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = path.read_bytes().split(b"\0")
                if words[0] == os.fsencode(PROGRAM) and b"archive-push" in words and os.fsencode(self.repo) in words:
                    found.append(int(path.parent.name))
        return found

    # ------------------------------------------------------------------------------------------ a full disk

    @unittest.skipUnless(AS_SERVER, "root alone can mount")
    def test_a_full_disk_of_the_repository(self):
        small = self.small_disk("small", "size=100m,mode=0755")
        self.repo, self.key = small / "repo", self.place / "second key"
        self.assertEqual(self.cli("repo", "init").code, 0)
        self.archive_by()
        self.back_up()
        self.pass_checkpoint_time()
        first, = self.write_segments(1, 1)
        self.await_archived(first)
        self.fill(small, 20 << 20)
        names = self.write_segments(2, 6)
        wait_until("a failure", lambda: self.primary.one("SELECT failed_count FROM pg_stat_archiver"), 60)
        self.assertLess(self.archived(), names[-1])
        failed = self.primary.one("SELECT last_failed_wal FROM pg_stat_archiver")
        done = self.cli("archive-push", self.primary.data / "pg_wal" / failed, failed, "--data-directory", self.primary.data)
        self.assertEqual(done.code, 1, done)
        self.assertIn("no space", done.err.lower())
        (small / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,size=500m", small], check=True)
        self.await_archived(names[-1])
        self.assert_comes_back(first, names[-1])
        self.assertEqual(self.rows_at("latest"), self.primary.rows())


if __name__ == "__main__":
    unittest.main()
