# SPDX-License-Identifier: BSD-2-Clause
"""python_verdicts.py FILE MODULE: runs a test module of CPython and writes "OK|FAIL|SKIP TEST" lines to FILE."""

import sys
import unittest

from test import support


class Verdicts(unittest.TestResult):
    """Writes each verdict as it comes, so that a process that dies names the test that it died in."""

    def __init__(self, file):
        super().__init__()
        self.file = file

    def tell(self, verdict, test):
        print(verdict, test.id(), file=self.file, flush=True)

    def startTest(self, test):
        super().startTest(test)
        self.failed = False
        self.tell("RUN", test)

    def stopTest(self, test):
        # Here and not in addFailure: a subtest that fails does not end its test.
        if self.failed:
            self.tell("FAIL", test)
        super().stopTest(test)

    def wrong(self, test, error):
        self.failed = True
        print("FAIL", test.id(), self._exc_info_to_string(error, test), file=sys.stderr, flush=True)

    def addError(self, test, error):
        if not isinstance(test, unittest.TestCase):
            # setUpClass and its like: there is no startTest.
            self.tell("FAIL", test)
        self.wrong(test, error)

    addFailure = wrong

    def addSubTest(self, test, subtest, error):
        if error:
            self.wrong(test, error)

    def addSuccess(self, test):
        if not self.failed:
            self.tell("OK", test)

    def addExpectedFailure(self, test, error):
        self.tell("OK", test)

    def addSkip(self, test, reason):
        self.tell("SKIP", test)


support.verbose = 0
support.use_resources = ["network"]
# The time that a test waits for what must come, on a machine that does something else as well.
support.SHORT_TIMEOUT = support.LOOPBACK_TIMEOUT = 60.0
with open(sys.argv[1], "w") as file:
    unittest.defaultTestLoader.loadTestsFromName(sys.argv[2]).run(Verdicts(file))
