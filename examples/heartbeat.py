#!/usr/bin/env python3
"""The heartbeat probe in Python: calls the C library by ctypes."""

import ctypes
import os
import sys

SEVERITY_LOW = 1
PAYLOAD_VERSION = 1

telemetry = ctypes.CDLL("libtelemetry.so.4")
record_p = ctypes.c_void_p
telemetry.tm_create_record.argtypes = [
    ctypes.POINTER(record_p),
    ctypes.c_uint32,
    ctypes.c_char_p,
    ctypes.c_uint32,
]
telemetry.tm_set_payload.argtypes = [record_p, ctypes.c_char_p]
telemetry.tm_send_record.argtypes = [record_p]
telemetry.tm_free_record.argtypes = [record_p]
telemetry.tm_free_record.restype = None


def check(step, ret):
    if ret < 0:
        raise OSError(-ret, f"{step}: {os.strerror(-ret)}")


def send(classification, payload):
    """Sends one record; the library copies both strings."""
    record = record_p()
    check(
        "create",
        telemetry.tm_create_record(
            ctypes.byref(record), SEVERITY_LOW, classification.encode(), PAYLOAD_VERSION
        ),
    )
    try:
        check("payload", telemetry.tm_set_payload(record, payload.encode()))
        check("send", telemetry.tm_send_record(record))
    finally:
        telemetry.tm_free_record(record)


if __name__ == "__main__":
    if not telemetry.tm_is_opted_in():
        sys.exit("heartbeat: telemetry is switched off on this machine")
    try:
        send("org.example/heartbeat/ping", "hello\n")
    except OSError as error:
        sys.exit(f"heartbeat: {error.strerror}")
