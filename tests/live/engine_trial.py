"""What the trials of other backup programs share: a server that archives by one, our commands on it, and servers that were restored."""
import subprocess
import unittest

from servers import BIN, Server, make_place, make_room
from support import run, wait_until

SEGMENT = 24


@unittest.skipUnless((BIN / "postgres").exists(), "no PostgreSQL 15 on this machine")
class EngineTrial:
    """A class of tests gives the server (`make_server`), the stack file, and the file of a segment in the archive (`wal_file`)."""

    @classmethod
    def setUpClass(cls):
        make_place(cls)
        cls.make_server()
        cls.server.start()
        cls.addClassCleanup(cls.server.stop, "immediate")

    def setUp(self):
        make_room(self)
        self.stack = self.stack_file()

    def cli(self, *words, stack=None, prefix=(), limit="200s"):
        return run("--stack", stack or self.stack, "--timeout", limit, *words, timeout=250, prefix=prefix,
                   env={"STATE_DIRECTORY": str(self.room / "state")})

    def answer(self, *words, code=0, **options):
        done = self.cli("--json", *words, **options)
        self.assertEqual(done.code, code, done)
        return done.json()

    def back_up(self, *words, **options):
        return self.answer("backup", "postgres", *words, **options)["backup"]

    def commit(self, number):
        """In the archive when it returns; the instant after it."""
        self.server.psql(f"INSERT INTO ledger VALUES ({number})")
        after = self.server.psql("SELECT clock_timestamp() AT TIME ZONE 'UTC'")
        segment = self.server.psql("SELECT pg_walfile_name(pg_switch_wal())")
        wait_until(segment, lambda: self.server.psql("SELECT last_archived_wal FROM pg_stat_archiver")[:SEGMENT] >= segment, 60)
        return after.replace(" ", "T") + "Z"

    def restored_server(self, into):
        restored = Server(self.place, into.name, self.host)
        restored.data = into
        self.addCleanup(restored.stop, "immediate")
        return restored

    def start_restored(self, into):
        restored = self.restored_server(into)
        restored.start()
        wait_until("the promotion", lambda: restored.psql("SELECT pg_is_in_recovery()") == "f", 60)
        return restored

    def test_an_error_of_the_archive_is_no_end_of_wal(self):
        """Otherwise a server without a target would promote on what it has, and call it the newest state."""
        self.back_up("--type", "full")
        self.server.psql("INSERT INTO ledger VALUES (19)")  # at the very beginning of a segment its predecessor would be named
        segment = self.server.psql("SELECT pg_walfile_name(pg_current_wal_lsn())")
        self.commit(20)
        into = self.room / "cut"
        self.answer("restore", "postgres", "--into", into)
        path = self.wal_file(segment)
        mode = path.stat().st_mode
        path.chmod(0)
        try:
            with self.assertRaises(subprocess.CalledProcessError):
                self.restored_server(into).start()
        finally:
            path.chmod(mode)
        self.assertNotIn("archive recovery complete", (self.place / "cut.log").read_text())
        self.assertEqual(self.start_restored(into).psql("SELECT count(*) FROM ledger WHERE n = 20"), "1")
