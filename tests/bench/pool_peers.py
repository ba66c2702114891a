"""What pool_bench's noop is measured against, printed in the same way:

    mpirun -n 3 python3 -m mpi4py.futures pool_peers.py mpi4py TASKS CHUNK
    python3 pool_peers.py multiprocessing TASKS CHUNK        on 2 workers; CHUNK 0: the default
"""
import sys
import time


def same(x):
    return x


def tasks_a_second(map_all, tasks):
    xs = list(range(tasks))
    map_all(xs[: tasks // 10])
    begin = time.perf_counter()
    ys = map_all(xs)
    seconds = time.perf_counter() - begin
    assert ys == xs
    print("tasks_a_second", tasks / seconds)


def main():
    peer, tasks, chunk = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if peer == "mpi4py":
        from mpi4py.futures import MPIPoolExecutor

        with MPIPoolExecutor() as executor:
            tasks_a_second(lambda xs: list(executor.map(same, xs, chunksize=max(chunk, 1))), tasks)
    else:
        from multiprocessing import Pool

        with Pool(2) as pool:
            tasks_a_second(lambda xs: pool.map(same, xs, chunk or None), tasks)


if __name__ == "__main__":
    main()
