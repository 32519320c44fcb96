#!/usr/bin/python3
"""Runs every test and ends with one line: N passed, N failed, N skipped.

    tests/run.py [--unit] [--live] [--trials] [NAME…]

Unit tests are the GoogleTest programs in build/release/tests; live tests are tests/live/test_*.py, each on real
servers. Trials are tests/live/trial_*.py: live tests that have not yet passed 20 times in a row with both cores busy;
they run only when they are asked for. NAME keeps only programs and files whose name contains it. A skip has to be listed in
tests/allowed_skips.txt; with CI=true an unlisted one is a failure.
"""
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = ROOT / "build" / "release" / "tests"


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def close(self):
        allowed = [line.split("#")[0].strip() for line in (ROOT / "tests" / "allowed_skips.txt").read_text().splitlines()]
        allowed = [name for name in allowed if name]
        for name, reason in self.skipped:
            print(f"skipped: {name}: {reason}")
            if os.environ.get("CI") == "true" and not any(name.startswith(entry) for entry in allowed):
                self.failed.append(f"{name} (a skip that tests/allowed_skips.txt does not list)")
        for name in self.failed:
            print(f"FAILED: {name}")
        print(f"{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped", flush=True)
        return 1 if self.failed or self.passed == 0 else 0


def skip_reason(output, case):
    """What GTEST_SKIP said; it is in the printed output only."""
    found = re.search(rf"\[ RUN      \] {re.escape(case)}\n.*: Skipped\n(.*)", output)
    return found.group(1).strip() if found else "no reason given"


def build_s3_server(names):
    """The S3 suite's real server, once; without Go the suite says that it was skipped."""
    if names and not any(name in "storage_contract_test storage_fault_test" for name in names):
        return
    try:
        subprocess.run([ROOT / "scripts" / "build-versitygw"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       timeout=1800, check=False)
    except subprocess.TimeoutExpired:
        print("build-versitygw did not end within 1800 s")


def check_names(tally):
    """Names that a Python file uses and has not, in files that no test of this run may come by: benches and trials."""
    files = [file for place in ("tests", "bench") for file in sorted((ROOT / place).rglob("*.py"))]
    done = subprocess.run([sys.executable, "-m", "pyflakes", *files], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=300, check=False)
    if done.returncode == 0:
        tally.passed += 1
        return
    print(done.stdout, done.stderr)
    tally.failed.append("pyflakes")


def run_unit(names, tally):
    if not names:
        check_names(tally)
    build_s3_server(names)
    # What is configured now, not what was ever built.
    known = subprocess.run(["ctest", "--show-only=json-v1"], cwd=PROGRAMS.parent, capture_output=True, text=True)
    programs = sorted(Path(test["command"][0]) for test in json.loads(known.stdout)["tests"])
    for program in programs:
        if names and not any(name in program.name for name in names):
            continue
        with tempfile.NamedTemporaryFile(suffix=".json") as report:
            begin = time.monotonic()
            try:
                done = subprocess.run([program, f"--gtest_output=json:{report.name}"], capture_output=True, text=True,
                                      stdin=subprocess.DEVNULL, timeout=600, cwd=ROOT)
            except subprocess.TimeoutExpired:
                tally.failed.append(f"{program.name} (did not end within 600 s)")
                continue
            try:
                result = json.loads(Path(report.name).read_text())
            except ValueError:
                result = None
        if result is None:
            print(done.stdout[-4000:], done.stderr[-4000:])
            tally.failed.append(f"{program.name} (ended with {done.returncode})")
            continue
        failures = 0
        for suite in result["testsuites"]:
            for case in suite["testsuite"]:
                name = f"{program.name}:{suite['name']}.{case['name']}"
                if case.get("failures"):
                    failures += 1
                    tally.failed.append(name)
                    for failure in case["failures"]:
                        print(f"{name}: {failure['failure']}")
                elif case.get("result") == "SKIPPED":
                    tally.skipped.append((name, skip_reason(done.stdout, f"{suite['name']}.{case['name']}")))
                else:
                    tally.passed += 1
        if done.returncode != 0 and failures == 0:
            tally.failed.append(f"{program.name} (ended with {done.returncode})")
        print(f"{program.name}: {result['tests']} tests, {failures} failed, {time.monotonic() - begin:.1f} s", flush=True)


class LiveResult(unittest.TextTestResult):
    """Prints each test with its seconds, and counts into the tally."""
    tally = None

    def startTest(self, test):
        self.begin = time.monotonic()
        print(f"live {test.id()} …", flush=True)
        super().startTest(test)

    def stopTest(self, test):
        print(f"     {time.monotonic() - self.begin:.1f} s", flush=True)
        super().stopTest(test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.tally.passed += 1

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tally.failed.append(test.id())

    def addError(self, test, err):
        super().addError(test, err)
        self.tally.failed.append(test.id())

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.tally.failed.append(subtest.id())

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.tally.skipped.append((test.id(), reason))


def run_live(names, tally, pattern="test_*.py"):
    sys.path.insert(0, str(ROOT / "tests" / "live"))
    LiveResult.tally = tally
    for file in sorted((ROOT / "tests" / "live").glob(pattern)):
        if names and not any(name in file.name for name in names):
            continue
        suite = unittest.defaultTestLoader.loadTestsFromName(file.stem)
        before = len(tally.failed)
        result = unittest.TextTestRunner(stream=sys.stdout, verbosity=0, resultclass=LiveResult).run(suite)
        if not result.wasSuccessful() and len(tally.failed) == before:
            tally.failed.append(file.name)


def main():
    # Ends through Python, so that labs are taken down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unit", action="store_true", help="only the unit tests")
    parser.add_argument("--live", action="store_true", help="only the live tests")
    parser.add_argument("--trials", action="store_true", help="only the trials")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    both = options.unit == options.live and not options.trials
    tally = Tally()
    if both or options.unit:
        run_unit(options.names, tally)
    if both or options.live:
        run_live(options.names, tally)
    if options.trials:
        run_live(options.names, tally, "trial_*.py")
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
