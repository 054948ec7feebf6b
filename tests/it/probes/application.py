"""An application with webhooks, which believes nobody without a right signature."""

import base64, hashlib, hmac, http.server, json, subprocess, sys, tempfile, threading, time, urllib.parse

TOKEN = sys.argv[1].encode()
PUBLIC = "https://andrea.example/hooks"
behaviour = ["answer", "200", '<Response><Gather input="speech"/></Response>']


def twilio(path, headers, body):
    fields = urllib.parse.parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True)
    signed = PUBLIC + path + "".join(name + value for name, value in sorted(fields))
    expected = base64.b64encode(hmac.new(TOKEN, signed.encode(), hashlib.sha1).digest()).decode()
    return hmac.compare_digest(expected, headers.get("X-Twilio-Signature", "")), dict(fields).get("CallSid")


def telnyx(path, headers, body):
    at = headers.get("telnyx-timestamp", "0")
    if abs(time.time() - int(at)) > 300:
        return False, None
    with tempfile.NamedTemporaryFile() as signature, tempfile.NamedTemporaryFile() as signed:
        signature.write(base64.b64decode(headers.get("telnyx-signature-ed25519", "")))
        signed.write(at.encode() + b"|" + body)
        signature.flush(), signed.flush()
        verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "telnyx.pub", "-rawin"]
        verify += ["-in", signed.name, "-sigfile", signature.name]
        right = subprocess.run(verify, capture_output=True).returncode == 0
    return right, json.loads(body)["data"]["payload"]["call_session_id"]


class Application(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        kind = telnyx if self.path.startswith("/telnyx") else twilio
        believed, call = kind(self.path, self.headers, body)
        line = {"path": self.path, "believed": believed, "call": call, "run": self.headers.get("x-ripcord-run")}
        line["signature"] = self.headers.get("X-Twilio-Signature") or self.headers.get("telnyx-signature-ed25519")
        with open("calls.jsonl", "a") as calls:
            calls.write(json.dumps(line) + "\n")
        if behaviour[0] == "hang":
            time.sleep(30)
        if behaviour[0] == "slow":
            time.sleep(0.3)
        status, text = (int(behaviour[1]), behaviour[2]) if behaviour[0] == "answer" else (200, "")
        self.send_response(status if believed else 403)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
for line in sys.stdin:
    behaviour[:] = line.rstrip("\n").split(" ", 2)
    print("done", flush=True)
