"""What a person does to running and to interrupted work: abort a drill, note and close incidents, end an execution."""
import os
import signal
import sqlite3
import subprocess
import time
import unittest
from pathlib import Path

import test_drill
from support import PROGRAM, is_running, kill_at, run, shared_lab, wait_until
from watching import seen, stopped


class DrillAbortTest(unittest.TestCase):
    def test_a_running_drill_heals_and_ends_when_it_is_asked_to(self):
        lab = shared_lab()
        self.assertEqual(lab.cli("drill", "abort", timeout=60).code, 1, "nothing runs")
        drill = subprocess.Popen([PROGRAM, "--stack", lab.stack, "drill", "run", "q1", "--fault", "pause", "--yes"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(drill.kill)
        self.assertTrue(any("injecting:" in line for line in drill.stderr), "the drill ended before its fault")
        wait_until("something stopped", lambda: "T" in test_drill.states(lab), 30)
        done = lab.cli("--json", "drill", "abort", timeout=400)
        self.assertEqual(done.code, 0, done)
        self.assertEqual(done.json()["state"], "aborted")
        self.assertTrue(done.json()["healed"])
        self.assertEqual(drill.wait(30), 130)
        drill.stderr.close()
        self.assertNotIn("T", test_drill.states(lab))
        self.assertEqual(test_drill.leftovers(lab, done.json()["id"]), {"postgres": "", "redis": "", "qdrant": []})
        lab.await_healthy(240)


class IncidentTest(unittest.TestCase):
    def test_an_incident_is_acknowledged_and_not_closed_while_it_fires(self):
        lab = shared_lab()
        replica = next(node["name"] for node in lab.status()["stores"]["redis"]["nodes"]
                       if node["kind"] == "redis" and node["role"] == "replica")

        def opened():
            return next((each for each in seen(lab)["incidents"] if each["subject"] == replica), None)
        with stopped(lab.node(replica)["pid"]):
            incident = wait_until("an incident", opened, 60)["id"]
            done = lab.cli("--json", "incident", "ack", incident, timeout=60)
            self.assertEqual(done.code, 0, done)
            self.assertTrue(done.json()["incident"]["acknowledged_at"])
            self.assertTrue(opened()["acknowledged_by"], "serve itself knows it")
            refused = lab.cli("incident", "close", incident, timeout=60)
            self.assertEqual(refused.code, 5, refused)
        lab.await_healthy(120)
        self.assertEqual(lab.cli("incident", "close", incident, timeout=60).code, 2, "it has closed by itself")
        self.assertEqual(lab.cli("incident", "ack", "inc-none", timeout=60).code, 1)

    def plant(self, lab, incident):
        """An open incident of a node that the stack file does not name."""
        with sqlite3.connect(os.path.join(lab.directory, "state", "journal.sqlite")) as journal:
            journal.execute("INSERT INTO incidents VALUES (?, 'redis.replica_down', 'redis', ?, 'degraded', 'open', "
                            "'gone', '[]', ?, NULL, NULL, '')", (incident, incident, int(time.time() * 1e6)))

    def test_an_incident_whose_node_is_gone_can_be_closed_with_and_without_serve(self):
        lab = shared_lab()
        serve = lab.node("serve")["pid"]
        os.kill(serve, signal.SIGTERM)
        # It answers no more before it has ended, and `lab up` starts no second one beside it.
        wait_until("the end of serve", lambda: not is_running(serve), 60)
        self.plant(lab, "inc-ghost-1")
        self.plant(lab, "inc-ghost-2")
        done = lab.cli("--json", "incident", "close", "inc-ghost-1", timeout=60)
        self.assertEqual(done.code, 0, done)
        self.assertEqual(done.json()["incident"]["state"], "closed")
        lab.up()
        wait_until("serve with the other one", lambda: [each["id"] for each in lab.status()["incidents"]] ==
                   ["inc-ghost-2"], 60)
        done = lab.cli("--json", "incident", "close", "inc-ghost-2", timeout=60)
        self.assertEqual(done.code, 0, done)
        self.assertTrue(done.json()["incident"]["closed_at"])
        lab.await_healthy(60)


class ExecutionAbortTest(unittest.TestCase):
    def show(self, lab, execution):
        return lab.cli("--json", "execution", "show", execution).json()["execution"]

    def interrupted(self, lab, candidate):
        """A switchover that is killed before the Sentinels see it: the candidate is preferred, nothing is promoted."""
        before = {each["id"] for each in lab.cli("--json", "execution", "list").json()["executions"]}
        # What it waits for next takes the Sentinels seconds.
        kill_at(self, r" redis\.prefer_candidate +apply +done",
                "--stack", lab.stack, "switchover", "redis", "--candidate", candidate, "--yes")
        return next(each["id"] for each in lab.cli("--json", "execution", "list").json()["executions"]
                    if each["id"] not in before)

    def priority(self, lab, node):
        status = lab.lab_status()
        host, port = next(each["address"] for each in status["nodes"] if each["name"] == node).split(":")
        done = subprocess.run(["redis-cli", "-h", host, "-p", port, "CONFIG", "GET", "replica-priority"],
                              env=dict(os.environ, REDISCLI_AUTH=status["credentials"]["redis"]["password"]),
                              capture_output=True, text=True, check=True)
        return done.stdout.split()[1]

    def test_an_interrupted_switchover_is_ended_and_taken_back(self):
        lab = shared_lab()
        redis = lab.status()["stores"]["redis"]
        candidate = next(node["name"] for node in redis["nodes"]
                         if node["kind"] == "redis" and node["role"] == "replica")
        priority = self.priority(lab, candidate)
        execution = self.interrupted(lab, candidate)
        self.assertEqual(lab.cli("execution", "approve", execution, timeout=60).code, 2, "it awaits no approval")
        self.assertEqual(lab.cli("execution", "abort", execution, timeout=60).code, 7, "nobody has agreed")
        done = lab.take_over("--json", "execution", "abort", execution, "--yes", timeout=120)
        self.assertEqual(done.code, 0, done)
        record = done.json()["execution"]
        self.assertEqual(record["state"], "aborted")
        self.assertIn("redis.prefer_candidate", [step["step"] for step in record["steps"]
                                                 if step["phase"] == "undo" and step["outcome"] == "done"])
        self.assertEqual(self.priority(lab, candidate), priority)
        self.assertEqual(lab.status()["stores"]["redis"]["primary"], redis["primary"], "nothing was promoted")
        self.assertEqual(lab.cli("execution", "resume", execution, "--yes", timeout=60).code, 2, "it has ended")
        lab.await_healthy(120)


class PostMortemEditTest(unittest.TestCase):
    def test_what_people_write_stays(self):
        lab = shared_lab()
        incidents = lab.cli("--json", "incident", "list").json()["incidents"]
        incident = incidents[0]["id"] if incidents else None
        if incident is None:
            self.plant_one(lab)
            incident = "inc-seen"
        editor = {"EDITOR": r"sed -i 's/^## Root Cause$/&\n\nThe fuse of rack 7./'"}
        done = run("--stack", lab.stack, "--json", "postmortem", "edit", incident, env=editor, timeout=60)
        self.assertEqual(done.code, 0, done)
        path = Path(done.json()["path"])
        self.assertIn("The fuse of rack 7.", path.read_text())
        self.assertIn("The fuse of rack 7.", lab.cli("postmortem", "show", incident).out)
        path.write_text(path.read_text() + "edited by hand\n")
        done = run("--stack", lab.stack, "postmortem", "edit", incident, env={"EDITOR": "true"}, timeout=60)
        self.assertEqual(done.code, 0, done)
        self.assertIn("The fuse of rack 7.", path.read_text())
        kept = path.with_name(f"{incident}.edited-1.md")
        self.assertIn("edited by hand", kept.read_text())
        failed = run("--stack", lab.stack, "postmortem", "edit", incident, env={"EDITOR": "false"}, timeout=60)
        self.assertEqual(failed.code, 1, failed)
        unknown = run("--stack", lab.stack, "postmortem", "edit", "inc-none", env=editor, timeout=60)
        self.assertEqual(unknown.code, 1, unknown)

    def plant_one(self, lab):
        with sqlite3.connect(os.path.join(lab.directory, "state", "journal.sqlite")) as journal:
            journal.execute("INSERT INTO incidents VALUES ('inc-seen', 'redis.replica_down', 'redis', 'redis-2', "
                            "'degraded', 'closed', 'gone', '[]', 1, 2, NULL, '')")


if __name__ == "__main__":
    unittest.main()
