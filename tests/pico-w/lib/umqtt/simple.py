"""MQTT 3.1.1 at QoS 0, by the names of MicroPython's umqtt.simple."""

import socket
import struct

_CONNECT, _CONNACK, _PUBLISH, _SUBSCRIBE, _SUBACK = 0x10, 0x20, 0x30, 0x82, 0x90
_CLEAN_SESSION = 0x02


class MQTTException(Exception):
    pass


def _text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("!H", len(value)) + value


class MQTTClient:
    def __init__(self, client_id, server, port=1883, keepalive=0):
        self._client_id = client_id
        self._address = (server, port)
        self._keepalive = keepalive
        self._callback = None
        self._subscriptions = 0

    def set_callback(self, callback):
        self._callback = callback

    def connect(self):
        self._socket = socket.socket()
        self._socket.connect(socket.getaddrinfo(*self._address)[0][-1])
        protocol = _text(b"MQTT") + bytes([4, _CLEAN_SESSION])
        keepalive = struct.pack("!H", self._keepalive)
        self._send(_CONNECT, protocol + keepalive + _text(self._client_id))
        kind, body = self._receive()
        if kind != _CONNACK or body[1] != 0:
            raise MQTTException(body[1])

    def subscribe(self, topic):
        self._subscriptions += 1
        number = struct.pack("!H", self._subscriptions)
        self._send(_SUBSCRIBE, number + _text(topic) + b"\x00")
        while True:
            kind, body = self._take()
            if kind == _SUBACK and body[:2] == number:
                break
        if body[2] == 0x80:
            raise MQTTException(body[2])

    def publish(self, topic, message):
        message = message.encode() if isinstance(message, str) else message
        self._send(_PUBLISH, _text(topic) + message)

    def wait_msg(self):
        self._take()

    def _take(self):
        """The next packet; what was published is handed to the callback."""
        kind, body = self._receive()
        if kind & 0xF0 == _PUBLISH:
            length = struct.unpack("!H", body)[0]
            self._callback(body[2 : 2 + length], body[2 + length :])
        return kind, body

    def _send(self, kind, body):
        length = len(body)
        header = bytearray([kind])
        while True:
            length, seven_bits = length >> 7, length & 0x7F
            header.append(seven_bits | (0x80 if length else 0))
            if not length:
                break
        self._socket.write(bytes(header) + body)

    def _receive(self):
        kind = self._exactly(1)[0]
        length, shift = 0, 0
        while True:
            byte = self._exactly(1)[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return kind, self._exactly(length)

    def _exactly(self, length):
        data = self._socket.read(length)
        if len(data) < length:
            raise OSError(-1)
        return data
