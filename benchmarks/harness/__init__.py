"""What the benchmarks share: rivals that take turns, limits of the machine, ratios, and lines of results.

Every rival, ours among them, has a process of its own (`worker.py`), compiled and warm before anything is timed. They
take turns, A B C, A B C, …, so that a busy moment of the machine falls on neighbours, and what is reported are the
median and the quartiles of the ratios of each round. The limits, of products and of reading memory, are rivals like the
others: a share of the limit is a ratio of the same rounds. Who waits is blocked on reading, so that no threads fight.

Peak memory is what a program's arrays take, and what a turn takes for a while beyond them (`memory.py`); libraries and
compiled code are left out, for every rival alike.
"""
