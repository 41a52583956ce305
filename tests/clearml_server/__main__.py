"""Serve until SIGTERM: `python -m tests.clearml_server --conf clearml.conf`."""

import argparse
import signal
import threading

from .server import ClearMLServer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.clearml_server", description=__doc__)
    parser.add_argument("--conf", help="write a clearml.conf for this server here")
    parser.add_argument("--port", type=int, default=0, help="of the API (default: a free one)")
    parser.add_argument("--files-port", type=int, default=0, help="of the file server")
    args = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with ClearMLServer(port=args.port, files_port=args.files_port) as server:
        if args.conf:
            server.write_conf(args.conf)
        print(f"api {server.api_url} files {server.files_url}", flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
