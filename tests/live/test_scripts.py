"""What the scripts promise: where quickstart's lab lands, what a killed installation leaves, that every mutation fits."""
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


class ScriptsTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="aeterna-dr-test-", dir="/var/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.clone = self.folder / "clone"

    def test_a_relative_directory_starts_where_quickstart_was_called(self):
        (self.clone / "scripts").mkdir(parents=True)
        shutil.copy(ROOT / "quickstart", self.clone)
        write_program(self.clone / "scripts/install-packages", "exit 0\n")
        write_program(self.clone / "scripts/build", "exit 0\n")
        called = self.folder / "called"
        write_program(self.clone / "build/release/bin/aeterna-dr", f'echo "$@" >> {called}\n')
        place = self.folder / "elsewhere"
        place.mkdir()
        for given, meant in (("mine", place / "mine"), (str(self.folder / "far"), self.folder / "far")):
            called.unlink(missing_ok=True)
            subprocess.run([self.clone / "quickstart", "--dir", given], cwd=place, check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            self.assertEqual(called.read_text().splitlines()[0], f"lab up --dir {meant}")

    def install(self, user_id):
        """A copy whose paths lie in our folder, on a machine that has every package."""
        text = (ROOT / "scripts" / "install-packages").read_text()
        text = text.replace("/usr/sbin/policy-rc.d", f"{self.folder}/policy-rc.d")
        text = text.replace("/etc/postgresql-common/createcluster.d", f"{self.folder}/createcluster.d")
        script = self.clone / "scripts" / "install-packages"
        script.parent.mkdir(parents=True, exist_ok=True)
        script.write_text(text)
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        shutil.copy(ROOT / "scripts" / "packages.txt", script.parent)
        programs = self.folder / "programs"
        write_program(programs / "dpkg-query", "printf installed\n")
        write_program(programs / "id", f"echo {user_id}\n")
        write_program(programs / "sudo", "exit 1\n")
        return subprocess.run(["bash", script, "build"], capture_output=True, text=True,
                              env={"PATH": f"{programs}:{os.environ['PATH']}"})

    def leave_behind(self):
        (self.folder / "createcluster.d").mkdir()
        (self.folder / "createcluster.d" / "aeterna-dr.conf").write_text("create_main_cluster = false\n")
        write_program(self.folder / "policy-rc.d", "# aeterna-dr: only while packages are being installed\nexit 101\n")
        (self.folder / "policy-rc.d.before-aeterna-dr").write_text("the machine's own\n")

    def test_root_takes_back_what_a_killed_run_left(self):
        self.leave_behind()
        done = self.install(0)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.folder / "policy-rc.d").read_text(), "the machine's own\n")
        self.assertFalse((self.folder / "policy-rc.d.before-aeterna-dr").exists())
        self.assertEqual(list((self.folder / "createcluster.d").iterdir()), [])

    def test_an_ordinary_user_is_told_of_it(self):
        self.leave_behind()
        done = self.install(1000)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("an earlier run was killed and left", done.stderr)
        self.assertIn("as root, run:", done.stderr)

    def test_on_a_whole_machine_it_is_silent(self):
        for user in (0, 1000):
            done = self.install(user)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    # A mutation whose place has moved would be taken out of nothing, or stop the whole run, as two do that overlap.
    def test_every_mutation_still_finds_its_place(self):
        sys.path.insert(0, str(ROOT / "bench"))
        self.addCleanup(sys.path.remove, str(ROOT / "bench"))
        import mutations
        listed = mutations.load_list().MUTATIONS
        for file in sorted({mutation[1] for mutation in listed}):
            with self.subTest(file):
                text = mutations.mutate((ROOT / file).read_text(), [mutation for mutation in listed if mutation[1] == file])
                self.assertIn("aeterna_mutant", text)


if __name__ == "__main__":
    unittest.main()
