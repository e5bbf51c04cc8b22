"""Callbacks that the board's clock sets off while the program waits for something else."""

import board

# Lists of: when next, how often, what, whose.
_running = []


def start(timer, period, callback):
    stop(timer)
    _running.append([board.now() + period, period, callback, timer])


def stop(timer):
    _running[:] = [entry for entry in _running if entry[3] is not timer]


def next_in(longest):
    """Milliseconds until a callback is due, or `longest` where that is less."""
    now = board.now()
    return max(0, min([longest] + [entry[0] - now for entry in _running]))


def run_due():
    now = board.now()
    for entry in list(_running):
        if entry[0] > now:
            continue
        entry[0] += entry[1]
        try:
            entry[2](entry[3])
        except Exception as error:
            # A Pico W prints it too, and its timer goes on.
            print("unhandled exception in callback:", repr(error))
