"""`engine: wal-g` against WAL-G's documented interface. WAL-G is no package of Debian: unless $WAL_G names a real program, a stand-in
(wal_g_stand_in.py) answers as its manual says, with a real server of PostgreSQL on both sides. docs/engines.md tells of a run with a real one."""
import json
import os
import random
import shutil
import tempfile
import unittest
from pathlib import Path

from engine_trial import SEGMENT, EngineTrial
from servers import AS_OWNER, BIN, Server, command

REAL = os.environ.get("WAL_G")


class WalGTest(EngineTrial, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.psql("CREATE TABLE ledger (n int)")

    @classmethod
    def make_server(cls):
        cls.host = f"127.0.79.{random.randrange(1, 250)}"
        cls.server = Server(cls.place, "a", cls.host)
        cls.program, cls.conf, cls.storage = cls.place / "wal-g", cls.place / "wal-g.json", cls.place / "storage"
        shutil.copy(REAL or Path(__file__).parent / "wal_g_stand_in.py", cls.program)
        os.chmod(cls.program, 0o755)
        command("mkdir", cls.storage)
        cls.configure()
        command(BIN / "initdb", "-D", cls.server.data, "-U", "postgres", "-A", "trust", "--data-checksums", "--no-sync", "--locale=C.UTF-8")
        with open(cls.server.data / "postgresql.conf", "a") as conf:
            conf.write(f"archive_mode = on\narchive_command = '{cls.program} --config={cls.conf} wal-push %p'\n")

    @classmethod
    def configure(cls, **more):
        cls.conf.write_text(json.dumps({"WALG_FILE_PREFIX": str(cls.storage), "PGHOST": str(cls.place), "PGPORT": str(cls.server.port),
                                        "PGUSER": "postgres", "PGDATABASE": "postgres", "WALG_COMPRESSION_METHOD": "lz4", **more}))
        os.chmod(cls.conf, 0o644)

    def stack_file(self):
        path = self.room / "stack.yaml"
        path.write_text("\n".join([
            "name: test", f"state_directory: {self.room / 'state'}", "stores:", "  postgres:", "    objectives: {rto: 5m, rpo: 5m}", "    scope: test",
            "    user: postgres", "    database: postgres", "    engine: wal-g",
            f"    wal_g: {{program: {self.program}, config_file: {self.conf}, data_directory: {self.server.data}}}", "    nodes:",
            f"      - {{name: postgres-1, address: \"{self.host}:{self.server.port}\", patroni: \"http://{self.host}:1\"}}"]) + "\n")
        return path

    def archived(self):
        return {path.name[:SEGMENT] for path in (self.storage / "wal_005").iterdir()}

    def wal_file(self, segment):
        path, = (path for path in (self.storage / "wal_005").iterdir() if path.name.split(".")[0] == segment and ".backup" not in path.name)
        return path

    def test_backup_list_and_restore(self):
        first = self.back_up("--type", "full")
        self.assertEqual((first["engine"], first["kind"], first["name"]), ("wal-g", "base", "test"))
        self.commit(1)
        second = self.back_up()
        after = self.commit(2)
        self.commit(3)
        ids = [backup["id"] for backup in self.answer("backups", "list")["backups"]]
        self.assertEqual(ids[-2:], [first["id"], second["id"]])
        window = self.answer("recovery-points")["recovery_points"][-1]
        self.assertEqual((window["engine"], window["gap"]), ("wal-g", None))
        self.assertIn(second["id"], window["backups"])
        # Its files cannot be checked: that is said, and is no success.
        document = self.answer("repo", "check", code=3)["engines"][0]
        self.assertEqual(document["problems"], [])
        self.assertIn(second["id"], " ".join(document["not_verified"]))

        before = self.archived()
        into = self.room / "latest"
        self.answer("restore", "postgres", "--into", into)
        restored = self.start_restored(into)
        self.assertEqual(restored.psql("SELECT string_agg(n::text, ',' ORDER BY n) FROM ledger WHERE n < 10"), "1,2,3")
        self.assertEqual(restored.psql("SHOW archive_mode"), "off")
        into = self.room / "time"
        self.answer("restore", "postgres", "--into", into, "--to", after)
        self.assertEqual(self.start_restored(into).psql("SELECT string_agg(n::text, ',' ORDER BY n) FROM ledger WHERE n < 10"), "1,2")
        into = self.room / "id"
        self.answer("restore", "postgres", "--into", into, "--to", first["id"])
        self.assertEqual(self.start_restored(into).psql("SELECT count(*) FROM ledger WHERE n < 10"), "0")
        self.assertEqual(self.archived(), before)
        self.assertEqual(self.cli("restore", "postgres", "--into", into).code, 5)
        for words in (("backup", "postgres", "--type", "diff"), ("restore", "postgres", "--into", self.room / "x", "--tablespace", "1=/x")):
            self.assertEqual(self.cli(*words).code, 2)
        self.assertIn("backups", self.cli("config", "check").out)

    def test_wal_that_is_gone(self):
        whole = self.back_up("--type", "full")
        hit = self.back_up("--type", "full")
        self.commit(10)
        missing = self.server.psql(f"SELECT pg_walfile_name('{hit['details']['stop_lsn']}')")
        path = self.wal_file(missing)
        aside = self.room / path.name
        shutil.move(path, aside)
        self.addCleanup(shutil.move, aside, path)
        document = self.answer("repo", "check", code=1)["engines"][0]
        self.assertIn(hit["id"], document["hit_backups"])
        self.assertEqual(self.cli("restore", "postgres", "--into", self.room / "not", "--to", hit["id"]).code, 1)
        document = self.answer("restore", "postgres", "--into", self.room / "before")["restore"]
        self.assertEqual(document["backup"], whole["id"])

    def test_tablespaces_are_not_written_over(self):
        """backup-fetch would truncate what is at their old places, which may be a server's that runs."""
        self.back_up("--type", "full")
        place = Path(tempfile.mkdtemp(dir=self.place))
        if AS_OWNER:
            shutil.chown(place, "postgres", "postgres")
        self.server.psql(f"CREATE TABLESPACE other LOCATION '{place}'")
        self.addCleanup(self.server.psql, "DROP TABLESPACE other")
        with_one = self.back_up("--type", "full")
        self.server.psql("CREATE TABLE ours (n int) TABLESPACE other")
        self.addCleanup(self.server.psql, "DROP TABLE ours")
        into = self.room / "not"
        for words in ((), ("--dry-run",)):
            done = self.cli("restore", "postgres", "--into", into, "--to", with_one["id"], *words)
            self.assertEqual(done.code, 5, done)
            self.assertIn(str(place), done.err)
        self.assertFalse(into.exists())

    @unittest.skipIf(REAL, "a real one does not misbehave by order")
    def test_a_program_that_misbehaves_is_not_believed(self):
        self.addCleanup(self.configure)
        self.configure(misbehave="silent")
        done = self.cli("backup", "postgres")
        self.assertEqual(done.code, 4, done)
        self.assertIn("lists no new backup", done.err)
        self.configure(misbehave="unarchived")
        done = self.cli("backup", "postgres", limit="30s")
        self.assertEqual(done.code, 1, done)
        self.assertIn("cannot be restored: its WAL", done.err)
        self.configure(misbehave="garbage")
        for words in (("backup", "postgres"), ("backups", "list"), ("recovery-points",), ("repo", "check"), ("restore", "postgres", "--into", self.room / "x")):
            with self.subTest(words):
                done = self.cli(*words)
                self.assertEqual(done.code, 1, done)
                self.assertEqual(len([line for line in done.err.splitlines() if line.startswith("aeterna-dr:")]), 1, done)


if __name__ == "__main__":
    unittest.main()
