"""All scenarios of the simulation's models on real servers; test_scenarios.py plays the short ones."""
import unittest

import scenarios
from support import Lab


class ScenarioTest(scenarios.ScenarioCase):
    def play_all(self, store, modes, *options):
        lab = Lab(*options)
        self.addCleanup(lab.remove)
        for name, scenario in scenarios.load().items():
            if scenario.get("store", "postgres") == store and scenario["mode"] in modes:
                with self.subTest(scenario=name):
                    self.play(lab, name, scenario)

    def test_asynchronous(self):
        self.play_all("postgres", ["asynchronous", "failsafe"])

    def test_synchronous(self):
        self.play_all("postgres", ["synchronous"], "--sync")

    def test_redis(self):
        self.play_all("redis", ["with AOF", "without persistence"])


if __name__ == "__main__":
    unittest.main()
