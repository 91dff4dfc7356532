"""A load test of examples/service.py on loopback: python examples/service_load.py --requests 2000

It starts the service with two workers, sends requests from several threads, checks every answer,
and prints requests/s, the median and the 99th percentile of the time that an answer took.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

TEXTS = {"Swing the bat!": "bat", "He sat on the bank of the river.": "bank"}


def ask(port: int, i: int) -> tuple[float, bool]:
    """Seconds, and whether the answer is about this text."""
    text, word = list(TEXTS.items())[i % 2]
    began = time.perf_counter()
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(
        "POST", "/senses", json.dumps({"texts": [text]}), {"Content-Type": "application/json"}
    )
    answer = connection.getresponse()
    found = json.loads(answer.read())
    connection.close()
    is_good = answer.status == 200 and found["senses"][0][0]["text"] == word
    return time.perf_counter() - began, is_good


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            raise SystemExit("the service ended")
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the service did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--app-dir",
        str(Path(__file__).parent),
        "service:app",
        "--port",
        str(port),
        "--workers",
        str(given.workers),
        "--log-level",
        "warning",
    ]
    process = subprocess.Popen(command)  # noqa: S603 - our own
    try:
        wait_for(port, process)
        began = time.perf_counter()
        with ThreadPoolExecutor(given.threads) as pool:
            found = list(pool.map(lambda i: ask(port, i), range(given.requests)))
        seconds = time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(30)
    times = sorted(each for each, _ in found)
    n_good = sum(is_good for _, is_good in found)
    print(
        f"{given.requests / seconds:.0f} requests/s, median {statistics.median(times):.3f} s, "
        f"p99 {times[int(0.99 * len(times))]:.3f} s, {n_good} of {given.requests} answered"
    )
    raise SystemExit(n_good != given.requests)


if __name__ == "__main__":
    main()
