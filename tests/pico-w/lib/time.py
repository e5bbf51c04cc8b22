"""The time of a board whose clock may be faster than the world's."""

import board
import timers

# 2023-01-01; a Pico W that nobody told the time would begin in 2021.
_STARTED = 1672531200


def time():
    return _STARTED + int(board.now() // 1000)


def sleep(seconds):
    end = board.now() + seconds * 1000
    while True:
        left = end - board.now()
        if left <= 0:
            return
        board.wait(timers.next_in(left))
        timers.run_due()
