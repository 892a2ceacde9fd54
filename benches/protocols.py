#!/usr/bin/env python3
"""What a request costs over each protocol, beside HAProxy.

    cargo build --release && benches/protocols.py [--gateway FILE] [--rounds 5] [--requests 20000]

The gateway and HAProxy have one thread on core 0; the load (h2load) and Sync (`vingate sandbox`) are on core 1. A figure
is the processor time of the proxy for a request, user and system, in microseconds: the median of rounds that take turns.
The gateway checks a token meanwhile, and counts. `forward` is a small GET, `hit500` a batch of 500 vehicles that are all
cached. Needs h2load (Debian: nghttp2-client), openssl and taskset; HAProxy joins if it is installed.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

CONFIG = """
[server]
listen = "127.0.0.1:{port}"
workers = 1
{tls}
[admin]
listen = "127.0.0.1:{admin}"
[upstream]
url = "http://127.0.0.1:{sync}"
max_in_flight = 256
[[account]]
name = "bench"
header = "Authorization"
value = {{ env = "BENCH_CREDENTIAL" }}
subjects = ["*"]
[auth]
issuer = "bench"
audience = ["gateway"]
algorithms = ["HS256"]
[[auth.key]]
id = "k"
algorithm = "HS256"
secret = {{ env = "BENCH_SECRET" }}
[auth.scope]
read = "vehicles:read"
write = "vehicles:write"
[limit.rate]
requests_per_second = 10000000
burst = 10000000
[log]
access = "off"
level = "warn"
"""

HAPROXY = """
global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend plain
  bind 127.0.0.1:{plain}
  default_backend sync
frontend prior
  bind 127.0.0.1:{prior} proto h2
  default_backend sync
frontend secure
  bind 127.0.0.1:{secure} ssl crt {pem} alpn h2,http/1.1
  default_backend sync
backend sync
  http-reuse always
  server sync 127.0.0.1:{sync} pool-max-conn 256
"""

SYNC, PLAIN, SECURE, ADMIN, HAPROXY_PLAIN = 22000, 22010, 22020, 22030, 22050
HAPROXY_PRIOR, HAPROXY_SECURE = 22051, 22052

# No secrets: nothing but this run knows them.
os.environ |= {"BENCH_CREDENTIAL": "Bearer bench", "BENCH_SECRET": "a secret for measuring, of 32 bytes or more"}

# Name, whether it is TLS, and what h2load is told.
PROTOCOLS = [
    ("HTTP/1.1", False, ["--h1"]),
    ("HTTP/2", False, []),
    ("HTTP/1.1, TLS", True, ["--npn-list=http/1.1"]),
    ("HTTP/2, TLS", True, ["--npn-list=h2"]),
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gateway", default="target/release/vingate")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=20_000)
    options = parser.parse_args()
    processes = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            measure(options, Path(folder), processes)
        finally:
            for process in processes:
                process.terminate()
                process.wait()


def measure(options, folder, processes):
    gateway = Path(options.gateway).resolve()
    pem = certificate(folder)

    def start(core, *command):
        process = subprocess.Popen(
            ["taskset", "-c", core, *map(str, command)], stdout=subprocess.DEVNULL
        )
        processes.append(process)
        return process.pid

    start("1", gateway, "sandbox", "--listen", f"127.0.0.1:{SYNC}")
    ours = {}
    for is_tls, port in (False, PLAIN), (True, SECURE):
        tls = f'[server.tls]\ncertificate = "{pem}"\nkey = "{pem}"' if is_tls else ""
        config = folder / f"{port}.toml"
        config.write_text(CONFIG.format(port=port, admin=ADMIN + is_tls, sync=SYNC, tls=tls))
        ours[is_tls] = start("0", gateway, "serve", "--config", config), port
    peers = {"vingate": {name: (*ours[tls], tls, flags) for name, tls, flags in PROTOCOLS}}
    if shutil.which("haproxy"):
        config = folder / "haproxy.cfg"
        ports = {"plain": HAPROXY_PLAIN, "prior": HAPROXY_PRIOR, "secure": HAPROXY_SECURE}
        config.write_text(HAPROXY.format(**ports, pem=pem, sync=SYNC))
        pid = start("0", "haproxy", "-f", config)
        port = {"HTTP/1.1": HAPROXY_PLAIN, "HTTP/2": HAPROXY_PRIOR}
        peers["haproxy"] = {
            name: (pid, port.get(name, HAPROXY_SECURE), tls, flags) for name, tls, flags in PROTOCOLS
        }
    wait(f"http://127.0.0.1:{ADMIN}/healthz", f"http://127.0.0.1:{ADMIN + 1}/healthz")
    time.sleep(1)
    token = subprocess.run(
        [gateway, "token", "--config", folder / f"{PLAIN}.toml", "--subject", "bench", "--scope", "vehicles:read"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()
    vehicles = [{"vin": f"VWFE{number:013}", "plate": "ABC123"} for number in range(500)]
    body = folder / "body.json"
    body.write_text(json.dumps({"vehicles": vehicles}))
    # Some of h2load's requests have a body, and those are POST.
    batch = ["-d", str(body), "-H", "content-type: application/json", "-H", "x-http-method-override: GET"]

    print(f"{'':<24}{'vingate':>10}{'haproxy':>10}{'ratio':>8}")
    for work, path, extra, requests in [
        ("forward", "/api/vehicles?vin=VWFE0000000000001", [], options.requests),
        ("hit500", "/api/batch/scraping/", batch, options.requests // 20),
    ]:
        # What HAProxy does is forwarding.
        taking_part = {name: rows for name, rows in peers.items() if work == "forward" or name == "vingate"}
        times = {(peer, name): [] for peer, rows in taking_part.items() for name in rows}
        for round_ in range(options.rounds + 1):
            for peer, name in times:
                pid, port, tls, flags = peers[peer][name]
                url = f"{'https' if tls else 'http'}://127.0.0.1:{port}{path}"
                before = processor_time(pid)
                load(url, [*flags, *extra, "-H", f"authorization: Bearer {token}"], requests)
                # The first is to warm up.
                if round_:
                    times[peer, name].append((processor_time(pid) - before) / requests * 1e6)
        for name, *_ in PROTOCOLS:
            figures = [statistics.median(times[peer, name]) for peer in taking_part]
            ratio = f"{figures[0] / figures[1]:8.2f}" if len(figures) > 1 else ""
            print(f"{work + ', ' + name:<24}" + "".join(f"{figure:10.1f}" for figure in figures) + ratio)


def certificate(folder):
    """The path of a file with a certificate that nobody has to trust, and its key."""
    certificate, key, both = folder / "certificate.pem", folder / "key.pem", folder / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "1", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    both.write_text(certificate.read_text() + key.read_text())
    both.chmod(0o600)
    return both


def wait(*urls):
    deadline = time.monotonic() + 15
    for url in urls:
        while True:
            try:
                urllib.request.urlopen(url).read()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


def processor_time(pid):
    """Seconds of user and system time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(url, flags, requests):
    command = ["taskset", "-c", "1", "h2load", "-n", str(requests), "-c", "16", "-m", "8", *flags, url]
    if "--h1" in flags or "--npn-list=http/1.1" in flags:
        # Pipelining is nothing that clients do.
        command[command.index("-m") + 1] = "1"
    said = subprocess.run(command, capture_output=True, text=True).stdout
    served = re.search(r"(\d+) 2xx", said)
    if not served or int(served[1]) != requests:
        raise SystemExit(f"{url} did not serve {requests} requests:\n{said}")


if __name__ == "__main__":
    main()
