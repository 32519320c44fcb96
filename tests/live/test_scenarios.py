"""The short ones of the scenarios that the simulation's models are checked by, on real servers; trial_scenarios.py plays all."""
import unittest

import scenarios
from support import shared_lab


class ScenarioTest(scenarios.ScenarioCase):
    def test_the_servers_answer_as_the_models_do(self):
        for name, scenario in scenarios.load("stall", "node_killed", "redis_forced_dead", "redis_restarted_empty").items():
            with self.subTest(scenario=name):
                self.play(shared_lab(), name, scenario)


if __name__ == "__main__":
    unittest.main()
