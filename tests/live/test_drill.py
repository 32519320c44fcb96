"""Drill Q1 on real servers: measured without and with the assist, agreed by an independent observer, healed also when it is
killed."""
import json
import os
import re
import signal
import subprocess
import tempfile
import unittest
import urllib.request
from pathlib import Path

from support import PROGRAM, shared_lab, wait_until

OBSERVER = Path(__file__).with_name("observer.py")
# Both drills break things at the same instant, right after the warm-up instead of up to 10 s later.
SEED = 196
# By store: what an assist saves, its words, and how long the whole of it is: the lab's ttl and down-after.
SAVED = {"postgres": ("lease", "the leader's lease", 30), "redis": ("down_after", "Sentinel's down-after", 30)}


def leftovers(lab, drill):
    """What is in the stores of this drill: the table, the number of keys, the collections."""
    status = lab.lab_status()
    credentials = status["credentials"]
    stores = lab.status()["stores"]
    address = {node["name"]: node["address"] for node in status["nodes"]}
    host, port = address[stores["postgres"]["primary"]].split(":")
    login = credentials["postgres"]
    table = subprocess.run(["psql", "-XAtc", "SELECT to_regclass('aeterna_dr.drill_writes')",
                            f"host={host} port={port} user={login['user']} dbname={login['database']}"],
                           env=dict(os.environ, PGPASSWORD=login["password"]), capture_output=True, text=True, check=True)
    host, port = address[stores["redis"]["primary"]].split(":")
    keys = subprocess.run(["redis-cli", "-h", host, "-p", port, "--scan", "--pattern", f"*{drill}*"],
                          env=dict(os.environ, REDISCLI_AUTH=credentials["redis"]["password"]),
                          capture_output=True, text=True, check=True)
    node = next(node for node in status["nodes"] if node["kind"] == "qdrant")
    request = urllib.request.Request(f"http://{node['address']}/collections",
                                     headers={"api-key": credentials["qdrant"]["api_key"]})
    collections = json.load(urllib.request.urlopen(request, timeout=10))["result"]["collections"]
    return {"postgres": table.stdout.strip(), "redis": keys.stdout.strip(),
            "qdrant": [each["name"] for each in collections if drill in each["name"]]}


def states(lab):
    """The process states (proc(5)) of all servers: T is stopped."""
    found = set()
    for node in lab.lab_status()["nodes"]:
        try:
            found.add(Path(f"/proc/{node['pid']}/stat").read_text().rsplit(")", 1)[1].split()[0])
        except OSError:
            pass
    return found


def injection_seconds(score):
    """How long the signals took to be sent and to take, where that was worth a note: the RTO counts from the first one."""
    found = re.search(r"the injection took ([0-9.]+) (ms|s)", " ".join(score["notes"]))
    return float(found.group(1)) / (1000 if found.group(2) == "ms" else 1) if found else 0.0


