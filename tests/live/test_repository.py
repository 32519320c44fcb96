"""The backup repository through its commands: killed at any moment, beside another process, on a full disk, read-only,
with a wrong key, copied, and opened by its escrow alone."""
import filecmp
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from support import PROGRAM, damage, run

KILLS = 6


def make_tree(root, seed, megabytes=24):
    """A few large files, many small ones, a database file of pages, links, an empty directory."""
    chance = random.Random(seed)
    (root / "many").mkdir(parents=True)
    (root / "empty").mkdir()
    for i in range(400):
        (root / "many" / f"{i:04}.conf").write_bytes(chance.randbytes(chance.randrange(1, 4000)))
    for i in range(megabytes // 4):
        (root / f"large-{i}").write_bytes(chance.randbytes(4 << 20))
    pages = bytearray()
    for i in range(600):
        pages += bytes(10) + (0).to_bytes(2, "little") + (28).to_bytes(2, "little") + (8000).to_bytes(2, "little") \
            + (8192).to_bytes(2, "little") + (8196).to_bytes(2, "little") + bytes(4) + chance.randbytes(4084) + bytes(4084)
    (root / "table").write_bytes(pages)
    (root / "link").symlink_to("large-0")


def change_tree(root, seed):
    chance = random.Random(seed)
    with open(root / "table", "r+b") as file:
        for _ in range(5):
            file.seek(chance.randrange(600) * 8192 + 200)
            file.write(chance.randbytes(500))
    (root / f"large-{chance.randrange(4)}").write_bytes(chance.randbytes(4 << 20))
    (root / "many" / f"{chance.randrange(400):04}.conf").write_bytes(chance.randbytes(3000))


def differences(left, right):
    """What differs in names, kinds or content, as lines."""
    found = []

    def compare(one, other, below):
        names = sorted(os.listdir(one))
        if names != sorted(os.listdir(other)):
            found.append(f"{below}: {sorted(set(names) ^ set(os.listdir(other)))}")
            return
        for name in names:
            a, b = one / name, other / name
            if a.is_symlink():
                if not b.is_symlink() or os.readlink(a) != os.readlink(b):
                    found.append(f"{below}/{name}: link")
            elif a.is_dir():
                compare(a, b, f"{below}/{name}")
            elif not filecmp.cmp(a, b, shallow=False):
                found.append(f"{below}/{name}: content")

    compare(left, right, "")
    return found


class RepositoryTest(unittest.TestCase):
    def setUp(self):
        self.place = Path(tempfile.mkdtemp(prefix="aeterna-dr-test-", dir="/var/tmp"))
        self.addCleanup(shutil.rmtree, self.place, ignore_errors=True)
        self.repo, self.key, self.tree = self.place / "repo", self.place / "key", self.place / "tree"
        self.environment = {"STATE_DIRECTORY": str(self.place / "state")}
        make_tree(self.tree, 1)
        self.assertEqual(self.cli("repo", "init").code, 0)

    def arguments(self, *words, repo=None):
        return ["--repo", repo or self.repo, "--key-file", self.key, *words]

    def cli(self, *words, repo=None, prefix=()):
        return run(*self.arguments(*words, repo=repo), env=self.environment, prefix=prefix)

    def back_up(self, repo=None, prefix=()):
        return self.cli("--json", "backup", "files", "--from", self.tree, "--name", "data", repo=repo, prefix=prefix)

    def restored_differences(self, backup="latest", repo=None):
        into = self.place / "out"
        shutil.rmtree(into, ignore_errors=True)
        done = self.cli("restore", "files", backup, "--into", into, repo=repo)
        self.assertEqual(done.code, 0, done)
        return differences(self.tree, into)

    def assert_well(self, repo=None):
        done = self.cli("repo", "check", "--read-data", repo=repo)
        self.assertEqual(done.code, 0, done)

    def kill_during(self, words, longest, chance):
        """SIGKILL at a random moment of the command's life; whether it was still alive, and how long it had been."""
        begin = time.monotonic()
        process = subprocess.Popen([str(PROGRAM), *map(str, self.arguments(*words))], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                   env=dict(os.environ, **self.environment))
        try:
            process.wait(chance.uniform(0, longest))
        except subprocess.TimeoutExpired:
            pass
        process.kill()
        return process.wait() < 0, time.monotonic() - begin

    def seconds_of(self, *words):
        begin = time.monotonic()
        self.assertIn(self.cli(*words).code, (0,))
        return time.monotonic() - begin

    def test_killed_at_any_moment_it_loses_nothing(self):
        chance = random.Random(4)
        backup = ("backup", "files", "--from", self.tree, "--name", "data")
        copy = self.place / "copy"
        longest = dict.fromkeys(("backup", "prune", "copy"), self.seconds_of(*backup))
        killed = 0

        def kill(which, words):
            nonlocal killed
            was_alive, seconds = self.kill_during(words, longest[which], chance)
            killed += was_alive
            if not was_alive:  # however long the first one took, on whatever machine
                longest[which] = 0.75 * min(longest[which], seconds)
        for i in range(KILLS):
            change_tree(self.tree, i)
            kill("backup", backup)
            self.assert_well()
            self.assertEqual(self.back_up().code, 0)
            self.assertEqual(self.restored_differences(), [])
            kill("prune", ("repo", "prune", "--keep-last", "2"))
            # The next one goes on with what this one has begun: when it counts as dead.
            for session in (self.repo / "sessions").iterdir():
                os.utime(session, (time.time() - 3600,) * 2)
            self.assert_well()
            kill("copy", ("repo", "copy", "--to", copy))
            self.assertEqual(self.restored_differences(), [])
        self.assertGreater(killed, KILLS, "most of them ended before they were killed")
        done = self.cli("repo", "copy", "--to", copy)
        self.assertEqual(done.code, 0, done)
        self.assert_well(copy)
        self.assertEqual(self.restored_differences(repo=copy), [])

    def test_a_restore_that_was_killed_goes_on(self):
        self.assertEqual(self.back_up().code, 0)
        chance = random.Random(5)
        into = self.place / "restored"
        for _ in range(4):
            if not self.kill_during(("restore", "files", "latest", "--into", into), 0.15, chance)[0]:
                break  # it was done
        else:
            # Killed when nothing but its own end was left to do.
            is_done = into.exists() and any(into.iterdir()) and not (into / ".aeterna-dr-restore").exists()
            done = self.cli("restore", "files", "latest", "--into", into)
            self.assertEqual(done.code, 5 if is_done else 0, done)
        self.assertEqual(differences(self.tree, into), [])

    def test_two_writers_and_a_prune_at_once(self):
        self.assertEqual(self.back_up().code, 0)
        change_tree(self.tree, 1)
        commands = [("backup", "files", "--from", self.tree, "--name", "data"),
                    ("backup", "files", "--from", self.tree, "--name", "other"),
                    ("repo", "prune", "--keep-last", "1")]
        processes = [subprocess.Popen([str(PROGRAM), *map(str, self.arguments(*words))], stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, env=dict(os.environ, **self.environment))
                     for words in commands]
        for process in processes:
            said = process.communicate(timeout=120)[0]
            self.assertEqual(process.returncode, 0, said)
        self.assert_well()
        self.assertEqual(self.restored_differences(), [])

    def test_of_two_inits_one_wins(self):
        repo = self.place / "both"
        processes = []
        for name in "ab":
            key = self.place / f"key-{name}"
            processes.append(subprocess.Popen([str(PROGRAM), "--repo", str(repo), "--key-file", str(key), "repo", "init"],
                                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                              env=dict(os.environ, **self.environment)))
        said = [process.communicate(timeout=60)[0] for process in processes]
        codes = [process.returncode for process in processes]
        self.assertEqual(codes.count(0), 1, said)
        self.key = self.place / f"key-{'ab'[codes.index(0)]}"
        self.assertEqual(self.cli("backups", "list", repo=repo).code, 0)

    def test_bad_input_gets_its_exit_code_and_one_line(self):
        self.assertEqual(self.back_up().code, 0)
        good, self.key = self.key, self.place / "other-key"
        self.assertEqual(self.cli("repo", "init", repo=self.place / "other").code, 0)
        wrong = self.cli("backups", "list")
        self.assertEqual(wrong.code, 12, wrong)
        self.assertNotIn("damaged", wrong.err)
        self.key.write_text("a passphrase\n")
        self.assertEqual(self.cli("backups", "list").code, 12)
        self.key = good
        self.assertEqual(self.cli("backups", "list", repo=self.place / "nothing").code, 10)
        self.assertEqual(self.cli("repo", "copy", "--to", self.place / "other").code, 5)
        config = json.loads((self.repo / "config").read_text())
        (self.repo / "config").write_text(json.dumps({**config, "version": 2}))
        newer = self.cli("backups", "list")
        self.assertEqual(newer.code, 2, newer)
        self.assertIn("version 2", newer.err)
        (self.repo / "config").write_text(json.dumps(config))
        damage(self.repo)
        found = self.cli("--json", "repo", "check", "--read-data")
        self.assertNotEqual(found.code, 0)
        self.assertEqual(len(found.json()["check"]["hit_backups"]), 1)
        self.assertGreater(found.json()["check"]["noted_entries"], 0)
        # The next backup has it at hand, and the old one is whole again.
        self.assertEqual(self.back_up().code, 0)
        self.assert_well()
        self.assertEqual(self.restored_differences(), [])

    @unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
    def test_a_full_disk_and_a_read_only_place(self):
        self.assertEqual(self.back_up().code, 0)
        small, full = self.place / "small", self.place / "full"
        small.mkdir()
        script = self.place / "on-small"
        script.write_text(f"""#!/bin/sh
set -e
mount -t tmpfs -o size=8m tmpfs {small}
program=$1; shift
"$program" --repo {small}/repo --key-file {full} repo init > /dev/null 2>&1
mkdir {self.place}/little
echo little > {self.place}/little/file
"$program" --repo {small}/repo --key-file {full} backup files --from {self.place}/little --name little > /dev/null
set +e
"$program" "$@"
code=$?
set -e
"$program" --repo {small}/repo --key-file {full} repo check --read-data
"$program" --repo {small}/repo --key-file {full} restore files latest --into {self.place}/little-out
cmp {self.place}/little/file {self.place}/little-out/file
exit $code
""")
        script.chmod(0o755)
        done = run("--repo", small / "repo", "--key-file", full, "backup", "files", "--from", self.tree, "--name", "data",
                   env=self.environment, prefix=["unshare", "-m", str(script)])
        self.assertEqual(done.code, 1, done)
        self.assertIn("no space", done.err.lower())
        self.assertIn("all is well", done.out)
        script.write_text(f"""#!/bin/sh
set -e
mount --bind {self.repo} {self.repo}
mount -o remount,ro,bind {self.repo}
exec "$@"
""")
        self.assertEqual(self.cli("restore", "files", "latest", "--into", self.place / "from-ro",
                                  prefix=["unshare", "-m", str(script)]).code, 0)
        self.assertEqual(differences(self.tree, self.place / "from-ro"), [])
        refused = self.back_up(prefix=["unshare", "-m", str(script)])
        self.assertEqual(refused.code, 1, refused)
        self.assertIn("read-only", refused.err.lower())

    def test_an_empty_machine_needs_the_escrow_and_the_storage_alone(self):
        self.assertEqual(self.back_up().code, 0)
        escrow = self.place / "escrow"
        done = self.cli("repo", "key", "escrow", "--out", escrow)
        self.assertEqual(done.code, 0, done)
        self.assertEqual(escrow.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.cli("repo", "key", "escrow", "--out", escrow).code, 1, "it replaced a file")
        self.key.unlink()
        shutil.rmtree(self.repo / "keys")
        shutil.rmtree(self.place / "state")
        into = self.place / "rescued"
        done = run("--key-file", escrow, "restore", "files", "latest", "--into", into, env=self.environment)
        self.assertEqual(done.code, 0, done)
        self.assertEqual(differences(self.tree, into), [])

    def test_the_stack_file_names_place_and_key(self):
        stack = self.place / "stack.yaml"
        stack.write_text(f"name: small\nrepository: {{place: {self.repo}, key_file: {self.key}}}\n"
                         "stores:\n  qdrant:\n    nodes: [{name: qdrant-1, url: 'http://127.0.0.1:1'}]\n")
        done = run("--stack", stack, "backups", "list", env=self.environment)
        self.assertEqual(done.code, 0, done)
        nothing = run("backups", "list", env={**self.environment, "AETERNA_DR_STACK": ""})
        self.assertEqual(nothing.code, 2, nothing)
        self.assertIn("repository", nothing.err)


if __name__ == "__main__":
    unittest.main()
