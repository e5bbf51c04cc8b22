"""TCP to the one broker that there is, whatever name the program has for it."""

import board
import timers
from binascii import hexlify, unhexlify

_A_MINUTE = 60000


def getaddrinfo(host, port, *_):
    return [(2, 1, 0, "", (host, port))]


class socket:
    def __init__(self, *_):
        self._id = None
        self._unread = b""

    def connect(self, _address):
        self._id = board.connect()
        if self._id is None:
            raise OSError(111)

    def write(self, data, length=None):
        data = data.encode() if isinstance(data, str) else bytes(data)
        data = data if length is None else data[:length]
        if not board.send(self._id, hexlify(data).decode()):
            raise OSError(104)
        return len(data)

    def read(self, length):
        """Exactly so many bytes, or fewer at the end. Timers go off meanwhile."""
        while len(self._unread) < length:
            arrived = board.receive(self._id, timers.next_in(_A_MINUTE))
            if arrived is None:
                break
            self._unread += unhexlify(arrived)
            timers.run_due()
        data, self._unread = self._unread[:length], self._unread[length:]
        return data

    # Whoever reads waits, as the program does.
    def setblocking(self, _is_blocking):
        pass

    def settimeout(self, _seconds):
        pass

    def close(self):
        board.close(self._id)
