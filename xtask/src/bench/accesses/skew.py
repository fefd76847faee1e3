"""Counts up fields of objects that are chosen by a skewed key, the i-th of them in proportion to about 1/i.

skew.py ROUNDS: 0 is for ever. Says "ready" before its work and "truth" after it.
"""

import os
import sys

COUNT = 1000


def say(line):
    """In one system call, by which a trace knows where it is; `print` may make two."""
    os.write(1, line)


class Item:
    __slots__ = ("value", "note")

    def __init__(self, index):
        self.value = index
        self.note = "x" * 200


def main(rounds):
    items = [Item(index) for index in range(COUNT)]
    names = {f"item {index}": item for index, item in enumerate(items)}
    keys, state = [], 1
    for _ in range(5000):
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        keys.append(f"item {int(COUNT ** ((state >> 11) / (1 << 53))) - 1}")
    say(b"ready\n")
    done = 0
    while done < rounds or rounds == 0:
        for key in keys:
            item = names[key]
            item.value += len(item.note)
        done += 1
    say(b"truth\n")
    sys.stdin.readline()


main(int(sys.argv[1]))
