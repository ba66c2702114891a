"""multiprocessing.Queue: items a second from producers to as many consumers.

    queue_peer.py PRODUCERS ITEMS
"""

import multiprocessing
import sys
import time


def produce(queue, items):
    for item in range(items):
        queue.put(item)
    queue.put(None)


def consume(queue):
    while queue.get() is not None:
        pass


def main():
    producers, items = int(sys.argv[1]), int(float(sys.argv[2]))
    queue = multiprocessing.Queue(1024)
    processes = [
        multiprocessing.Process(target=produce, args=(queue, items // producers)) for _ in range(producers)
    ] + [multiprocessing.Process(target=consume, args=(queue,)) for _ in range(producers)]
    begin = time.perf_counter()
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print("items_a_second", items // producers * producers / (time.perf_counter() - begin))


if __name__ == "__main__":
    main()
