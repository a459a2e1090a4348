"""A stand-in for the ngrok agent, as far as pyngrok can tell. Standard library only.

Written to a file called ``ngrok`` with a first line that names an interpreter. Environment:
FAKE_NGROK_DIARY, a file that gets one JSON line for each start and each request; FAKE_NGROK_MODE:

    works               the default
    refuses CODE        logs the error and exits
    sulks CODE          logs the error and stays, as some agents do
    silent              says nothing at all, for ever
    api STATUS CODE     starts, but its API refuses tunnels
    stubborn            works, and ignores SIGTERM

A tunnel's address holds the process number. ``POST /fake/log`` logs the body as it is.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def note(**what: object) -> None:
    with open(os.environ["FAKE_NGROK_DIARY"], "a", encoding="utf-8") as diary:
        diary.write(json.dumps({"pid": os.getpid(), **what}) + "\n")


def log(level: str, message: str, **more: str) -> None:
    rest = "".join(f" {key}={json.dumps(value)}" for key, value in more.items())
    print(f't=2026-11-21T03:00:00+0000 lvl={level} msg="{message}"{rest}', flush=True)


class Api(BaseHTTPRequestHandler):
    refusal: tuple[int, str] | None = None
    endpoints: dict[str, dict[str, object]] = {}  # noqa: RUF012

    def do_GET(self) -> None:
        if self.path == "/api/requests/http":
            self.answer(200, {"requests": []})
        else:
            self.answer(200, {"endpoints": list(self.endpoints.values())})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/fake/log":
            print(body, flush=True)
            self.answer(204)
            return
        asked = json.loads(body)
        note(asked=asked, path=self.path)
        if self.refusal is not None:
            status, code = self.refusal
            self.answer(status, {"error_code": 103, "status_code": status, "msg": f"refused: ERR_NGROK_{code}"})
            return
        made = {**asked, "url": f"https://p{os.getpid()}.ngrok.test", "id": "ep_1"}
        self.endpoints[asked["name"]] = made
        self.answer(201, made)

    def do_DELETE(self) -> None:
        self.endpoints.clear()
        self.answer(204)

    def answer(self, status: int, body: object = None) -> None:
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        pass


def start(config_file: str) -> None:
    mode, *more = os.environ.get("FAKE_NGROK_MODE", "works").split()
    config = json.loads(Path(config_file).read_text("utf-8"))
    note(
        argv=sys.argv[1:],
        environment=sorted(os.environ),
        config=config,
        config_mode=stat.S_IMODE(Path(config_file).stat().st_mode),
    )
    if mode == "silent":
        signal.pause()
    if mode in ("refuses", "sulks"):
        log("eror", "failed to auth", obj="csess", err=f"authentication failed: no.\r\n\r\nERR_NGROK_{more[0]}\r\n")
        if mode == "refuses":
            sys.exit(1)
        signal.pause()
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode == "api":
        Api.refusal = int(more[0]), more[1]
    host, _, port = config["agent"]["web_addr"].rpartition(":")
    server = ThreadingHTTPServer((host, int(port)), Api)
    log("info", "starting web service", obj="web", addr=f"{host}:{server.server_port}")
    log("info", "client session established", obj="tunnels.session")
    log("info", "tunnel session started", obj="tunnels.session")
    server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "--version":
        print("ngrok version 3.39.8")
    else:
        start(sys.argv[sys.argv.index("--config") + 1])
