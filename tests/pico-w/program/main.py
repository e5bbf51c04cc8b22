"""Does what the Pico W of the proof of concept does that Fieldledger rebuilds, in code of its own.

The same messages in the same order, over the same modules: join the WLAN, connect with a clean
session, no last will and a keepalive of two hours, subscribe to the poll topic, then a heartbeat
every 30 s, the first after 30 s, and for each poll the temperature with two decimals as a JSON
string. Topics are bytes, as umqtt wants them, which MicroPython's `json` writes as strings. After
any failure it waits 5 s and begins anew; the timer of the heartbeats goes on meanwhile. The only
difference: how often it wants to be polled is a setting, 60,000 ms there.
"""

import json
import network
from machine import ADC, Pin, Timer
from time import sleep
from umqtt.simple import MQTTClient

from settings import POLL_INTERVAL_MS
from wifi_credentials import PSWD, SSID

SENSOR_ID = "f3088463-5623-476f-a1b5-ecb49446a443"
BROKER = "broker.local"
JOINED = 3
HEARTBEAT_MS = 30_000
RETRY_S = 5
HEARTBEATS = b"picow/heartbeat"


def own_topic(name):
    return f"picow/{SENSOR_ID}/{name}".encode()


class Device:
    def __init__(self):
        self.led = Pin("LED", Pin.OUT)
        self.thermometer = ADC(4)
        self.heartbeats = None

    def join(self):
        wlan = network.WLAN(network.STA_IF)
        wlan.active(True)
        wlan.connect(SSID, PSWD)
        for _ in range(10):
            if wlan.status() == JOINED:
                self.ip_address = wlan.ifconfig()[0]
                self.mac_address = list(wlan.config("mac"))
                return
            sleep(1)
        raise RuntimeError("the WLAN does not let us in")

    def run(self):
        self.join()
        self.client = MQTTClient(b"picow_sensor1", BROKER, 1883, keepalive=7200)
        self.client.connect()
        self.client.set_callback(self.polled)
        self.client.subscribe(own_topic("poll"))
        print("subscribed")
        if self.heartbeats is None:
            self.heartbeats = Timer()
            self.heartbeats.init(
                period=HEARTBEAT_MS, mode=Timer.PERIODIC, callback=self.announce
            )
        while True:
            self.client.wait_msg()

    def announce(self, _timer):
        heartbeat = {
            "id": SENSOR_ID,
            "alias": "temp_01",
            "poll_interval": POLL_INTERVAL_MS,
            "poll_topic": own_topic("poll"),
            "read_topic": own_topic("read"),
            "disconnect_topic": own_topic("disconnect"),
            "ip_addr": self.ip_address,
            "mac_addr": self.mac_address,
            "location": "rp-pico-w",
        }
        self.client.publish(HEARTBEATS, json.dumps(heartbeat))

    def polled(self, _topic, _message):
        self.led.high()
        self.client.publish(own_topic("read"), f'"{self.temperature():.2f}"')
        self.led.low()

    def temperature(self):
        # From the data sheet of the RP2040: 0.706 V at 27 degrees, 1.721 mV less for each more.
        volts = self.thermometer.read_u16() * 3.3 / 65535
        return 27 - (volts - 0.706) / 0.001721


device = Device()
while True:
    try:
        device.run()
    except Exception as error:
        print("starting anew:", repr(error))
        sleep(RETRY_S)
