"""The smoke run of an ordinary user: a whole lab, its status, its end, without any privilege."""
import os
import unittest

from support import Lab, processes_of


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


if __name__ == "__main__":
    unittest.main()
