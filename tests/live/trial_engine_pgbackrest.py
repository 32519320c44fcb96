"""`engine: pgbackrest` with the real program (Debian's) and a real server that archives with it: what our commands drive, and what they
find that the program's own exit codes and `verify` do not tell."""
import os
import random
import shutil
import subprocess
import unittest

from engine_trial import SEGMENT, EngineTrial
from servers import AS_OWNER, BIN, Server, command
from support import run, wait_until


@unittest.skipUnless(shutil.which("pgbackrest"), "no pgBackRest on this machine")
class PgBackRestTest(EngineTrial, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.psql("CREATE TABLE ledger (n int, at timestamptz DEFAULT clock_timestamp())")
        cls.pgbackrest("stanza-create")

    @classmethod
    def make_server(cls):
        cls.host = f"127.0.78.{random.randrange(1, 250)}"
        cls.server = Server(cls.place, "a", cls.host)
        cls.repo, cls.conf = cls.place / "repo", cls.place / "pgbackrest.conf"
        command(BIN / "initdb", "-D", cls.server.data, "-U", "postgres", "-A", "trust", "--data-checksums", "--no-sync", "--locale=C.UTF-8")
        cls.write_conf()
        with open(cls.server.data / "postgresql.conf", "a") as conf:
            conf.write(f"archive_mode = on\narchive_command = 'pgbackrest --config={cls.conf} --stanza=main archive-push %p'\n"
                       # As Patroni writes it: a copy elsewhere would go by the live server's rules.
                       f"hba_file = '{cls.server.data}/pg_hba.conf'\n")

    @classmethod
    def write_conf(cls, more=""):
        cls.conf.write_text(f"[global]\nrepo1-path={cls.repo}\nrepo1-cipher-type=aes-256-cbc\nrepo1-cipher-pass=hidden\ncompress-type=zst\n"
                            f"start-fast=y\nlog-path={cls.place}\nlock-path={cls.place}/lock\n{more}[main]\npg1-path={cls.server.data}\n"
                            f"pg1-socket-path={cls.place}\npg1-port={cls.server.port}\npg1-user=postgres\n")
        os.chmod(cls.conf, 0o640)
        if AS_OWNER:
            shutil.chown(cls.conf, "root", "postgres")

    @classmethod
    def pgbackrest(cls, *words):
        return command("pgbackrest", f"--config={cls.conf}", "--stanza=main", *words)

    def stack_file(self, engine="pgbackrest", section=None, more=(), name="stack"):
        section = section if section is not None else f"    pgbackrest: {{stanza: main, config_file: {self.conf}}}"
        lines = ["name: test", f"state_directory: {self.room / 'state'}", *more, "stores:", "  postgres:", "    objectives: {rto: 5m, rpo: 5m}",
                 "    scope: test", "    user: postgres", "    database: postgres", f"    engine: {engine}", section, "    nodes:",
                 f"      - {{name: postgres-1, address: \"{self.host}:{self.server.port}\", patroni: \"http://{self.host}:1\"}}"]
        path = self.room / f"{name}.yaml"
        path.write_text("\n".join(lines) + "\n")
        return path

    def restore(self, name, *words, code=0):
        into = self.room / name
        return into, self.answer("restore", "postgres", "--into", into, *words, code=code)

    def archived(self):
        return {path.name[:SEGMENT] for path in (self.repo / "archive" / "main").rglob("0*") if path.is_file()}

    def wal_file(self, segment):
        found, = (path for path in (self.repo / "archive" / "main").rglob(f"{segment}-*"))
        return found

    # ------------------------------------------------------------------------------------------------------------------

    def test_backup_list_and_restore(self):
        full = self.back_up("--type", "full")
        self.assertEqual((full["engine"], full["details"]["type"], full["parent"], full["name"]), ("pgbackrest", "full", None, "main"))
        self.commit(1)
        incremental = self.back_up("--type", "incr")
        self.assertEqual((incremental["details"]["type"], incremental["parent"]), ("incr", full["id"]))
        self.commit(2)
        after = self.commit(3)
        self.commit(4)
        listed = self.answer("backups", "list")["backups"]
        ids = [backup["id"] for backup in listed]
        self.assertEqual([id for id in ids if id in (full["id"], incremental["id"])], [full["id"], incremental["id"]])
        self.assertEqual({backup["engine"] for backup in listed}, {"pgbackrest"})
        self.assertIn("by pgbackrest", self.cli("backups", "list").out)
        self.assertEqual(self.answer("backups", "show", "latest")["backup"]["id"], incremental["id"])
        window = self.answer("recovery-points")["recovery_points"][-1]
        self.assertEqual((window["engine"], window["gap"]), ("pgbackrest", None))
        self.assertIn(incremental["id"], window["backups"])
        self.assertEqual(self.answer("repo", "check")["engines"][0]["problems"], [])

        # Whoever starts a copy, nothing of it comes into the archive: it would be a second history beside the live one.
        before = self.archived()
        into, document = self.restore("latest")
        self.assertEqual(document["restore"]["backup"], incremental["id"])
        restored = self.start_restored(into)
        self.assertEqual(restored.psql("SELECT string_agg(n::text, ',' ORDER BY n) FROM ledger WHERE n < 10"), "1,2,3,4")
        self.assertEqual(restored.psql("SHOW archive_mode"), "off")
        self.assertEqual(restored.psql("SHOW hba_file"), str(into / "pg_hba.conf"))
        restored.psql("SELECT pg_switch_wal()")
        into, _ = self.restore("time", "--to", after)
        restored = self.start_restored(into)
        self.assertEqual(restored.psql("SELECT string_agg(n::text, ',' ORDER BY n) FROM ledger WHERE n < 10"), "1,2,3")
        into, document = self.restore("id", "--to", full["id"])
        self.assertEqual(self.start_restored(into).psql("SELECT count(*) FROM ledger WHERE n < 10"), "0")
        self.assertEqual(self.archived(), before)

        for to, code in ((after[:4] + "x", 2), ("2020-01-01T00:00:00Z", 1), ("lsn:F0/0", 1), ("2099-01-01T00:00:00Z", 2)):
            with self.subTest(to):
                done = self.cli("restore", "postgres", "--into", self.room / "not", "--to", to)
                self.assertEqual(done.code, code, done)
                self.assertFalse((self.room / "not").exists())
        done = self.cli("restore", "postgres", "--into", into)
        self.assertEqual(done.code, 5, done)
        self.assertIn("is not empty", done.err)
        self.assertNotIn("hidden", "".join(path.read_text(errors="replace") for path in into.glob("postgresql*.conf")))

    def test_damage_that_the_exit_code_hides(self):
        backup = self.back_up("--type", "full")
        victim = max((self.repo / "backup" / "main" / backup["id"]).rglob("*.zst"), key=lambda path: path.stat().st_size)
        right = victim.read_bytes()
        self.addCleanup(victim.write_bytes, right)
        victim.write_bytes(right[:200] + bytes([right[200] ^ 1]) + right[201:])
        self.pgbackrest("verify")  # ends with 0, or this would raise
        document = self.answer("repo", "check", code=1)["engines"][0]
        self.assertIn(backup["id"], document["hit_backups"])
        self.assertTrue(any(backup["id"] in problem for problem in document["problems"]), document)
        self.assertIn("problems", self.cli("repo", "check").out)

    def test_wal_that_is_gone(self):
        whole = self.back_up("--type", "full")
        hit = self.back_up("--type", "full")
        self.commit(10)
        missing = self.server.psql(f"SELECT pg_walfile_name('{hit['details']['stop_lsn']}')")
        path = self.wal_file(missing)
        aside = self.room / path.name
        shutil.move(path, aside)
        self.addCleanup(shutil.move, aside, path)
        # The program's own check finds an archive without a fault.
        self.assertIn("status: ok", self.pgbackrest("--output=text", "--verbose", "verify"))
        document = self.answer("repo", "check", code=1)["engines"][0]
        self.assertIn(hit["id"], document["hit_backups"])
        self.assertNotIn(whole["id"], document["hit_backups"])
        windows = self.answer("recovery-points")["recovery_points"]
        self.assertNotIn(hit["id"], [id for window in windows for id in window["backups"]])
        self.assertIn(missing, windows[-1]["gap"])
        self.assertEqual(self.cli("restore", "postgres", "--into", self.room / "not", "--to", hit["id"]).code, 1)
        into, document = self.restore("before")
        self.assertEqual(document["restore"]["backup"], whole["id"])
        self.assertTrue(any(missing in note for note in document["restore"]["notes"]), document)

    def test_without_stanza_or_program(self):
        for section, said in ((f"    pgbackrest: {{stanza: other, config_file: {self.conf}}}", "other"),
                              (f"    pgbackrest: {{stanza: main, config_file: {self.conf}, program: /nowhere/pgbackrest}}", "/nowhere/pgbackrest"),
                              ("    pgbackrest: {config_file: /x}", "stanza")):
            stack = self.stack_file(section=section, name="wrong")
            for words in (("backup", "postgres"), ("backups", "list"), ("restore", "postgres", "--into", self.room / "x"), ("repo", "check")):
                with self.subTest((section, words)):
                    done = self.cli(*words, stack=stack)
                    self.assertEqual(done.code, 2, done)
                    self.assertIn(said, done.err)
                    self.assertIn("hint:", done.err)
        done = self.cli("config", "check")
        self.assertIn("stanza 'main'", done.out)

    def test_what_makes_no_sense_is_refused(self):
        backup = self.back_up()
        own = self.stack_file(engine="native", section="", more=[f"repository: {{place: {self.room / 'own'}, key_file: {self.room / 'key'}}}"], name="own")
        cases = ((("backup", "postgres", "--checkpoint", "spread"), None, 2), (("backup", "postgres", "--node", "postgres-1"), None, 2),
                 (("backup", "postgres", "--database", "app"), None, 2),
                 (("backups", "forget", backup["id"]), None, 5), (("backups", "show", backup["id"], "--files"), None, 2),
                 (("restore-test", "postgres"), None, 2), (("restore", "postgres", "--into", self.room / "x", "--for", "patroni-replica"), None, 2),
                 (("backup", "postgres", "--type", "full"), own, 2),
                 (("backup", "watch"), self.stack_file(more=[f"repository: {{place: {self.room / 'own'}, key_file: {self.room / 'key'}}}"], name="both"), 2))
        self.assertEqual(self.cli("repo", "init", stack=own).code, 0)
        for words, stack, code in cases:
            with self.subTest(words):
                done = self.cli(*words, stack=stack)
                self.assertEqual(done.code, code, done)
        self.assertEqual(self.cli("backups", "list", stack=self.stack_file(section="    capture: on\n" + f"    pgbackrest: {{stanza: main, config_file: {self.conf}}}",
                                                                           more=[f"repository: {{place: {self.room / 'own'}, key_file: {self.room / 'key'}}}"], name="cap")).code, 2)

    def test_beside_our_own_repository(self):
        stack = self.stack_file(more=[f"repository: {{place: {self.room / 'own'}, key_file: {self.room / 'key'}}}"])
        self.assertEqual(self.cli("repo", "init", stack=stack).code, 0)
        logical = self.answer("backup", "postgres", "--logical", stack=stack)["backup"]
        base = self.answer("backup", "postgres", stack=stack)["backup"]
        self.assertEqual((logical["engine"], logical["kind"], base["engine"], base["kind"]), ("native", "logical", "pgbackrest", "base"))
        ids = [backup["id"] for backup in self.answer("backups", "list", stack=stack)["backups"]]
        self.assertIn(logical["id"], ids)
        self.assertIn(base["id"], ids)
        self.assertEqual(self.answer("backups", "show", logical["id"], stack=stack)["backup"]["kind"], "logical")
        document = self.answer("repo", "check", stack=stack)
        self.assertEqual((document["check"]["healthy"], document["engines"][0]["healthy"]), (True, True))
        only = run("--repo", self.room / "own", "--key-file", self.room / "key", "--json", "backups", "list",
                   env={"STATE_DIRECTORY": str(self.room / "state"), "AETERNA_DR_STACK": str(stack)})
        self.assertEqual([backup["id"] for backup in only.json()["backups"]], [logical["id"]])

    def test_a_failed_backup_says_why(self):
        ids = [backup["id"] for backup in self.answer("backups", "list")["backups"]]
        # Another one at work.
        holder = subprocess.Popen([*AS_OWNER, "pgbackrest", f"--config={self.conf}", "--stanza=main", "--type=full", "backup"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until("the other backup", lambda: '"held":true' in self.pgbackrest("info", "--output=json"), 30)
            done = self.cli("backup", "postgres")
            self.assertEqual(done.code, 11, done)
        finally:
            holder.wait(timeout=120)
        self.write_conf("repo1-hardlink=y\nno-such-option=1\n")
        try:
            done = self.cli("backup", "postgres", "--type", "full")
        finally:
            self.write_conf()
        self.assertIn(done.code, (0, 1), done)
        self.assertGreaterEqual(len(self.answer("backups", "list")["backups"]), len(ids))

    @unittest.skipUnless(AS_OWNER, "root alone can mount")
    def test_no_space(self):
        self.back_up()
        small = self.room / "small"
        small.mkdir()
        script = self.room / "on-small"
        script.write_text(f"#!/bin/sh\nset -e\nmount -t tmpfs -o size=8m tmpfs {small}\nexec \"$@\"\n")
        script.chmod(0o755)
        done = self.cli("restore", "postgres", "--into", small / "x", prefix=["unshare", "-m", str(script)])
        self.assertEqual(done.code, 1, done)
        self.assertIn("needs", done.err)


if __name__ == "__main__":
    unittest.main()
