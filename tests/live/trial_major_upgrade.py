"""A cluster that moved to another major version, and so is a new cluster under its old name: capture asks before it begins a second
history, backups and WAL of both stay apart, and a time picks the cluster that it belongs to.

Needs the programs of another version: scripts/fetch-other-postgres DIR, then AETERNA_DR_OTHER_POSTGRES=DIR."""
import os
import subprocess
import unittest
from pathlib import Path

import capturing
from capturing import AS_SERVER, as_server
from restoring import RestoringTest

OTHER = Path(os.environ.get("AETERNA_DR_OTHER_POSTGRES", "/nowhere"))
IS_USABLE = (OTHER / "bin/postgres").exists() and subprocess.run(
    [*AS_SERVER, OTHER / "bin/postgres", "-V"], capture_output=True, cwd="/").returncode == 0


@unittest.skipUnless(IS_USABLE, "no other PostgreSQL: scripts/fetch-other-postgres DIR, AETERNA_DR_OTHER_POSTGRES=DIR")
class MajorUpgradeTest(RestoringTest):
    def binaries(self, server):
        return super().binaries(server) if (server.data / "PG_VERSION").read_text().strip() == "15" else OTHER / "bin"

    def move_to_the_other_version(self):
        new = self.make_server("upgraded")
        done = as_server(OTHER / "bin/initdb", "-D", new.data, "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C")
        self.assertEqual(done.code, 0, done)
        with open(new.data / "pg_hba.conf", "a") as file:
            file.write("host all,replication all 127.0.0.0/8 trust\n")
        new.options = self.primary.options
        self.start(new)
        dump = as_server(capturing.BINARIES / "pg_dump", "-d", self.primary.dsn())
        self.assertEqual(dump.code, 0, dump)
        sql = self.room / "all.sql"
        sql.write_text(dump.out)
        done = as_server(capturing.BINARIES / "psql", "-qX", "-v", "ON_ERROR_STOP=1", "-d", new.dsn(), "-f", sql)
        self.assertEqual(done.code, 0, done)
        self.primary.stop("fast")
        self.primary = new
        self.write_stack(new)

    def test_both_histories_can_be_had(self):
        old_version = self.primary.one("SHOW server_version")
        self.watch()
        self.back_up()
        self.pass_checkpoint_time()
        of_the_old = self.write_around_a_time(1)
        self.await_durable(self.primary)
        self.end_watch()
        self.move_to_the_other_version()
        self.watch_the_new_cluster()
        of_the_new = self.write_around_a_time(3)
        self.await_durable(self.primary)
        clusters = {point["cluster"] for point in self.recovery_points()}
        self.assertEqual(len(clusters), 2)
        server, plan = self.restore("latest")
        self.assertEqual(server.rows(), {1, 2, 3, 4})
        server.stop()
        self.assertEqual(self.rows_at(of_the_new), {1, 2, 3})
        server, plan = self.restore(of_the_old)
        self.assertEqual(server.rows(), {1})
        self.assertEqual(server.one("SHOW server_version"), old_version)
        self.assertIn("newer backups are of another one", " ".join(plan["notes"]))
        server.stop()
        old, = clusters - {self.primary.one("SELECT system_identifier::text FROM pg_control_system()")}
        self.assertEqual(self.rows_at("latest", "--cluster", old), {1, 2})
        self.assert_refused(1, "no base backup of the cluster '77'", "latest", "--cluster", "77")
        # Programs of another version are never tried.
        done = self.cli("restore-test", "postgres", "--work", self.room / "w")
        self.assertEqual(done.code, 2, done)
        self.assertIn("no programs of PostgreSQL 16", done.err)
        done = self.cli("restore-test", "postgres", "--work", self.room / "w", "--server-bin", capturing.BINARIES)
        self.assertEqual(done.code, 2, done)
        self.assertIn("has PostgreSQL 15, the backup is of 16", done.err)
        done = self.cli("restore-test", "postgres", "--work", self.room / "w", "--to", of_the_old)
        self.assertEqual(done.code, 0, done)


if __name__ == "__main__":
    unittest.main()
