# Names of a mounted directory that stay are listed exactly once, however many others come and go meanwhile.
# Arguments: directory, names that stay, listings. Prints how many listings were looked at.
import ctypes
import multiprocessing
import os
import random
import sys
from collections import Counter

libc = ctypes.CDLL(None, use_errno=True)
BUFFER_BYTES = 1024


def listed(directory):
    """As getdents64(2) has it, in small pieces, so that the directory changes between them."""
    buffer = ctypes.create_string_buffer(BUFFER_BYTES)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        while (count := libc.syscall(217 if os.uname().machine == "x86_64" else 61, fd, buffer, BUFFER_BYTES)) > 0:
            at = 0
            while at < count:
                length = int.from_bytes(buffer.raw[at + 16 : at + 18], "little")
                yield buffer.raw[at + 19 : at + length].split(b"\0")[0].decode()
                at += length
        if count < 0:
            raise OSError(ctypes.get_errno(), "getdents64")
    finally:
        os.close(fd)


def churn(directory, number):
    chance = random.Random(number)
    while True:
        name = "churn-%d-%d" % (number, chance.randrange(20))
        path = os.path.join(directory, name)
        if os.path.lexists(path):
            if chance.random() < 0.5:
                os.unlink(path)
            else:
                os.rename(path, os.path.join(directory, "churn-%d-%d" % (number, chance.randrange(20))))
        else:
            with open(path, "wb") as file:
                file.write(b"x" * chance.randrange(3))


def main():
    directory, staying, listings = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    stay = {"stay-%d" % number for number in range(staying)}
    for name in stay:
        with open(os.path.join(directory, name), "wb") as file:
            file.write(b"x")
    churners = [multiprocessing.Process(target=churn, args=(directory, number), daemon=True) for number in range(2)]
    for process in churners:
        process.start()
    for number in range(listings):
        counts = Counter(listed(directory))
        missed = stay - set(counts)
        twice = [name for name in stay if counts[name] > 1]
        if missed or twice:
            sys.exit("listing %d: missed %r, twice %r" % (number, sorted(missed)[:5], twice[:5]))
        if not all(process.is_alive() for process in churners):
            sys.exit("a process that changes the directory has ended")
    for process in churners:
        process.kill()
        process.join()
    print("%d listings of %d names that stay" % (listings, staying))


main()
