"""Many tries of one reader with files that nobody thought of."""

import functools
import os
import time

from hypothesis import HealthCheck, given, settings

# Seconds of ``make fuzz`` in all; none in a test run, where the tries are few and the same.
SECONDS = int(os.environ.get("MTM_FUZZ", 0))
N_READERS = 13


def tried(n_tries, **strategies):
    """Make a test of one file, in the folder of a fixture `folder`, into one of many.

    In ``make fuzz`` it goes on, with other files each time, for its share of the seconds. Its
    report says how many tries there were.
    """

    def wrap(test):
        count = 0

        @settings(
            max_examples=n_tries,
            derandomize=not SECONDS,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(**strategies)
        def some(folder, **drawn):
            nonlocal count
            count += 1
            test(folder, **drawn)

        @functools.wraps(test)
        def many(folder, record_property):
            end = time.monotonic() + SECONDS / N_READERS
            try:
                some(folder=folder)
                while time.monotonic() < end:
                    some(folder=folder)
            finally:
                record_property("tries", count)

        # pytest looks for fixtures in what is wrapped.
        del many.__wrapped__
        return many

    return wrap