class DrillTest(unittest.TestCase):
    def test_a_kill_with_assist_off_and_then_act_is_measured_as_an_independent_observer_sees_it(self):
        lab = shared_lab()
        off = self.drill(lab, "off")
        self.check_off(off, lab)
        act = self.drill(lab, "act")
        self.check_act(act, off, lab)
        self.check_incidents(lab)

    def drill(self, lab, assist):
        """The scorecard of one that has passed, after its figures were compared with the observer's."""
        with tempfile.TemporaryDirectory() as directory:
            status, output = os.path.join(directory, "lab.json"), os.path.join(directory, "observed.json")
            Path(status).write_text(json.dumps(lab.lab_status()))
            observer = subprocess.Popen(["/usr/bin/python3", OBSERVER, status, output], stdout=subprocess.PIPE, text=True)
            self.addCleanup(observer.stdout.close)
            self.addCleanup(observer.kill)
            self.assertEqual(observer.stdout.readline(), "observing\n")
            done = lab.cli("--json", "drill", "run", "q1", "--assist", assist, "--seed", SEED, "--yes", timeout=900)
            observer.send_signal(signal.SIGTERM)
            observer.wait(30)
            observed = json.loads(Path(output).read_text())
        self.assertEqual(done.code, 0, done)
        card = done.json()
        self.assertEqual((card["verdict"], card["assist"]), ("pass", assist))
        self.assertTrue(card["overall"]["met"])
        for store in ("postgres", "redis"):
            self.check_store(card, store, observed[store])
        self.assertEqual(card["stores"]["qdrant"]["lost"], 0)
        self.check_post_mortem(card)
        return card

    def check_store(self, card, store, observed):
        score = card["stores"][store]
        print(f"     assist {card['assist']}, {store}: RTO {score['rto_seconds']:.2f} s, observer "
              f"{observed['outage_seconds']:.2f} s (jitter {observed['jitter_seconds']:.2f} s), "
              f"client {score['client_rto_seconds']:.2f} s, detected {score['detect_seconds']}, "
              f"lost {score['lost']}, {score['assist']}", flush=True)
        self.assertTrue(score["met"])
        self.assertNotEqual(score["primary"], score["new_primary"])
        self.assertAlmostEqual(score["rto_seconds"], observed["outage_seconds"],
                               delta=1.0 + injection_seconds(score) + observed["jitter_seconds"])
        self.assertGreater(score["acknowledged"], 100)
        names = [phase["name"] for phase in card["phases"] if phase["store"] == store]
        for phase in ("injected", "first_failure", "detected", "promoted", "first_success", "stable",
                      "redundancy_restored"):
            self.assertIn(phase, names, store)

    def told(self, card, lab):
        """What the drill's report and its post-mortem say, each in one line: they wrap."""
        report = lab.cli("drill", "report", card["id"])
        self.assertEqual(report.code, 0, report)
        return [" ".join(text.split()) for text in (report.out, Path(card["post_mortem"]).read_text())]

    def check_off(self, card, lab):
        for store in SAVED:
            assist = card["stores"][store]["assist"]
            self.assertEqual((assist["outcome"], assist["saved_seconds"], assist["salvaged"]), ("off", None, None), store)
        for text in self.told(card, lab):
            self.assertIn("assist off", text)
            self.assertNotIn("the assist acted", text)
            self.assertNotIn("salvaged what only the old primary had", text)

    def check_act(self, card, off, lab):
        """It ends sooner than the same drill without it, and what was saved and salvaged is told wherever it is read."""
        report, post_mortem = self.told(card, lab)
        for text in (report, post_mortem):
            self.assertIn("assist act", text)
        for store, (saved_of, words, whole) in SAVED.items():
            score, without = card["stores"][store], off["stores"][store]
            assist = score["assist"]
            self.assertEqual((assist["outcome"], assist["fenced"], assist["saved_of"]), ("acted", [], saved_of), assist)
            self.assertLess(score["rto_seconds"], without["rto_seconds"], store)
            # What was left of the wait when it acted, and how late that was, are of the same wait.
            self.assertGreater(assist["saved_seconds"], 0, assist)
            self.assertLessEqual(assist["saved_seconds"], whole, assist)
            self.assertGreater(score["rto_seconds"], assist["acted_at_seconds"], assist)
            acted = rf"the assist acted [0-9.]+ m?s after the fault: [0-9.]+ m?s of {words} were left, which nobody had to wait for"
            self.assertRegex(report, acted)
            # Once below its execution, once among the lessons.
            self.assertRegex(post_mortem, rf"- {acted}")
            self.assertRegex(post_mortem, rf"{store}: {acted}\.")
            self.check_salvaged(assist["salvaged"], report, post_mortem)

    def check_salvaged(self, salvaged, report, post_mortem):
        if salvaged is None:
            return
        self.assertGreater(salvaged["files"], 0)
        self.assertTrue(os.listdir(salvaged["directory"]))
        words = (f"salvaged what only the old primary had: {salvaged['files']} files, {salvaged['bytes']} bytes, "
                 f"in {salvaged['directory']}")
        self.assertIn(words, report)
        self.assertIn(f"- {words}", post_mortem)

    def check_post_mortem(self, card):
        text = Path(card["post_mortem"]).read_text()
        for heading in ("## Timeline", "## Root Cause", "## Resolution", "## Lessons Learned", "## Action Items",
                        "## Evidence"):
            self.assertIn(heading, text)
        rows = [line for line in text.split("## Root Cause")[0].splitlines() if line.startswith("| ")]
        for row in rows:
            if re.match(r"\| \d\d:\d\d:", row):
                self.assertRegex(row, r"\]\((#|</)[^)]+\)", "the row links to its evidence")
        for target in set(re.findall(r"\]\(#([^)]+)\)", text)):
            self.assertIn(f'<a id="{target}"></a>', text)
        for ledger in set(re.findall(r"\]\(<(/[^>]+)>\)", text)):
            self.assertTrue(Path(ledger).is_file(), ledger)
        self.assertIn("Injected by drill", text)
        self.assertIn(card["id"], text)

    def check_incidents(self, lab):
        incidents = lab.cli("--json", "incident", "list").json()["incidents"]
        stores = {incident["store"] for incident in incidents if incident["severity"] == "critical"}
        self.assertLessEqual({"postgres", "redis"}, stores)
        executions = lab.cli("--json", "execution", "list").json()["executions"]
        succeeded = {execution["store"] for execution in executions if execution["state"] == "succeeded"}
        self.assertLessEqual({"postgres", "redis"}, succeeded)

    def test_a_killed_drill_is_healed(self):
        lab = shared_lab()
        drill = subprocess.Popen([PROGRAM, "--stack", lab.stack, "drill", "run", "q1", "--fault", "pause", "--yes"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(drill.kill)
        self.assertTrue(any("injecting:" in line for line in drill.stderr), "the drill ended before its fault")
        wait_until("something stopped", lambda: "T" in states(lab), 30)
        drill.send_signal(signal.SIGKILL)
        drill.wait()
        drill.stderr.close()
        # `serve` may be quicker than we are: then there is nothing left to heal, and it has to be healed all the same.
        done = lab.cli("drill", "heal", timeout=200)
        self.assertIn(done.code, (0, 11), done)
        wait_until("everything running again", lambda: "T" not in states(lab), 60)
        self.check_aborted(lab)
        lab.await_healthy(240)

    def check_aborted(self, lab):
        """The killed drill is closed, with a report of what it had measured, and nothing of it is left in the stores."""
        def closed():
            run = lab.cli("--json", "drill", "list").json()["runs"][0]
            return run if run["state"] == "aborted" else None
        run = wait_until("the end of the killed drill", closed, 300)
        self.assertEqual(run["verdict"], "unknown")
        card = lab.cli("--json", "drill", "report", run["id"]).json()
        self.assertTrue(card["cut_short"])
        for store in ("postgres", "redis"):
            self.assertTrue(card["stores"][store]["faulted"], card["stores"][store])
            self.assertGreater(card["stores"][store]["acknowledged"], 100, store)
        self.assertIn("killed before its end", Path(wait_until(
            "its post-mortem", lambda: lab.cli("--json", "drill", "report", run["id"]).json()["post_mortem"], 30)).read_text())
        self.assertEqual(leftovers(lab, run["id"]), {"postgres": "", "redis": "", "qdrant": []})

    def test_only_one_drill_at_a_time(self):
        lab = shared_lab()
        first = subprocess.Popen([PROGRAM, "--stack", lab.stack, "drill", "run", "q1", "--yes"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(first.kill)
        first.stderr.readline()
        second = lab.cli("drill", "run", "q1", "--yes", timeout=60)
        self.assertEqual(second.code, 11, second)
        first.send_signal(signal.SIGINT)  # before the fault: it ends without having broken anything
        wait_until("the end of the first drill", lambda: first.poll() is not None, 60)
        first.stderr.close()
        self.assertEqual(first.returncode, 130)
        lab.await_healthy(60)


if __name__ == "__main__":
    unittest.main()
