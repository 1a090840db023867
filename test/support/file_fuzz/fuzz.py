# Random file operations in a mounted directory, each compared with a local directory (model.py).
# Arguments: mounted directory, directory for the local side, seed, operations. Between rounds it prints "remount" or "kill"
# and goes on when told so by a line; at the end "done" and a count of each operation. A difference ends it with status 1.
import os
import sys

import system
from descriptors import DescriptorOperations
from names import NameOperations
from session import PROCESSES, Difference


class Fuzz(NameOperations, DescriptorOperations):
    # How often each is chosen.
    OPERATIONS = {
        "open": 14, "close": 7, "read": 14, "write": 18, "ftruncate": 4, "truncate": 2, "sync": 4, "seek": 4, "fstat": 6,
        "stat": 4, "whole": 3, "rename": 4, "unlink": 3, "list": 2, "refused": 1, "never": 1, "fallocate": 1, "map": 4,
        "copy": 3, "dup": 2, "die": 0.5,
    }

    def run(self, count):
        for _ in range(count):
            (name,) = self.random.choices(list(self.OPERATIONS), list(self.OPERATIONS.values()))
            self.counts[name] += 1
            getattr(self, "op_" + name)()
        self.check()

    def check(self):
        """Contents for who has nothing open."""
        self.note("check")
        outsider = system.Process()
        self.expect("list", outsider.call("list", self.mount), system.call("list", self.names))
        for name in sorted(self.files):
            got = outsider.call("whole", self.at(name))
            self.expect("content of %r" % name, got, system.call("whole", self.locally(name)))
        outsider.kill()

    def close_all(self):
        while self.descriptors:
            self.close(self.chosen(self.descriptors))

    def remount(self):
        self.close_all()
        self.tell("remount")
        self.forget_empty()
        self.check()

    def kill(self):
        """SIGKILL of the daemon: what was not committed is gone, and so is an empty file that was never closed or synced."""
        self.tell("kill")
        for process in range(PROCESSES):
            self.processes[process].kill()
            self.processes[process] = system.Process()
        for descriptor in self.descriptors:
            os.close(descriptor.local)
        self.descriptors.clear()
        for file in self.files.values():
            file.creator = file.writer = None
        self.forget_empty()
        self.check()

    def forget_empty(self):
        """What was only opened, as SQLite makes files, need not outlive the daemon."""
        got = self.processes[0].call("list", self.mount)
        for name, file in list(self.files.items()):
            if len(file.versions) == 1 and not file.made and os.fsencode(name) not in got[1]:
                del self.files[name]
                os.unlink(self.locally(name))

    def tell(self, what):
        print(what, flush=True)
        if sys.stdin.readline().strip() != "go":
            raise Difference("the test has ended")


def main():
    mount, local, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    fuzz = Fuzz(mount, local, seed)
    rounds = 8
    try:
        for round_ in range(rounds):
            fuzz.run(count // rounds)
            if round_ % 2 == 0:
                fuzz.remount()
            else:
                fuzz.kill()
    except Difference as difference:
        print("\n".join(fuzz.log), file=sys.stderr)
        print("DIFFERENCE %s" % difference, file=sys.stderr)
        sys.exit(1)
    print("done %s" % dict(fuzz.counts), flush=True)


main()
