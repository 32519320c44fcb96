"""The assisted failover beside the present Patroni: what is shown with Debian's one, again."""
import functools
import subprocess
import unittest

import test_assist_postgres
import trial_candidate
import trial_refusals
from support import ROOT


@functools.cache
def program():
    return subprocess.run([ROOT / "scripts" / "install-patroni4"], check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                          text=True).stdout.strip()


class BesidePatroni4:
    @classmethod
    def options(cls):
        return [*super().options(), "--patroni", program()]


class AsynchronousTest(BesidePatroni4, test_assist_postgres.AsynchronousTest):
    pass


class SynchronousTest(BesidePatroni4, test_assist_postgres.SynchronousTest):
    pass


class RefusalTest(BesidePatroni4, trial_refusals.RefusalTest):
    pass


class SynchronousRefusalTest(BesidePatroni4, trial_refusals.SynchronousRefusalTest):
    pass


class CandidateTest(BesidePatroni4, trial_candidate.CandidateTest):
    pass


if __name__ == "__main__":
    unittest.main()
