"""A runbook whose program is killed -9 in the middle is resumed from the journal and ends well."""
import unittest

from support import kill_at, shared_lab


class ResumeTest(unittest.TestCase):
    def show(self, lab, execution):
        return lab.cli("--json", "execution", "show", execution).json()["execution"]

    def check(self, store, step):
        lab = shared_lab()
        kill_at(self, rf" {step} +check +started", "--stack", lab.stack, "switchover", store, "--yes")
        (execution,) = [one["id"] for one in lab.cli("--json", "execution", "list").json()["executions"]
                        if one["state"] == "running" and one["store"] == store]
        self.assertIn(step, [record["step"] for record in self.show(lab, execution)["steps"]])
        done = lab.take_over("execution", "resume", execution, "--yes", timeout=200)
        self.assertEqual(done.code, 0, done)
        self.assertEqual(self.show(lab, execution)["state"], "succeeded")
        lab.await_healthy(120)

    def test_redis_switchover_killed_while_the_sentinels_learn_of_it(self):
        self.check("redis", "redis.await_agreement")

    def test_postgres_switchover_killed_while_patroni_switches(self):
        self.check("postgres", "postgres.switchover")


if __name__ == "__main__":
    unittest.main()
