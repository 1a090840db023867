"""Runs CPython's tests of its sqlite3 module in a directory; prints what became of each as JSON.

usage: python_sqlite_tests.py DIRECTORY

Nothing is changed in the tests. Databases that they open as :memory: are files in the directory, too, one for each
connection, so that most of them use it; and their usual file name, which begins with "@test", is another one, since names
with "@" are versions in a mounted directory.
"""

import io
import itertools
import json
import os
import sqlite3
import sys
import unittest

from test.support import os_helper

os.chdir(sys.argv[1])
os_helper.TESTFN = os_helper.TESTFN.replace('@', '')
os_helper.TESTFN_UNDECODABLE = os_helper.TESTFN_UNDECODABLE.replace(b'@', b'')

numbers = itertools.count()
files = []
real_connect = sqlite3.connect


def connect(*args, **kwargs):
    database = args[0] if args else kwargs.get('database')
    if isinstance(database, str) and database == ':memory:':
        name = f'memory-{next(numbers)}'
        files.append(name)
        args, kwargs = (name, *args[1:]), {key: value for key, value in kwargs.items() if key != 'database'}
    return real_connect(*args, **kwargs)


class Outcomes(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.outcomes = {}

    def startTest(self, test):
        super().startTest(test)
        self.outcomes[test.id()] = 'passed'

    def stopTest(self, test):
        super().stopTest(test)
        for name in files:
            os_helper.unlink(name)
        files.clear()

    def add(self, test, what, detail=''):
        self.outcomes[test.id()] = f'{what}: {detail}' if detail else what

    def addError(self, test, error):
        super().addError(test, error)
        self.add(test, 'error', f'{error[0].__name__}: {error[1]}')

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.add(test, 'failure', f'{error[0].__name__}: {error[1]}')

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.add(test, 'failure', f'{subtest}: {error[0].__name__}: {error[1]}')

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.add(test, 'skipped', reason)


sqlite3.connect = connect
result = Outcomes()
stdout, sys.stdout = sys.stdout, io.StringIO()
unittest.defaultTestLoader.loadTestsFromName('test.test_sqlite3').run(result)
sys.stdout = stdout
print(json.dumps({'outcomes': result.outcomes, 'opened': next(numbers)}))
