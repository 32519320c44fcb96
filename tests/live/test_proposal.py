"""An assist that only proposes: who says yes makes it act, and without a yes Patroni alone replaces the primary."""
import re
import signal
import time
import unittest
from pathlib import Path

import assisted
from assisted_redis import Stack, Writers, show, use_stack
from support import run, wait_until
from watching import await_incident, seen

LEASE_SECONDS, LOOP_WAIT_SECONDS, DOWN_AFTER_SECONDS = 30, 10, 30
ACTING_STEPS = ("fence", "release_lease", "end_orphans", "salvage", "unfence")


class ProposingTest(assisted.AssistTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        text = Path(cls.lab.stack).read_text()
        assert text.count("    assist: act\n") == 2, text
        use_stack(cls.lab, text.replace("    assist: act\n", "    assist: propose\n"))

    def proposal(self):
        """Of the failover that this test has caused, and that runs: its id and what it proposes."""
        execution = self.running()
        found = execution and re.search(r" proposed (.*)", self.told(execution))
        return (execution["id"], found.group(1)) if found else None

    def await_proposal(self):
        execution, text = wait_until("a proposal", self.proposal, 25)
        print(f"     {text}", flush=True)
        return execution, text

    def untouched(self):
        """Nothing is fenced, and nobody starts what died."""
        self.assertEqual(self.fences(), [])
        self.assertEqual([self.lab.node(node)["pid"] for node in (self.agent, self.primary)], [None, None])
        return True

    def check_shown(self, proposal, execution, subject):
        """Whoever looks at the incident sees it."""
        incident = await_incident(self.lab, "postgres.primary_down" if "postgres" in subject else "redis.master_down")
        self.assertEqual((incident["subject"], incident["severity"]), (subject, "critical"))
        line = "policy: proposes to " + proposal
        wait_until("the proposal at the incident", lambda: line in self.incident(incident["id"])["reasons"], 5)
        self.assertEqual(show(self.lab, execution)["trigger"], f"incident:{incident['id']}")
        self.assertEqual(show(self.lab, execution)["facts"]["runner.proposal"], proposal)
        return incident["id"]

    def incident(self, number):
        return self.lab.cli("--json", "incident", "show", number).json()["incident"]

    def test_a_dead_primary_is_only_proposed_for_and_patroni_alone_replaces_it(self):
        etcd = assisted.Etcd(self.lab)
        with assisted.Rows(self.lab) as rows:
            self.lose_node()
            execution, proposal = self.await_proposal()
            self.assertRegex(proposal, rf"^fence {self.agent} and {self.primary} and release its lease \(say yes with "
                                       rf"'aeterna-dr failover postgres'\); Patroni replaces '{self.primary}' by itself in \d+ s$")
            self.assertEqual(etcd.get("leader"), self.primary, "nobody released its lease")
            incident = self.check_shown(proposal, execution, self.primary)
            self.assertEqual(seen(self.lab)["stores"]["postgres"]["assist"], "propose")
            new = wait_until("another primary", lambda: self.untouched() and self.another_primary(rows), 60)
            wait_until("its rows", lambda: new in rows.first_sent, 10)
            self.untouched()
        gap = rows.first_sent[new] - rows.last[self.primary]
        print(f"     nobody took rows for {gap:.1f} s", flush=True)
        # A lease that was renewed a moment ago, or one loop_wait before.
        self.assertGreater(gap, LEASE_SECONDS - LOOP_WAIT_SECONDS - 5, "the lease was waited for")
        run("lab", "up", "--dir", self.lab.directory, "--only", self.agent)
        ended = self.execution()
        facts = ended["facts"]
        self.assertEqual((ended["state"], facts["assist"], facts["new_primary"]), ("succeeded", "proposed", new), ended)
        for fact in ("fence.confirmed", "fence.leader", "assist_acted_at", "lease_remaining_seconds", "salvaged", "runner.proposal"):
            self.assertNotIn(fact, facts)
        left_out = {step["step"] for step in ended["steps"]
                    if step["detail"].startswith("not needed: only if somebody says yes to the proposal, and ")}
        self.assertEqual(left_out, {f"postgres.{step}" for step in ACTING_STEPS})
        self.assertEqual(self.fences(), [])
        self.assertEqual({name for name, _ in rows.acknowledged}, {self.primary, new})
        self.lab.await_healthy(120)
        self.check_post_mortem(incident, "the assist proposed to act, and nobody said yes: ")

    def check_post_mortem(self, incident, words):
        wait_until("the incident's end", lambda: self.incident(incident)["closed_at"], 60)
        self.assertIn(words, self.lab.cli("postmortem", "show", incident).out)

    def test_a_yes_makes_it_act_at_once(self):
        with assisted.Rows(self.lab) as rows:
            self.lose_node()
            execution, proposal = self.await_proposal()
            incident = self.check_shown(proposal, execution, self.primary)
            shown = self.lab.cli("--json", "failover", "postgres", "--dry-run").json()
            self.assertEqual((shown["execution"], shown["plan"]), (execution, [proposal]))
            asked = self.lab.cli("failover", "postgres")
            self.assertEqual(asked.code, 7, asked)
            self.assertIn(proposal, asked.err)
            self.untouched()
            said = self.lab.cli("failover", "postgres", "--yes")
        self.assertEqual(said.code, 0, said)
        self.assertIn("succeeded", said.out)
        self.assertIn(execution, said.out)
        self.assertRegex(said.err, r"postgres\.prove_loss +progress approved +approved by \S+")
        facts = self.check_taken_over(self.execution())
        self.assertEqual(self.execution()["id"], execution)
        self.assertRegex(facts["assist_approved_by"], r"^\S+")
        gap = rows.first_sent[facts["new_primary"]] - rows.last[self.primary]
        print(f"     nobody took rows for {gap:.1f} s; {facts['lease_remaining_seconds']:.1f} s of the lease were left", flush=True)
        self.assertGreater(facts["lease_remaining_seconds"], 0)
        self.assertLessEqual(len(rows.lost(facts["new_primary"])), facts["salvaged"]["lost_writes"])
        self.lab.await_healthy(120)
        self.check_post_mortem(incident, f", approved by {facts['assist_approved_by']}")
        again = self.lab.cli("execution", "approve", execution)
        self.assertEqual(again.code, 2, again)
        self.assertIn("has ended: succeeded", again.err)

    def test_a_yes_to_redis_makes_it_act_at_once(self):
        stack = Stack(self.lab)
        master = wait_until("Sentinels that agree", stack.named_master, 30)
        with Writers(stack) as writers:
            stack.signal(master, signal.SIGKILL)
            execution, proposal = self.await_proposal()
            self.assertRegex(proposal, rf"^fence {master} and have 'redis-\d' or a fuller replica promoted at once \(say yes with "
                                       r"'aeterna-dr failover redis'\); Sentinel takes it for dead by itself in [\d.]+ s$")
            self.check_shown(proposal, execution, master)
            time.sleep(2)
            self.assertEqual(self.fences(), [])
            self.assertEqual(stack.named_master(), master)
            said = self.lab.cli("execution", "approve", execution)
        self.assertEqual(said.code, 0, said)
        facts = show(self.lab, execution)["facts"]
        self.assertEqual(facts["assist"], "acted", facts)
        self.assertNotEqual(facts["redis.new_master"], master)
        wait_until("the old master as a replica", lambda: stack.is_replica_with_link(master), 60)
        print(f"     outage {writers.outage():.2f} s, lost {len(writers.lost(facts['redis.new_master']))}", flush=True)
        self.assertLess(writers.outage(), DOWN_AFTER_SECONDS)
        self.assertGreater(facts["down_after_remaining_seconds"], 0)


if __name__ == "__main__":
    unittest.main()
