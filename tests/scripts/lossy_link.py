#!/usr/bin/env python3
"""Two network namespaces, joined by a link that delays packets and loses some, as `tc netem` does where it exists.

Usage (as root): lossy_link.py NAME [--delay SECONDS] [--loss FRACTION] [--seed N]

Makes the namespaces NAME-1 and NAME-2 with the addresses 10.99.0.1 and 10.99.0.2, prints "ready", and relays between
them until its standard input ends; then removes them.
"""

import argparse
import collections
import ctypes
import fcntl
import os
import random
import select
import struct
import subprocess
import time

IFF_TUN, IFF_NO_PI, TUNSETIFF, CLONE_NEWNET = 0x1, 0x1000, 0x400454CA, 0x40000000


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def tun_in(namespace, address):
    """A TUN device of a namespace, whose descriptor is read and written from here."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(there, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
    try:
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"wire", IFF_TUN | IFF_NO_PI))
    finally:
        libc.setns(own, CLONE_NEWNET)
    ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "wire")
    ip("-n", namespace, "link", "set", "wire", "up")
    ip("-n", namespace, "link", "set", "lo", "up")
    return device


def relay(devices, delay, loss, source):
    """Until standard input ends. Packets keep their order, as in a link."""
    waiting = collections.deque()
    sent = lost = 0
    while True:
        timeout = max(waiting[0][0] - time.monotonic(), 0) if waiting else None
        readable = select.select([0, *devices], [], [], timeout)[0]
        if 0 in readable and not os.read(0, 1):
            return sent, lost
        for i, device in enumerate(devices):
            for _ in range(64):
                try:
                    packet = os.read(device, 65536)
                except BlockingIOError:
                    break
                sent += 1
                if source.random() < loss:
                    lost += 1
                else:
                    waiting.append((time.monotonic() + delay, devices[1 - i], packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, device, packet = waiting.popleft()
            try:
                os.write(device, packet)
            except BlockingIOError:
                lost += 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--delay", type=float, default=0.005)
    parser.add_argument("--loss", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    namespaces = [f"{arguments.name}-{i}" for i in (1, 2)]
    try:
        for namespace in namespaces:
            ip("netns", "add", namespace)
        devices = [tun_in(namespace, f"10.99.0.{i + 1}") for i, namespace in enumerate(namespaces)]
        print("ready", flush=True)
        sent, lost = relay(devices, arguments.delay, arguments.loss, random.Random(arguments.seed))
        print(f"{sent} packets, {lost} of them lost", flush=True)
    finally:
        for namespace in namespaces:
            subprocess.run(["ip", "netns", "del", namespace], check=False)


if __name__ == "__main__":
    main()
