"""A runbook whose program is killed -9 in the middle is resumed from the journal and ends well."""
import signal
import subprocess
import time
import unittest

from support import PROGRAM, shared_lab


class ResumeTest(unittest.TestCase):
    def interrupted(self, lab, store, step):
        """Starts a switchover and kills it as soon as the journal shows that `step` began; the execution's id."""
        command = subprocess.Popen([PROGRAM, "--stack", lab.stack, "switchover", store, "--yes"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(command.kill)
        end = time.monotonic() + 60
        while time.monotonic() < end and command.poll() is None:
            running = [execution for execution in lab.cli("--json", "execution", "list").json()["executions"]
                       if execution["state"] == "running" and execution["store"] == store]
            if not running:
                continue
            if any(record["step"] == step for record in self.show(lab, running[0]["id"])["steps"]):
                command.send_signal(signal.SIGKILL)
                command.wait()
                return running[0]["id"]
        command.wait()
        return None

    def show(self, lab, execution):
        return lab.cli("--json", "execution", "show", execution).json()["execution"]

    def resume(self, lab, execution):
        # The dead program's lock is a lease; it ends by itself.
        end = time.monotonic() + 40
        while True:
            done = lab.cli("execution", "resume", execution, "--yes", timeout=200)
            if done.code != 11 or time.monotonic() > end:
                return done
            time.sleep(1)

    def check(self, store, step):
        lab = shared_lab()
        execution = self.interrupted(lab, store, step)
        self.assertIsNotNone(execution, "the switchover ended before it could be interrupted")
        done = self.resume(lab, execution)
        self.assertEqual(done.code, 0, done)
        self.assertEqual(self.show(lab, execution)["state"], "succeeded")
        lab.await_healthy(120)

    def test_redis_switchover_killed_while_the_sentinels_learn_of_it(self):
        self.check("redis", "redis.await_agreement")

    def test_postgres_switchover_killed_while_patroni_switches(self):
        self.check("postgres", "postgres.switchover")


if __name__ == "__main__":
    unittest.main()
