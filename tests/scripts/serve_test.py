#!/usr/bin/env python3
"""mnemo serve over its socket, as clients good and bad see it.

Usage: serve_test.py MNEMO [TEST]...    STOPS=50 in the environment stops and reloads as many servers instead of 5
"""

import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

MNEMO = os.path.abspath(sys.argv.pop(1))
SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
TOPICS = SOURCE / "tests/golden/models/version-1.safetensors"
JSON = {"Content-Type": "application/json"}
STOPS = int(os.environ.get("STOPS", "5"))
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
TEXTS = ["The team won the final match.", "", "Add two spoons of sugar", "naïve 一部好电影", "stocks fell"]
CONFIGS = {
    "lm": {"task": "generate", "data": {"train": "text.txt"}, "text": {"unit": "char"}, "model": {"hidden": 16}},
    "tagger": {"task": "tag", "data": {"train": "train.conll", "dev": "train.conll"},
               "model": {"hidden": 8, "embedding": 8}},
    "translator": {"task": "translate", "data": {"train": {"source": "text.txt", "target": "text.txt"}},
                   "text": {"unit": "word"}, "model": {"hidden": 8, "embedding": 8}},
}


class Running:
    """A server, its address and its messages."""

    def __init__(self, folder, *arguments, **more):
        self.log = folder / "log.txt"
        listen = [] if "--listen" in arguments or more.get("pass_fds") else ["--listen", "127.0.0.1:0"]
        command = [MNEMO, "serve", *map(str, arguments), *listen]
        if more.get("pass_fds"):
            command = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *command]
        # The address sanitizer is not to keep what was freed: the tests look at memory.
        environment = more.pop("env", os.environ)
        sanitizer = environment.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4:thread_local_quarantine_size_kb=64"
        more["env"] = {**environment, "ASAN_OPTIONS": sanitizer.lstrip(":")}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, cwd=folder, stderr=log, **more)
        self.address = self.wait_for(r"listening on (\S+)").group(1)

    def messages(self):
        return self.log.read_text(encoding="utf-8")

    def wait_for(self, pattern, count=1):
        for _ in range(1000):
            found = list(re.finditer(pattern, self.messages()))
            if len(found) >= count:
                return found[-1]
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"no {pattern} in {self.messages()}")

    def place(self):
        host, port = self.address.removeprefix("http://").rsplit(":", 1)
        return host.strip("[]"), int(port)

    def connection(self):
        return http.client.HTTPConnection(*self.place(), timeout=30)

    def ask(self, method, path, body=None, headers=None):
        """Status, headers and body of a request on a connection of its own."""
        connection = self.connection()
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def post(self, path, content, headers=None):
        status, _, body = self.ask("POST", path, json.dumps(content), {**JSON, **(headers or {})})
        return status, json.loads(body)

    def raw(self, data):
        peer = socket.create_connection(self.place(), timeout=30)
        peer.sendall(data)
        return peer

    def metric(self, name):
        body = self.ask("GET", "/metrics")[2].decode()
        found = re.search("^" + re.escape(name) + r" (\S+)", body, re.M)
        return float(found.group(1)) if found else 0.0

    def wait_for_metric(self, name, value):
        for _ in range(3000):
            if (found := self.metric(name)) == value:
                return
            time.sleep(0.01)
        raise AssertionError(f"{name} is {found}, not {value}")

    def resident(self):
        return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{self.process.pid}/status").read_text()).group(1))

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.process.wait(60)


def everything(peer):
    """All that the server sends before it ends the connection."""
    out = b""
    with contextlib.closing(peer), contextlib.suppress(ConnectionError):
        while part := peer.recv(65536):
            out += part
    return out


def post_bytes(path, content, more=""):
    body = json.dumps(content).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{more}"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


