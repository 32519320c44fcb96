"""Two commands that act on one stack: the second does nothing, ends with 11 and names the first."""
import os
import signal
import subprocess
import unittest

from support import PROGRAM, shared_lab

LOCKED = 11


class TwoActorsTest(unittest.TestCase):
    def begun_switchover(self, lab, candidate):
        """A switchover that stands still, holding the lock, before it has changed anything."""
        first = subprocess.Popen([PROGRAM, "--stack", lab.stack, "switchover", "redis", "--candidate", candidate, "--yes"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(first.stderr.close)
        self.addCleanup(first.kill)
        # Its first step's check is journaled: it holds the lock. The wait for the Sentinels' next INFO comes after that.
        told = next((line for line in first.stderr if "redis.check_switchover" in line), None)
        self.assertIsNotNone(told, "it ended before its first step")
        os.kill(first.pid, signal.SIGSTOP)
        return first

    def test_the_second_does_nothing_and_names_the_first(self):
        lab = shared_lab()
        nodes = lab.status()["stores"]["redis"]["nodes"]
        replicas = [node["name"] for node in nodes if node["kind"] == "redis" and node["role"] == "replica"]
        pids = {node["name"]: node["pid"] for node in lab.lab_status()["nodes"]}
        first = self.begun_switchover(lab, replicas[0])
        before = lab.cli("--json", "execution", "list", timeout=60).json()["executions"]
        (acting,) = [execution["id"] for execution in before if execution["state"] == "running"]
        # Both within the 12 s for which a holder that cannot renew its lease still counts itself in.
        for command in (("fence", replicas[1]), ("switchover", "redis")):
            with self.subTest(command):
                second = lab.cli(*command, "--yes", timeout=60)
                self.assertEqual(second.code, LOCKED, second)
                self.assertIn("another aeterna-dr acts on stack", second.err)
                self.assertIn(f"switchover redis ({acting})", second.err)
                self.assertIn(f"pid {first.pid}", second.err)
                self.assertIn("hint: Wait for it to end", second.err)
        after = lab.cli("--json", "execution", "list", timeout=60).json()["executions"]
        os.kill(first.pid, signal.SIGCONT)
        self.assertEqual([execution["id"] for execution in after], [execution["id"] for execution in before])
        first.stderr.read()
        self.assertEqual(first.wait(120), 0)
        self.assertEqual(lab.status()["stores"]["redis"]["primary"], replicas[0])
        self.assertEqual({node["name"]: node["pid"] for node in lab.lab_status()["nodes"]}, pids, "nobody was fenced")
        lab.await_healthy(120)


if __name__ == "__main__":
    unittest.main()
