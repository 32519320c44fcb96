"""Drill Q1 when a promotion loses acknowledged writes: the scorecard and the post-mortem say which of them the repository still has, and it
has them."""
import json
import re
import subprocess
import threading
import time
import unittest
from pathlib import Path

import psycopg2

from support import PROGRAM, Lab
from watching import stopped

# Long enough for pieces of the log to become durable, short enough for a replica to wait for its stream (60 s).
SECONDS_BEFORE = 5


class DrillLossTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.remove)
        cls.lab.up()
        cls.lab.await_healthy(180)
        cls.credentials = cls.lab.lab_status()["credentials"]["postgres"]

    def sql(self, node, statement):
        host, port = self.lab.node(node)["address"].rsplit(":", 1)
        connection = psycopg2.connect(host=host, port=port, user=self.credentials["user"], password=self.credentials["password"],
                                      dbname=self.credentials["database"], connect_timeout=5)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()
        finally:
            connection.close()

    def test_what_the_repository_has_of_the_lost_rows_is_told(self):
        done = self.lab.cli("backup", "postgres")
        self.assertEqual(done.code, 0, done)
        primary = self.lab.status()["stores"]["postgres"]["primary"]
        timeline = self.sql(primary, "SELECT timeline_id FROM pg_control_checkpoint()")[0][0]
        card = self.drill(primary)
        score = card["stores"]["postgres"]
        lost, kept = score["lost_ids"], score["lost_in_repository"]
        print(f"     {len(lost)} rows lost, {len(kept) if kept is not None else 'unknown'} of them kept, notes {score['notes']}", flush=True)
        self.assertNotIn(score["new_primary"], (None, primary))
        self.assertGreater(len(lost), 10)
        self.assertIsNotNone(kept, score)
        self.assertGreater(len(kept), 10)
        self.assertLessEqual(set(kept), set(lost))
        self.assertEqual(score["lost"], len(lost))
        self.check_told(card, lost, kept)
        self.check_kept(card["id"], timeline, lost, kept)
        self.lab.await_healthy(240)

    def drill(self, primary):
        """The scorecard; the replicas get nothing from some seconds before the fault on, while the receiver of the repository does."""
        drill = subprocess.Popen([PROGRAM, "--stack", self.lab.stack, "--json", "drill", "run", "q1", "--yes"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(drill.kill)
        announced = next(line for line in drill.stderr if "the fault comes after" in line)
        seconds = sum(float(number) for number in re.findall(r"([0-9.]+) s\b", announced.split("the fault comes after")[1]))
        self.assertGreater(seconds, SECONDS_BEFORE, announced)
        time.sleep(seconds - SECONDS_BEFORE)
        senders = [row[0] for row in self.sql(primary, "SELECT pid FROM pg_stat_replication WHERE application_name LIKE 'postgres-%'")]
        self.assertEqual(len(senders), 2)
        with stopped(*senders):
            answer = threading.Thread(target=lambda: setattr(self, "out", drill.stdout.read()))
            answer.start()
            said = []
            for line in drill.stderr:
                said.append(line)
                if "postgres takes writes steadily again" in line:
                    break
        said += list(drill.stderr)
        answer.join()
        self.assertEqual(drill.wait(), 0, "".join(said))
        return json.loads(self.out)

    def check_told(self, card, lost, kept):
        text = Path(card["post_mortem"]).read_text()
        self.assertIn(f"Lost writes of postgres ({len(lost)}): {lost[0]}", text)
        told = f"The repository still has {len(kept)} of them, on the old timeline behind the fork"
        self.assertIn(told + ("." if len(kept) == len(lost) else f": {kept[0]}"), text)
        self.assertIn(f"of the lost writes the repository still has {len(kept)}", self.lab.cli("drill", "report", card["id"]).out)

    def check_kept(self, drill, timeline, lost, kept):
        """A server on the old timeline has those of the lost rows that were named, and no other."""
        query = (f"SELECT array_agg(id ORDER BY id) = '{{{','.join(map(str, sorted(kept)))}}}'::bigint[] FROM aeterna_dr.drill_writes "
                 f"WHERE drill = '{drill}' AND id = ANY ('{{{','.join(map(str, lost))}}}'::bigint[])")
        done = self.lab.cli("restore-test", "postgres", "--timeline", str(timeline), "--database", self.credentials["database"], "--query", query)
        self.assertEqual(done.code, 0, done)


if __name__ == "__main__":
    unittest.main()