class Serve(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory()
        cls.path = pathlib.Path(cls.holder.name)
        shutil.copy(TOPICS, cls.path / "topics.safetensors")
        (cls.path / "text.txt").write_text("to be or not to be\n" * 60, encoding="utf-8")
        (cls.path / "train.conll").write_text("Li B-PER\nBai I-PER\nsings O\n\nHe O\nsaw O\nSuyab B-LOC\n\n" * 8,
                                              encoding="utf-8")
        for name, config in CONFIGS.items():
            config = {**config, "training": {"epochs": 1}, "output": {"dir": name}}
            (cls.path / f"{name}.json").write_text(json.dumps(config), encoding="utf-8")
            cls.command("train", f"{name}.json", "-q")

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    @classmethod
    def command(cls, *arguments, text=""):
        done = subprocess.run([MNEMO, *map(str, arguments)], cwd=cls.path, input=text.encode(), check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return done.stdout.decode()

    @contextlib.contextmanager
    def serving(self, *arguments, code=0, **more):
        running = Running(self.path, *(arguments or ("topics.safetensors",)), **more)
        try:
            yield running
            self.assertEqual(running.end() if running.process.poll() is None else running.process.returncode, code)
        finally:
            running.process.kill()
            running.process.wait()

    def test_answers_are_those_of_the_command_line(self):
        models = ["topics.safetensors", *(f"{name}/model.safetensors" for name in CONFIGS)]
        commands = {"classify": models[0], "score": models[1], "tag": models[2], "translate": models[3]}
        lines = "".join(text + "\n" for text in TEXTS)
        with self.serving(*models) as server:
            for command, model in commands.items():
                raw = ["--raw"] if command == "tag" else []
                expected = self.command(command, model, *raw, "-f", "jsonl", text=lines).splitlines()
                path = f"/v1/{command}?model={pathlib.Path(model).parent.name or 'topics'}"
                self.assertEqual(server.ask("POST", path, lines.encode(), PLAIN)[2].decode().splitlines(), expected)
                status, content = server.post(path, {"texts": TEXTS})
                self.assertEqual((status, content), (200, {"answers": [json.loads(line) for line in expected]}))
                one = self.command(command, model, *raw, "-f", "jsonl", text=TEXTS[0] + "\n").strip()
                answer = server.ask("POST", path, json.dumps({"text": TEXTS[0]}), JSON)
                self.assertEqual(answer[2].decode().strip(), one)
            options = {"length": 30, "seed": 4, "temperature": 0.7, "top_k": 9}
            arguments = [word for key, value in options.items()
                         for word in ("--" + key.replace("_", "-"), str(value))]
            expected = self.command("generate", models[1], "--prompt", "to b", "-f", "jsonl", *arguments)
            answer = server.ask("POST", "/v1/generate", json.dumps({"text": "to b", **options}), JSON)
            self.assertEqual(answer[2].decode(), expected)
            listed = json.loads(server.ask("GET", "/v1/models")[2])["models"]
            self.assertEqual([model["name"] for model in listed], ["topics", *CONFIGS])
            self.assertEqual(listed[0]["sha256"], self.sha256("topics.safetensors"))

    def sha256(self, name):
        return subprocess.run(["sha256sum", name], cwd=self.path, check=True,
                              stdout=subprocess.PIPE).stdout.decode().split()[0]

    def check_error(self, answer, status, code):
        self.assertEqual(answer[0], status, answer)
        error = json.loads(answer[2])["error"]
        self.assertEqual((error["code"], sorted(error)), (code, ["code", "field", "message"]))
        self.assertTrue(error["message"])

    def test_errors(self):
        with self.serving("topics.safetensors", "lm/model.safetensors", "--max-body", 5000, "--max-texts", 3,
                          "--max-lines", 12000, "--max-queue-tokens", 600) as server:
            ask, path = server.ask, "/v1/classify"
            self.check_error(ask("GET", "/v2"), 404, "not_found")
            self.check_error(ask("POST", "/v1/tag", '{"text": "a"}', JSON), 404, "not_supported")
            answer = ask("GET", path)
            self.check_error(answer, 405, "method_not_allowed")
            self.assertEqual(answer[1]["Allow"], "POST")
            answer = ask("DELETE", "/healthz", "a body")
            self.check_error(answer, 405, "method_not_allowed")
            self.assertEqual(answer[1]["Allow"], "GET, HEAD")
            self.check_error(ask("POST", path, '{"text": "a"}', {"Content-Type": "text/html"}), 415,
                             "unsupported_media_type")
            self.check_error(ask("POST", path, '{"text": ', JSON), 400, "invalid_json")
            self.check_error(ask("POST", path, '{"text":' + "[" * 4000, JSON), 400, "invalid_json")
            self.check_error(ask("POST", path, '{"text": "a", "x": 1}', JSON), 400, "unknown_key")
            self.check_error(ask("POST", path, b'{"text": "a\xff"}', JSON), 422, "invalid_utf8")
            self.check_error(ask("POST", path, b"a\nb\xed\xa0\x80", PLAIN), 422, "invalid_utf8")
            self.check_error(ask("POST", "/v1/score", '{"text": "a\\nb"}', JSON), 422, "invalid_text")
            self.check_error(ask("POST", "/v1/generate", '{"text": "%"}', JSON), 422, "invalid_text")
            self.check_error(ask("POST", "/v1/generate", '{"text": "", "top_p": 2}', JSON), 400, "invalid_value")
            self.check_error(ask("POST", "/v1/generate", '{"text": "", "title": "a"}', JSON), 400, "invalid_value")
            self.check_error(ask("POST", path, '{"texts": ["a", "b", "c", "d"]}', JSON), 413, "too_many_texts")
            self.check_error(ask("POST", path, json.dumps({"texts": [""] * 1000}), JSON), 413, "too_many_texts")
            self.check_error(ask("POST", path, json.dumps({"text": [""] * 1000}), JSON), 400, "invalid_json")
            self.check_error(ask("POST", path, json.dumps({"text": "a " * 700}), JSON), 413, "too_many_tokens")
            self.check_error(ask("POST", path, b"a" * 5001, JSON), 413, "body_too_large")
            self.check_error(ask("POST", path, iter([b"a" * 3000] * 2), JSON), 413, "body_too_large")
            self.check_error(ask("POST", path, b"a\n" + b"a" * 5001, PLAIN), 413, "body_too_large")
            self.check_error(ask("POST", path, iter([b"a\n" * 3000] * 4), PLAIN), 413, "body_too_large")
            self.check_error(ask("POST", path, b"a\n" * 6001, PLAIN), 413, "body_too_large")
            for key in ({"stream": 1}, {"stream": True, "texts": ["a"]}, {"stream": True, "candidates": 2},
                        {"stream": True, "beam": 17}):
                text = {} if "texts" in key else {"text": ""}
                answer = ask("POST", "/v1/generate", json.dumps({**text, **key}), JSON)
                self.check_error(answer, 400, "invalid_value")
            self.check_error(ask("POST", path, '{"text": "a", "stream": true}', JSON), 400, "unknown_key")
            # An error before the first piece has its own status.
            self.check_error(ask("POST", "/v1/generate", '{"text": "%", "stream": true}', JSON), 422, "invalid_text")
            self.check_error(ask("GET", "/healthz", headers={"X": "a" * 17000}), 431, "headers_too_large")
            self.check_error(ask("GET", "/healthz", headers={"Host": "evil.com"}), 400, "wrong_host")
            self.assertEqual(ask("HEAD", "/healthz")[::2], (200, b""))
            self.assertEqual(ask("POST", path, '{"texts": []}', JSON)[2], b'{"answers":[]}\n')
            self.assertNotIn(b'code="500"', ask("GET", "/metrics")[2])

    def events(self, server, path, content):
        """The events of a streamed answer: their names and data."""
        connection = server.connection()
        with contextlib.closing(connection):
            connection.request("POST", path, json.dumps({**content, "stream": True}), JSON)
            response = connection.getresponse()
            self.assertEqual((response.status, response.headers["Content-Type"]), (200, "text/event-stream"))
            out = []
            for block in response.read().decode().split("\n\n")[:-1]:
                fields = dict(line.split(": ", 1) for line in block.split("\n"))
                out.append((fields.get("event", "message"), json.loads(fields["data"])))
            return out

    def test_streams(self):
        with self.serving("lm/model.safetensors", "translator/model.safetensors", "--threads", 2) as server:
            asked = [("/v1/generate", {"text": "to ", "length": 50, "seed": seed}) for seed in range(20)]
            asked += [("/v1/generate", {"text": "to ", "length": 20, "beam": 3}),
                      ("/v1/generate", {"text": "be", "length": 0}),
                      ("/v1/translate", {"text": "to be or not"}), ("/v1/translate", {"text": ""})]
            expected = [server.post(*one)[1] for one in asked]
            with concurrent.futures.ThreadPoolExecutor(24) as pool:
                found = list(pool.map(lambda one: self.events(server, *one), asked * 3))
            for i, events in enumerate(found):
                (path, content), answer = asked[i % len(asked)], expected[i % len(asked)]
                self.assertEqual(events[-1], ("done", answer))
                pieces = "".join(event[1]["piece"] for event in events[:-1])
                self.assertEqual((content["text"] if path == "/v1/generate" else "") + pieces, answer["text"])
            self.assertGreater(len(found[0]), 40)
            # Not a thread each: others are answered while ever so many texts are being written.
            long = [server.raw(post_bytes("/v1/generate", {"text": "", "length": 900, "stream": True, "seed": seed}))
                    for seed in range(70)]
            self.assertEqual(server.post("/v1/generate", {"text": "", "length": 3})[0], 200)
            for peer in long:
                peer.shutdown(socket.SHUT_WR)
                self.assertIn(b"event: done", everything(peer))

    def test_streams_with_attention(self):
        self.command("train", "lm.json", "-q", "-o", "attending", "-s", "model.self_attention.layer=1",
                     "-s", "model.self_attention.memory=8", "-s", "model.self_attention.feed_forward=6")
        with self.serving("attending/model.safetensors", "--threads", 2) as server:
            asked = [{"text": "to be or not to "[:seed], "length": 30, "seed": seed} for seed in range(12)]
            asked.append({"text": "to ", "length": 20, "beam": 3})
            with concurrent.futures.ThreadPoolExecutor(13) as pool:
                found = list(pool.map(lambda one: self.events(server, "/v1/generate", one), asked))
            for content, events in zip(asked, found):
                options = [word for key in content if key != "text" for word in (f"--{key}", content[key])]
                alone = self.command("generate", "attending/model.safetensors", "--prompt", content["text"], "-f",
                                     "jsonl", *options)
                self.assertEqual(events[-1], ("done", json.loads(alone)))
                pieces = "".join(event[1]["piece"] for event in events[:-1])
                self.assertEqual(content["text"] + pieces, events[-1][1]["text"])

    def test_streams_end(self):
        endless = {"text": "", "length": 900000, "stream": True}
        with self.serving("lm/model.safetensors", "--max-queue-tokens", 100000000, "--drain", 0.5) as server:
            # Readers that go away, and one that reads nothing.
            for _ in range(5):
                peer = server.raw(post_bytes("/v1/generate", endless))
                self.assertIn(b"200 OK", peer.recv(65536))
                peer.close()
            idle = server.raw(post_bytes("/v1/generate", endless))
            self.assertEqual(idle.recv(1), b"H")  # it counts now
            server.wait_for_metric("mnemo_streams", 1)
            self.assertEqual(server.post("/v1/generate", {"text": "to", "length": 5})[0], 200)
            # A stream that is not done when the time is over says so.
            peer = server.raw(post_bytes("/v1/generate", endless))
            peer.recv(1)
            server.process.send_signal(signal.SIGTERM)
            self.assertIn(b"event: error\ndata: {\"error\":{\"code\":\"stopping\"", everything(peer))
            self.assertEqual(server.process.wait(60), 0)
            idle.close()

    def test_lines(self):
        lines = [TEXTS[i % len(TEXTS)] + f" {i}" for i in range(40000)]
        body = "".join(line + "\n" for line in lines).encode()
        expected = self.command("classify", "topics.safetensors", "-f", "jsonl", text=body.decode()).encode()
        self.assertGreater(len(expected), 1 << 21)  # more than is kept in memory
        with self.serving("topics.safetensors", "--threads", 2, "--max-queue-tokens", 3000) as server:
            self.assertEqual(server.ask("POST", "/v1/classify", body, PLAIN)[2], expected)
            before = server.resident()

            def insist(_):
                # A body is refused at its first block or answered whole.
                while True:
                    status, _, answer = server.ask("POST", "/v1/classify", body, PLAIN)
                    if status != 503:
                        return answer
                    time.sleep(0.05)

            with concurrent.futures.ThreadPoolExecutor(3) as pool:
                self.assertEqual(list(pool.map(insist, range(3))), [expected] * 3)
            self.assertLess(server.resident() - before, 20000)
            # Without its last newline, in small parts, and with a byte order mark.
            parts = [b"\xef\xbb\xbf" + body[:7], *(body[at:at + 1000] for at in range(7, len(body) - 1, 1000))]
            parts[-1] = parts[-1].removesuffix(b"\n")
            self.assertEqual(server.ask("POST", "/v1/classify", iter(parts), PLAIN)[2], expected)
            # One bad line, however late, refuses all.
            answer = server.ask("POST", "/v1/classify", body + b"\xff\n", PLAIN)
            self.check_error(answer, 422, "invalid_utf8")
            self.assertEqual(json.loads(answer[2])["error"]["field"], "line 40001")
            self.check_error(server.ask("POST", "/v1/classify?model=x", body, PLAIN), 404, "unknown_model")
            # Clients that go away in the middle.
            for _ in range(5):
                peer = server.raw(b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
                                  b"Content-Length: %d\r\n\r\n" % len(body) + body[:500000])
                peer.close()
            self.assertEqual(insist(0), expected)
            server.wait_for_metric("mnemo_queue_tokens", 0)  # what the gone ones had sent is answered or dropped

    def test_many_clients(self):
        lines = self.command("classify", "topics.safetensors", "-f", "jsonl", text="\n".join(TEXTS) + "\n")
        expected = [json.loads(line) for line in lines.splitlines()]

        def client(number):
            connection = server.connection()
            for i in range(60):
                which = (number + i) % len(TEXTS)
                # Some requests are refused, which must not touch those that they are batched with.
                text = TEXTS[which] if i % 7 != 3 else 5
                connection.request("POST", "/v1/classify", json.dumps({"text": text}), JSON)
                response = connection.getresponse()
                content = json.loads(response.read())
                if i % 7 != 3 and content != expected[which]:
                    return f"{TEXTS[which]}: {content}"
            connection.close()
            return ""

        for threads in (1, 3):
            with self.serving("topics.safetensors", "--threads", threads) as server:
                with concurrent.futures.ThreadPoolExecutor(32) as pool:
                    self.assertEqual(set(pool.map(client, range(32))), {""})
                server.wait_for_metric('mnemo_requests_total{route="/v1/classify",code="200"}', 32 * 51)
                self.assertEqual(server.metric("mnemo_records_total"), 32 * 51)

    def test_keys_and_routes_are_as_described(self):
        with self.serving("topics.safetensors", "lm/model.safetensors", "translator/model.safetensors",
                          "tagger/model.safetensors", "--access-log", "access.jsonl") as server:
            described = json.loads(server.ask("GET", "/openapi.json")[2])
            self.assertEqual(sorted(described["paths"]),
                             ["/healthz", "/metrics", "/openapi.json", "/readyz", *("/v1/" + one for one in (
                                 "classify", "generate", "models", "score", "tag", "translate"))])
            for path, one in described["paths"].items():
                if "get" in one:
                    self.assertEqual(server.ask("GET", path)[0], 200)
                    continue
                bodies = one["post"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
                model = one["post"]["parameters"][0]["schema"]["enum"][0]
                for name, key in bodies[0]["properties"].items():
                    if name in ("text", "model"):
                        continue
                    # A value of another type, and one out of range, are refused, texts or not.
                    wrong = [[], {}] + ([key["maximum"] * 2 + 1, key["minimum"] - 1] if "maximum" in key else [])
                    wrong += ["x"] if key["type"] != "string" or "enum" in key else [3]
                    for value in wrong:
                        body = json.dumps({"texts": [], name: value})
                        answer = server.ask("POST", f"{path}?model={model}", body, JSON)
                        self.check_error(answer, 400, "invalid_value")
                        self.assertEqual(json.loads(answer[2])["error"]["field"], name)
            self.check_error(server.ask("POST", "/v1/classify?model=x", '{"text": "", "model": "topics"}', JSON), 404,
                             "unknown_model")
            # As the command line prints them.
            for keys, options in (({"top": 3}, ["--top", 3]), ({"explain": True}, ["--explain"]),
                                  ({"top": 4, "threshold": 0.2}, ["--top", 4, "--threshold", 0.2])):
                lines = self.command("classify", "topics.safetensors", "-f", "jsonl", *options, text=TEXTS[0] + "\n")
                self.assertEqual(server.post("/v1/classify", {"text": TEXTS[0], **keys})[1], json.loads(lines))
            weights = server.post("/v1/classify", {"text": "naïve 一部 film", "weights": True})[1]["weights"]
            self.assertEqual([(one["text"], one["start"], one["end"]) for one in weights][0], ("naïve", 0, 5))
            pair = "to be\tbe to"
            (self.path / "pair.tsv").write_text(pair + "\n", encoding="utf-8")
            lines = self.command("score", "translator/model.safetensors", "pair.tsv", "--format-in", "tsv",
                                 "-f", "jsonl")
            self.assertEqual(server.post("/v1/score", {"text": pair, "model": "translator"})[1], json.loads(lines))
            answer = server.ask("POST", "/v1/score?model=translator", '{"text": "a"}', JSON)
            self.check_error(answer, 422, "invalid_text")
            # The page is the same for all, and asks for nothing elsewhere.
            status, headers, page = server.ask("GET", "/")
            self.assertEqual((status, headers["Content-Type"]), (200, "text/html; charset=utf-8"))
            self.assertIn("default-src 'none'; script-src 'sha256-", headers["Content-Security-Policy"])
            self.assertNotIn(b"http://", page)
            self.assertNotIn(b"https://", page)
            # A log that was renamed is begun anew. A request's line follows its answer.
            while not (self.path / "access.jsonl").read_text(encoding="utf-8").count('"path":"/",'):
                time.sleep(0.01)
            (self.path / "access.jsonl").rename(self.path / "access.1")
            server.process.send_signal(signal.SIGHUP)
            server.wait_for("the same as before", 4)
            server.ask("POST", "/v1/classify", b"a\nb\n", PLAIN)
            server.ask("GET", "/%22%C3%BC%FF")
        old = [json.loads(line) for line in (self.path / "access.1").read_text(encoding="utf-8").splitlines()]
        new = [json.loads(line) for line in (self.path / "access.jsonl").read_text(encoding="utf-8").splitlines()]
        self.assertEqual((old[0]["client"], old[0]["method"], old[0]["path"], old[0]["status"]),
                         ("127.0.0.1", "GET", "/openapi.json", 200))
        self.assertIn(400, {one["status"] for one in old})
        self.assertEqual([(one["path"], one["status"], one["texts"], one["received"]) for one in new][0],
                         ("/v1/classify", 200, 2, 4))
        self.assertEqual(new[1]["status"], 404)

    def test_models_are_loaded_again(self):
        shutil.copy(self.path / "topics.safetensors", self.path / "swapped.safetensors")
        with self.serving("swapped.safetensors") as server:
            before = self.sha256("swapped.safetensors")
            self.assertEqual(server.metric(f'mnemo_model_info{{model="swapped",task="classify",sha256="{before}"}}'), 1)
            good = server.post("/v1/classify", {"text": TEXTS[0]})
            (self.path / "swapped.safetensors").write_bytes(TOPICS.read_bytes()[:-100])
            server.process.send_signal(signal.SIGHUP)
            server.wait_for(r"mnemo: swapped: not loaded, the model stays as it was: swapped.safetensors: ")
            self.assertEqual(server.post("/v1/classify", {"text": TEXTS[0]}), good)
            self.assertEqual(server.metric('mnemo_reloads_total{result="refused"}'), 1)
            os.replace(self.path / "swapped.safetensors", self.path / "damaged.safetensors")
            shutil.copy(TOPICS.with_name("version-1-int8.safetensors"), self.path / "swapped.safetensors")
            server.process.send_signal(signal.SIGHUP)
            after = self.sha256("swapped.safetensors")
            server.wait_for(f"swapped: loaded swapped.safetensors, sha256 {after}")
            expected = json.loads(self.command("classify", "swapped.safetensors", "-f", "jsonl", text=TEXTS[0] + "\n"))
            self.assertEqual(server.post("/v1/classify", {"text": TEXTS[0]}), (200, expected))
            self.assertEqual(server.metric(f'mnemo_model_info{{model="swapped",task="classify",sha256="{after}"}}'), 1)

    def test_reloading_and_stopping_under_load_lose_no_answer(self):
        expected = json.loads(self.command("classify", "topics.safetensors", "-f", "jsonl", text=TEXTS[0] + "\n"))
        answers, lost = [], []

        def client(server, end):
            connection = server.connection()
            while not end.is_set():
                try:
                    connection.connect()
                except ConnectionError:
                    return  # it has stopped listening
                while True:
                    try:
                        connection.request("POST", "/v1/classify", json.dumps({"text": TEXTS[0]}), JSON)
                        response = connection.getresponse()
                        answers.append(json.loads(response.read()))
                        if response.getheader("Connection") == "close":
                            connection.close()
                            break
                    except (ConnectionError, http.client.HTTPException) as error:
                        lost.append(repr(error))
                        return

        for _ in range(STOPS):
            end = threading.Event()
            with self.serving() as server:
                threads = [threading.Thread(target=client, args=(server, end)) for _ in range(8)]
                for thread in threads:
                    thread.start()
                for _ in range(10):
                    time.sleep(0.02)
                    server.process.send_signal(signal.SIGHUP)
                time.sleep(0.05)
                self.assertEqual(server.end(), 0)
                end.set()
                for thread in threads:
                    thread.join()
        self.assertEqual(lost, [])
        self.assertGreater(len(answers), 100)
        self.assertTrue(all(answer == expected for answer in answers))

    def test_waiting_requests(self):
        # Of several candidates nothing is written unit by unit: they hold a thread.
        long = post_bytes("/v1/generate", {"text": "", "length": 3000000, "candidates": 2})
        with self.serving("lm/model.safetensors", "--threads", 1, "--wait", 0.5, "--max-queue-tokens", 6000010,
                          "--drain", 60) as server:
            busy = server.raw(long)
            while server.metric("mnemo_batch_records_count") < 1:
                time.sleep(0.01)
            # Routes that ask no model are answered meanwhile, a request that waits too long is refused.
            self.assertEqual(server.ask("GET", "/healthz")[0], 200)
            answer = server.ask("POST", "/v1/score", '{"text": "to be"}', JSON)
            self.check_error(answer, 503, "overloaded")
            self.assertTrue(answer[1]["Retry-After"])
            # A client that goes away leaves the queue: at once with a reset, after a probe else.
            server.raw(post_bytes("/v1/score", {"text": "to be"})).close()
            for _ in range(300):
                if server.metric('mnemo_rejected_total{reason="cancelled"}') == 1:
                    break
                time.sleep(0.01)
            self.assertEqual(server.metric('mnemo_rejected_total{reason="cancelled"}')
                             + server.metric('mnemo_rejected_total{reason="expired"}'), 2)
            # The queue is full.
            waiting = server.raw(post_bytes("/v1/generate", {"text": "", "length": 2999500, "candidates": 2}))
            while server.metric("mnemo_queue_requests") < 1:
                time.sleep(0.01)
            answer = server.ask("POST", "/v1/generate", '{"text": "", "length": 2000}', JSON)
            self.check_error(answer, 503, "overloaded")
            # What has been asked is answered before the end.
            server.process.send_signal(signal.SIGTERM)
            self.assertIn(b"HTTP/1.1 503", everything(waiting))
            self.assertIn(b"HTTP/1.1 200", everything(busy))
            self.assertEqual(server.process.wait(60), 0)

    def test_work_for_nobody_is_given_up(self):
        heavy = post_bytes("/v1/generate", {"text": "to ", "length": 9000, "beam": 100})
        with self.serving("lm/model.safetensors", "topics.safetensors", "--threads", 1, "--drain", 0.3) as server:
            answer = server.ask("POST", "/v1/classify", json.dumps({"text": "a " * 1200, "weights": True}), JSON)
            self.check_error(answer, 413, "too_many_tokens")
            peer = server.raw(heavy)
            while server.metric("mnemo_batch_records_count") < 1:
                time.sleep(0.01)
            peer.close()
            self.assertEqual(server.post("/v1/classify", {"text": TEXTS[0]})[0], 200)
            # One that is still waited for is told when the server stops.
            peer = server.raw(heavy)
            while server.metric("mnemo_batch_records_count") < 3:
                time.sleep(0.01)
            server.process.send_signal(signal.SIGTERM)
            self.assertIn(b'"code":"stopping"', everything(peer))
            self.assertEqual(server.process.wait(60), 0)

    def test_the_record_that_is_refused_is_named(self):
        with self.serving("translator/model.safetensors") as server:
            texts = ["to be\tbe to"] * 300 + ["no tab"] + ["to be\tbe to"] * 20
            status, answer = server.post("/v1/score", {"texts": texts})
            self.assertEqual((status, answer["error"]["field"]), (422, "texts[300]"))
            self.assertNotIn("record", answer["error"]["message"])
            answer = server.ask("POST", "/v1/score", "\n".join(texts).encode(), PLAIN)
            self.check_error(answer, 422, "invalid_text")
            self.assertEqual(json.loads(answer[2])["error"]["field"], "line 301")

    def test_strange_senders(self):
        with self.serving() as server:
            host, port = server.place()
            request = post_bytes("/v1/classify", {"text": TEXTS[0]})
            # One that sends nothing more, but reads.
            peer = server.raw(request)
            peer.shutdown(socket.SHUT_WR)
            self.assertIn(b"200 OK", everything(peer))
            # One that sends a byte at a time.
            peer = socket.create_connection((host, port), timeout=30)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in request:
                peer.sendall(bytes([byte]))
            self.assertIn(b"200 OK", peer.recv(65536))
            peer.close()
            # Several requests at once.
            peer = server.raw(request * 20)
            peer.shutdown(socket.SHUT_WR)
            self.assertEqual(everything(peer).count(b"200 OK"), 20)
            # No HTTP at all, half a request, lengths that are none.
            for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9 + b"\r\n\r\n", b"GET\r\n\r\n",
                         b"GET / HTTP/9.9\r\n\r\n", request[:-5], b"\0" * 5000,
                         request.replace(b"Content-Length: ", b"Content-Length: -"),
                         request.replace(b"Content-Length: ", b"Content-Length: 99999999999999999999")):
                peer = server.raw(data)
                with contextlib.suppress(OSError):
                    peer.shutdown(socket.SHUT_WR)
                peer.settimeout(10)  # well before the time in which a request must be sent
                self.assertNotIn(b"200 OK", everything(peer))
            self.assertEqual(server.post("/v1/classify", {"text": TEXTS[0]})[0], 200)

    def test_requests_of_two_meanings(self):
        body = b'{"text": "a"}'
        chunks = b"d\r\n" + body + b"\r\n0\r\n\r\n"
        post = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\n"
        with self.serving("topics.safetensors", "--access-log", "forms.jsonl") as server:
            for data in (post + b"Content-Length: 13\r\nContent-Length: 5\r\n\r\n" + body,
                         post + b"content-length: 13\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks,
                         post + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + chunks,
                         b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nhost: 127.0.0.1\r\n\r\n",
                         b"GET /healthz HTTP/1.1\r\n\r\n",
                         b"GET /healthz%00x HTTP/1.1\r\nHost: localhost\r\n\r\n",
                         b"GET /healthz?model=topics%00 HTTP/1.1\r\nHost: localhost\r\n\r\n"):
                # What follows is not taken for another request.
                answer = everything(server.raw(data + b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"))
                self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), (data, answer))
                self.assertIn(b'"code":"invalid_request"', answer)
                self.assertEqual(answer.count(b"HTTP/1.1"), 1, (data, answer))
            self.assertIn(b" 200 OK", everything(server.raw(b"GET /healthz HTTP/1.0\r\n\r\n")))
        lines = (self.path / "forms.jsonl").read_text(encoding="utf-8").splitlines()
        self.assertEqual([json.loads(line)["status"] for line in lines], [400] * 7 + [200])

    def test_clients_that_go_away_are_logged_so(self):
        lines = ("to be or not to be " * 20 + "\n").encode() * 4000
        head = b"POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
        with self.serving("lm/model.safetensors", "--access-log", "gone.jsonl",
                          "--max-queue-tokens", 100000000) as server:
            for data in (head % len(lines) + lines[:300000],  # in the middle of a body
                         head % 40000 + lines[:40000],        # after it
                         post_bytes("/v1/generate", {"text": "to", "length": 20000}),
                         post_bytes("/v1/generate", {"text": "to", "length": 900000, "stream": True})):
                peer = server.raw(data)
                if b"stream" in data:
                    peer.recv(100)
                peer.close()
            server.wait_for_metric('mnemo_requests_total{route="/v1/score",code="0"}', 2)
            server.wait_for_metric('mnemo_requests_total{route="/v1/generate",code="0"}', 2)
            self.assertEqual(server.post("/v1/score", {"text": "to be"})[0], 200)
        found = [json.loads(line) for line in (self.path / "gone.jsonl").read_text(encoding="utf-8").splitlines()]
        self.assertEqual([one["status"] for one in found if one["path"] != "/metrics"], [0] * 4 + [200])

    def test_floods(self):
        with self.serving("topics.safetensors", "--max-body", 100000, "--max-lines", 100000) as server:
            server.post("/v1/classify", {"text": TEXTS[0]})
            before = server.resident()

            def flood(head, part, count):
                peer = server.raw(head)
                with contextlib.suppress(ConnectionError):
                    for _ in range(count):
                        peer.sendall(part)
                return everything(peer)

            # Headers of 10 MB, one and many.
            self.assertIn(flood(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ", b"a" * 65536, 160)[9:12],
                          (b"", b"431", b"413"))
            flood(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", b"X: a\r\n" * 10000, 160)
            # A body without end.
            head = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
            chunks, long = b"Transfer-Encoding: chunked\r\n\r\n", b"Content-Length: 99999999"
            self.assertIn(flood(head + chunks, b"10000\r\n" + b"a" * 65536 + b"\r\n", 3000)[9:12], (b"", b"413"))
            self.assertIn(b"413", flood(head + long + b"999\r\n\r\n", b"a", 1)[:20])
            self.assertIn(b"413", flood(head + long + b"\r\nExpect: 100-continue\r\n\r\n", b"", 0)[:20])
            # 300 connections that say nothing.
            idle = [socket.create_connection(server.place(), timeout=30) for _ in range(300)]
            self.assertEqual(server.post("/v1/classify", {"text": TEXTS[0]})[0], 200)
            self.assertLess(server.resident() - before, 12000)
            for peer in idle:
                peer.close()

    def test_bodies_have_a_bound(self):
        begin = '{"text": "'
        with self.serving("topics.safetensors", "--max-held", 3000000) as server:
            server.post("/v1/classify", {"text": TEXTS[0] * 20000})
            before = server.resident()
            for kind, head, end in ((JSON, begin, '"}'), (PLAIN, "", "\n")):
                body = (head + "x" * 899980 + end).encode()
                fields = "".join(f"{name}: {value}\r\n" for name, value in kind.items())
                request = (f"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\n{fields}Connection: close\r\n"
                           f"Content-Length: {len(body)}\r\n\r\n").encode() + body
                # A round refuses more than 57 where parts of some took room.
                refused_before = server.metric('mnemo_rejected_total{reason="held"}')
                peers = [server.raw(request[:-2]) for _ in range(60)]
                server.wait_for_metric("mnemo_connections", 61)
                while server.metric('mnemo_rejected_total{reason="held"}') < refused_before + 57:
                    time.sleep(0.01)
                self.assertLess(server.resident() - before, 25000)
                self.assertLessEqual(server.metric("mnemo_held_bytes"), 3000000)
                for peer in peers:
                    peer.sendall(request[-2:])
                answers = [everything(peer) for peer in peers]
                # Parts of those that were refused in the end took room, too.
                answered = sum(b"HTTP/1.1 200" in answer for answer in answers)
                self.assertIn(answered, (1, 2, 3))
                refused = [answer for answer in answers if b"HTTP/1.1 503" in answer]
                self.assertEqual(len(refused), 60 - answered)
                self.assertTrue(all(b'"code":"overloaded"' in one and b"Retry-After" in one for one in refused))
                server.wait_for_metric("mnemo_held_bytes", 0)
                # What was freed goes back to the system.
                self.assertLess(server.resident() - before, 10000)
        # One alone always has room.
        with self.serving("topics.safetensors", "--max-held", 1) as server:
            self.assertEqual(server.post("/v1/classify", {"text": TEXTS[0] * 20000})[0], 200)
            self.assertEqual(server.ask("POST", "/v1/classify", b"a line\n" * 50000, PLAIN)[0], 200)

    def test_answers_that_cannot_be_kept(self):
        lines = b"a line\n" * 20000
        for folder in ("missing", "full"):
            with self.serving("topics.safetensors", env={**os.environ, "TMPDIR": str(self.path / folder)}) as server:
                if folder == "full":
                    (self.path / folder).mkdir()
                    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (70000, resource.RLIM_INFINITY))
                answer = server.ask("POST", "/v1/classify", lines, PLAIN)
                self.check_error(answer, 503, "failed")
                self.assertIn(b"could not be kept in a temporary file: ", answer[2])
                self.assertEqual(server.ask("POST", "/v1/classify", lines[:700], PLAIN)[0], 200)

    def test_tokens_and_origins(self):
        (self.path / "token").write_text("s3cret\n", encoding="utf-8")
        with self.serving("topics.safetensors", "--token-file", "token", "--cors", "https://a.example") as server:
            for headers in ({}, {"Authorization": "Bearer s3cre"}, {"Authorization": "Bearer s3cret2"},
                            {"Authorization": "Basic s3cret"}, {"Authorization": "Bearer "}):
                answer = server.ask("GET", "/v1/models", headers=headers)
                self.check_error(answer, 401, "unauthorized")
                self.assertEqual(answer[1]["WWW-Authenticate"], "Bearer")
            self.assertEqual(server.ask("GET", "/v1/models", headers={"Authorization": "bearer s3cret"})[0], 200)
            self.assertEqual(server.ask("GET", "/healthz")[0], 200)
            asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
            answer = server.ask("OPTIONS", "/v1/classify", headers=asked)
            self.assertEqual((answer[0], answer[1]["Access-Control-Allow-Origin"]), (204, "https://a.example"))
            self.assertIn("Authorization", answer[1]["Access-Control-Allow-Headers"])
            other = server.ask("GET", "/healthz", headers={"Origin": "https://b.example"})
            self.assertIsNone(other[1]["Access-Control-Allow-Origin"])

    def test_pages_of_other_sites(self):
        with self.serving("lm/model.safetensors", "--cors", "https://a.example") as server:
            host = "{}:{}".format(*server.place())
            for origin, status in (("http://" + host, 200), ("https://a.example", 200), ("https://b.example", 400),
                                   ("null", 400), ("http://" + host + "1", 400)):
                answer = server.ask("POST", "/v1/score", '{"text": "to"}', {**JSON, "Origin": origin})
                self.assertEqual(answer[0], status, origin)
            self.assertEqual(json.loads(answer[2])["error"]["code"], "wrong_origin")
            # What each text has a copy of is small.
            body = json.dumps({"texts": ["to"] * 900, "title": "x" * 20000})
            self.check_error(server.ask("POST", "/v1/generate", body, JSON), 413, "body_too_large")

    def test_sockets(self):
        place = self.path / "socket"
        with self.serving("topics.safetensors", "--listen", f"unix:{place}") as server:
            refused = subprocess.run([MNEMO, "serve", "topics.safetensors", "--listen", f"unix:{place}"], cwd=self.path,
                                     stderr=subprocess.PIPE, check=False)
            self.assertEqual(refused.returncode, 1)
            peer = socket.socket(socket.AF_UNIX)
            peer.connect(str(place))
            peer.sendall(post_bytes("/v1/classify", {"text": TEXTS[0]}, "Connection: close\r\n"))
            self.assertIn(b"200 OK", everything(peer))
        self.assertFalse(place.exists())
        # Who may connect is for the umask to say.
        for mask in (0o022, 0o007):
            with self.serving("topics.safetensors", "--listen", f"unix:{place}", umask=mask):
                self.assertEqual(place.stat().st_mode & 0o777, 0o777 & ~mask)
        # One that a killed server left is replaced.
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(place))
        with self.serving("topics.safetensors", "--listen", f"unix:{place}"):
            pass

    def test_sockets_of_a_service_manager(self):
        # Its socket is descriptor 3.
        environment = {**os.environ, "LISTEN_FDS": "1"}
        for listens in (True, False):
            with socket.socket() as passed:
                passed.bind(("127.0.0.1", 0))
                if listens:
                    passed.listen()
                os.dup2(passed.fileno(), 3) if passed.fileno() != 3 else None
                os.set_inheritable(3, True)
                with self.serving("topics.safetensors", pass_fds=(3,), env=environment) as server:
                    self.assertEqual(server.place(), passed.getsockname())
                    self.assertEqual(server.ask("GET", "/readyz")[0], 200)
        for kind in (socket.socket(type=socket.SOCK_DGRAM), open(os.devnull, "rb")):
            with kind as passed:
                os.dup2(passed.fileno(), 3) if passed.fileno() != 3 else None
                os.set_inheritable(3, True)
                done = subprocess.run(["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", MNEMO, "serve",
                                       "topics.safetensors"], cwd=self.path, env=environment, pass_fds=(3,),
                                      stderr=subprocess.PIPE, timeout=60, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(b"service manager: expected a s", done.stderr)

    def test_signals_while_models_load(self):
        models = [f"m{i}=topics.safetensors" for i in range(100)]
        for number, code in ((signal.SIGHUP, None), (signal.SIGTERM, -signal.SIGTERM)):
            with open(self.path / "early.txt", "wb") as log:
                process = subprocess.Popen([MNEMO, "serve", *models, "--listen", "127.0.0.1:0"], cwd=self.path,
                                           stderr=log)
            # It loads as soon as it no longer leaves SIGHUP to the system.
            status = pathlib.Path(f"/proc/{process.pid}/status")
            while not int(re.search(r"SigCgt:\s+(\w+)", status.read_text()).group(1), 16) & 1:
                time.sleep(0.001)
            self.assertNotIn("listening", (self.path / "early.txt").read_text(encoding="utf-8"))
            process.send_signal(number)
            if code is None:
                for _ in range(2000):
                    if "m99: loaded" in (self.path / "early.txt").read_text(encoding="utf-8"):
                        break
                    time.sleep(0.01)
                else:
                    self.fail("not loaded again")
                process.terminate()
                code = 0
            self.assertEqual(process.wait(60), code)

    def test_what_is_refused_at_the_start(self):
        os.mkfifo(self.path / "pipe")
        shutil.copy(TOPICS, os.fsencode(self.path) + b"/\xff.safetensors")
        for arguments, code, message in (
                (["--listen", "0.0.0.0:0"], 2, "other machines can connect"),
                (["--listen", "nonsense"], 2, "expected ADDRESS:PORT"),
                (["--listen", "127.0.0.1:99999"], 2, "expected ADDRESS:PORT"),
                (["topics.safetensors"], 2, "both would be served as"),
                (["a\nb=topics.safetensors"], 2, "without control characters"),
                ([b"\xff.safetensors"], 2, "expected the name of a model to be UTF-8"),
                (["pipe"], 1, "pipe: expected a model file, found no regular file"),
                (["."], 1, "found no regular file"),
                *((["--cors", origin], 2, "--cors: expected an origin") for origin in (
                    "https://a.example/", "a.example", "https://a.example/x", "https://", "https://a.example:", "null",
                    "https://a.example:x", "https://A.example", "https://u@a.example", "https://a.example, *")),
                (["missing.safetensors"], 1, "missing.safetensors"),
                (["text.txt"], 1, "text.txt"),
                (["--token-file", "missing"], 1, "missing"),
                (["--max-body", "0"], 2, "--max-body")):
            done = subprocess.run([MNEMO, "serve", "topics.safetensors", *arguments], cwd=self.path,
                                  stderr=subprocess.PIPE, timeout=60, check=False)
            self.assertEqual((arguments, done.returncode), (arguments, code))
            self.assertIn(message, done.stderr.decode())

    def test_access_logs_that_take_no_more(self):
        # A pipe whose reader reads nothing until the server has ended.
        for log in ("-", "stalled"):
            if log != "-":
                os.mkfifo(self.path / log)
            inner, outer = (os.pipe() if log == "-" else
                            (os.open(self.path / log, os.O_RDONLY | os.O_NONBLOCK), os.open(os.devnull, os.O_WRONLY)))
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            process = subprocess.Popen([MNEMO, "serve", "topics.safetensors", "--listen", f"127.0.0.1:{port}",
                                        "--access-log", log], cwd=self.path, stderr=outer)
            os.close(outer)
            for _ in range(1000):
                with contextlib.suppress(ConnectionError):
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                    connection.connect()
                    break
                time.sleep(0.01)
            for _ in range(2000):
                connection.request("GET", "/healthz")
                self.assertEqual(connection.getresponse().read(), b'{"status":"ok"}\n')
            connection.request("GET", "/metrics")
            metrics = connection.getresponse().read().decode()
            connection.close()
            dropped = int(re.search(r"^mnemo_access_log_dropped_total (\d+)", metrics, re.M).group(1))
            self.assertGreater(dropped, 100)
            process.send_signal(signal.SIGHUP)
            process.terminate()
            self.assertEqual(process.wait(60), 0)
            with open(inner, encoding="utf-8") as reader:
                lines = [json.loads(line) for line in reader if line.startswith("{")]
            self.assertIn(len(lines) + dropped, (2000, 2001))
        # A disk that is full for a while.
        log = self.path / "full.jsonl"
        log.write_text("x" * 3000 + "\n", encoding="utf-8")
        with self.serving("topics.safetensors", "--access-log", log) as server:
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (3200, resource.RLIM_INFINITY))
            for _ in range(3):
                server.ask("GET", "/healthz")
            self.assertGreaterEqual(server.metric("mnemo_access_log_dropped_total"), 2)
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            server.ask("GET", "/readyz")
            while '"/readyz"' not in log.read_text(encoding="utf-8"):
                time.sleep(0.01)
            # Another one that is torn when the log is opened again.
            os.truncate(log, log.stat().st_size - 5)
            server.process.send_signal(signal.SIGHUP)
            server.wait_for("the same as before")
            server.ask("GET", "/v1/models")
        lines = log.read_text(encoding="utf-8").splitlines()[1:]
        self.assertEqual(json.loads(lines[0])["path"], "/healthz")
        self.assertRaises(ValueError, json.loads, lines[1])
        self.assertRaises(ValueError, json.loads, lines[-2])
        self.assertEqual(json.loads(lines[-1])["path"], "/v1/models")

    def test_the_client_of_the_documentation(self):
        page = (SOURCE / "docs/serving.md").read_text(encoding="utf-8")
        code = re.search(r"```python\n(.*?)```", page, re.S).group(1)
        with self.serving() as server:
            script = self.path / "client.py"
            script.write_text(code.replace("http://127.0.0.1:8080", server.address), encoding="utf-8")
            out = subprocess.run([sys.executable, script], check=True, stdout=subprocess.PIPE).stdout.decode()
            self.assertRegex(out, r"^\[\{'label': '\w+', 'probability': [0-9.]+\}, \{'label")

    def test_the_units_of_the_documentation(self):
        page = (SOURCE / "docs/serving.md").read_text(encoding="utf-8")
        units = dict(re.findall(r"^    # /etc/systemd/system/(\S+)\n((?:(?:    .*)?\n)+)", page, re.M))
        self.assertEqual(sorted(units), ["mnemo-unix.service", "mnemo.service", "mnemo.socket"])
        for name, text in units.items():
            (self.path / name).write_text(re.sub("^    ", "", text, flags=re.M).replace("/usr/local/bin/mnemo", MNEMO),
                                          encoding="utf-8")
        if shutil.which("systemd-analyze"):
            done = subprocess.run(["systemd-analyze", "verify", *(f"./{name}" for name in units)], cwd=self.path,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            found = [line for line in done.stdout.decode().splitlines() if "mnemo" in line]
            self.assertEqual(found, [])

    def test_metrics_are_in_prometheus_form(self):
        with self.serving() as server:
            server.post("/v1/classify", {"text": TEXTS[0]})
            body = server.ask("GET", "/metrics")[2].decode()
            name = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
            label = name + r'="(?:[^"\\\n]|\\.)*"'
            typed = set()
            for line in body.splitlines():
                if found := re.fullmatch(rf"# TYPE ({name}) (counter|gauge|histogram)", line):
                    typed.add(found.group(1))
                elif not line.startswith("# HELP "):
                    found = re.fullmatch(rf"({name})(\{{{label}(?:,{label})*\}})? [0-9.e+-]+", line)
                    self.assertTrue(found, line)
                    self.assertTrue({found.group(1), re.sub("_(bucket|sum|count)$", "", found.group(1))} & typed, line)
            if shutil.which("promtool"):
                subprocess.run(["promtool", "check", "metrics"], input=body.encode(), check=True)


if __name__ == "__main__":
    unittest.main()
