"""The smoke run of an ordinary user: a whole lab, its status, its end, without any privilege."""
import os
import subprocess
import unittest

from support import PROGRAM, Lab, processes_of

NOBODY_ELSE = 64737  # a user who has no lab at the default place


class OrdinaryUserTest(unittest.TestCase):
    def test_lab_status_and_down(self):
        lab = Lab()
        if os.geteuid() == 0:
            lab.prefix = ("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "env",
                          f"HOME={lab.base}")
            os.chown(lab.base, 65534, 65534)
        self.addCleanup(lab.remove)
        lab.up()
        status = lab.status()
        self.assertTrue(status["healthy"], status)
        for node in lab.lab_status()["nodes"]:
            self.assertNotEqual(os.stat(f"/proc/{node['pid']}").st_uid, 0, node["name"])
        done = lab.down()
        self.assertEqual(done.code, 0, done)
        self.assertEqual(processes_of(lab.directory), [])

    @unittest.skipIf(os.geteuid() != 0, "the default place would be one's own")
    def test_down_names_the_default_place(self):
        done = subprocess.run(["setpriv", "--reuid", str(NOBODY_ELSE), "--regid", "nogroup", "--clear-groups", PROGRAM,
                               "lab", "down"], capture_output=True, text=True, cwd="/")
        self.assertEqual(done.returncode, 0, done)
        self.assertIn(f"no lab in /var/tmp/aeterna-dr-{NOBODY_ELSE}/lab;", done.stdout)


if __name__ == "__main__":
    unittest.main()
