"""Pins without a light, timers, and an analog input whose readings are told on standard output."""

import timers


class Pin:
    OUT = 1

    def __init__(self, _name, _mode):
        pass

    def high(self):
        pass

    def low(self):
        pass


class Timer:
    PERIODIC = 1

    def init(self, period, mode, callback):
        assert mode == Timer.PERIODIC
        timers.start(self, period, callback)

    def deinit(self):
        timers.stop(self)


class ADC:
    # The temperature sensor of an RP2040.
    _TEMPERATURE = 4

    # Of the board, not of an object: a program may make a new one after each failure.
    _readings = 0

    def __init__(self, channel):
        assert channel == ADC._TEMPERATURE

    def read_u16(self):
        """From 33.4 degrees down to 18.9 in steps of a fifth; no two of 500 are the same."""
        value = 13800 + ADC._readings * 7 % 500
        ADC._readings += 1
        print("adc", value)
        return value
