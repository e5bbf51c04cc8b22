"""A WLAN that lets everybody in, after a moment."""

STA_IF = 0
_JOINING = 1
_GOT_IP = 3


class WLAN:
    def __init__(self, _interface):
        self._status = 0

    def active(self, _is_active):
        pass

    def config(self, name):
        assert name == "mac"
        return b"\x28\xcd\xc1\x03\xe2\x9f"

    def connect(self, _ssid, _password):
        self._status = _JOINING

    def status(self):
        status = self._status
        if status == _JOINING:
            self._status = _GOT_IP
        return status

    def ifconfig(self):
        return ("192.168.1.17", "255.255.255.0", "192.168.1.1", "192.168.1.1")
