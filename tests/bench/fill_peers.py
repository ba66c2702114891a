"""What NumPy takes for as many random doubles as `echelon fill`: fill_peers.py SIZE FILE. And, as fill_peers.py memory
COMMAND..., the most memory that a command had, in bytes."""

import os
import sys
import time


def measure_numpy(size, file):
    import numpy

    begin = time.perf_counter()
    numbers = numpy.random.default_rng(0).random(size)
    print("random_s", time.perf_counter() - begin)
    begin = time.perf_counter()
    numpy.save(file, numbers)
    print("save_s", time.perf_counter() - begin)
    os.remove(file)


def measure_memory(command):
    output = os.open(os.devnull, os.O_WRONLY)
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, output, 1)])
    status, usage = os.wait4(pid, 0)[1:]
    if status != 0:
        sys.exit("this failed: " + " ".join(command))
    print("memory_bytes", usage.ru_maxrss * 1024)


if sys.argv[1] == "memory":
    measure_memory(sys.argv[2:])
else:
    measure_numpy(int(sys.argv[1]), sys.argv[2])
