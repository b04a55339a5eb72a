"""One user of a daemon that several share: ask SOCKET DOCUMENT SECONDS, or flood SOCKET SECONDS TEXTFILE.

`ask` asks one question after the other and prints how long the first token and the last of each took. `flood` takes
all that it can get for so long: idle connections, uploads that stall a byte short, answers that it does not read, and
one put after the other.
"""
import http.client
import json
import resource
import socket
import sys
import threading
import time


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout=60):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(path, document, seconds):
    times, answers, failures = [], set(), []
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(times) < 3:
        start = time.monotonic()
        try:
            connection = Connection(path)
            body = {"document": document, "max_tokens": 16, "stream": True,
                    "messages": [{"role": "user", "content": "Who was it?"}]}
            connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer, first = "", None
            for line in response:
                if response.status != 200 or not line.startswith(b"data: {"):
                    continue
                delta = json.loads(line[6:])["choices"][0]["delta"].get("content")
                if delta:
                    first = first or time.monotonic() - start
                    answer += delta
            connection.close()
            if response.status == 200 and first:
                times.append((first, time.monotonic() - start))
                answers.add(answer)
            else:
                failures.append(f"{response.status} {answer}")
        except OSError as error:
            failures.append(repr(error))
        if len(failures) > 20:
            break
    print(json.dumps({"seconds": times, "answers": sorted(answers), "failures": failures}))


def flood(path, seconds, text):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, 4096), limit))
    end = time.monotonic() + seconds
    done = {"connections": 0, "uploads": 0, "streams": 0, "puts": 0, "refused": 0}
    held = []

    def hold(kind, bytes_, count):
        while time.monotonic() < end:
            mine = []
            for _ in range(count):
                try:
                    one = socket.socket(socket.AF_UNIX)
                    one.settimeout(5)
                    one.connect(path)
                    if bytes_:
                        one.sendall(bytes_)
                    mine.append(one)
                    done[kind] += 1
                except OSError:
                    pass
            held.extend(mine)
            # Those that the daemon has closed are opened again.
            time.sleep(1)
            for one in mine:
                one.close()

    def put():
        number = 0
        while time.monotonic() < end:
            number += 1
            try:
                connection = Connection(path)
                connection.request("PUT", f"/v1/documents/b{number}?keep=40%25", text, {"Content-Type": "text/plain"})
                done["puts" if connection.getresponse().status in (200, 201) else "refused"] += 1
                connection.close()
            except OSError:
                done["refused"] += 1

    upload = b"PUT /v1/documents/u HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 60000000\r\n\r\n"
    question = json.dumps({"document": "b0", "stream": True, "max_tokens": 1000,
                           "messages": [{"role": "user", "content": "Tell all of it."}]}).encode()
    stream = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
              + str(len(question)).encode() + b"\r\n\r\n" + question)
    work = [threading.Thread(target=put)]
    uploads = upload + b"x" * 100_000
    for kind, bytes_, count in [("connections", b"", 600), ("uploads", uploads, 6), ("streams", stream, 40)]:
        work.append(threading.Thread(target=hold, args=(kind, bytes_, count)))
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    print(json.dumps(done))


if sys.argv[1] == "ask":
    ask(sys.argv[2], sys.argv[3], float(sys.argv[4]))
else:
    flood(sys.argv[2], float(sys.argv[3]), open(sys.argv[4], "rb").read())
