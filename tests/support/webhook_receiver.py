"""A receiver of webhooks that believes nothing: the signature by Standard Webhooks' library, the event by CloudEvents' SDK
and by the JSON Schema that is given as the argument. It prints its address, and one line for each event."""

import http.server
import json
import os
import sys

import jsonschema
from cloudevents.v1.http import from_http
from standardwebhooks.webhooks import Webhook

with open(sys.argv[1], encoding="utf-8") as file:
    SCHEMA = json.load(file)
jsonschema.Draft202012Validator.check_schema(SCHEMA)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
WEBHOOK = Webhook(os.environ["WEBHOOK_SECRET"])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            WEBHOOK.verify(body, headers)
            VALIDATOR.validate(json.loads(body))
            event = from_http(headers, body)
            whose = event.data["device"] or event.data["source"]
            assert (event.get("subject") or event.data["source"]) == whose
            line, status = f"{event['type']} {whose} {event.data['labels'].get('site')}", 204
        except Exception as error:
            line, status = f"refused: {type(error).__name__}", 400
            print(error, file=sys.stderr)
        print(line, flush=True)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(f"http://127.0.0.1:{server.server_port}/hook", flush=True)
server.serve_forever()
