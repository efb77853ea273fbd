"""Bitrix24's own Python SDK against the emulator, in place of a portal."""

import json
import os
import re
import subprocess
import unittest
import urllib.request
from datetime import datetime, timedelta, timezone
from unittest import mock
from urllib.parse import urlsplit

import requests
from b24pysdk import BitrixApp, BitrixToken, BitrixWebhook, Client, Config
from b24pysdk.errors import BitrixAPIError

PROGRAM = os.environ.get("B24_EMULATOR", "b24-emulator")
AUTHORIZATION_SERVER = "oauth.bitrix24.tech"
# In the cloud, or on-premise with B24_ON_PREMISE=1.
KIND = ["--on-premise"] if os.environ.get("B24_ON_PREMISE") == "1" else []


class Emulator:
    """The portal as a program."""

    def __init__(self, *options):
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "--quiet", *KIND, *options], stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        # What the program prints about itself: portal, client_id, access_token, …
        self.facts = {}
        for line in self.process.stdout:
            if fact := re.fullmatch(r"(\w+) +(\S+)\n", line):
                self.facts[fact[1]] = fact[2]
            if line.startswith("Ctrl-C"):
                return
        raise RuntimeError(f"{PROGRAM} ended with {self.process.wait()}")

    @property
    def domain(self):
        return urlsplit(self.facts["portal"]).netloc

    def control(self, *items):
        """Makes something happen: see `Control` of the emulator."""
        request = urllib.request.Request(f"{self.facts['portal']}/control", json.dumps(items).encode())
        urllib.request.urlopen(request, timeout=20).close()

    def counter(self, name):
        with urllib.request.urlopen(f"{self.facts['portal']}/control", timeout=20) as answer:
            return json.load(answer)["counters"][name]

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


def setUpModule():
    Config().configure(default_max_retries=2, default_initial_retry_delay=0.1)


class Rest(unittest.TestCase):
    def setUp(self):
        self.emulator = Emulator()
        self.addCleanup(self.emulator.stop)
        self.redirect()
        facts = self.emulator.facts
        self.token = BitrixToken(
            domain=self.emulator.domain,
            auth_token=facts["access_token"],
            refresh_token=facts["refresh_token"],
            expires=datetime.now(timezone.utc) + timedelta(hours=1),
            expires_in=3600,
            bitrix_app=BitrixApp(client_id=facts["client_id"], client_secret=facts["client_secret"]),
        )
        self.client = Client(self.token)
        webhook = urlsplit(facts["webhook"]).path.removeprefix("/rest/").rstrip("/")
        self.webhook = BitrixWebhook(domain=self.emulator.domain, webhook_token=webhook)

    def redirect(self):
        """The SDK speaks https to a portal and to one authorization server; those of the emulator have no TLS."""
        send = requests.Session.request
        domain = self.emulator.domain
        addresses = {domain: domain, AUTHORIZATION_SERVER: urlsplit(self.emulator.facts["auth_server"]).netloc}

        def request(session, method, url, **options):
            parts = urlsplit(url)
            self.assertIn(parts.netloc, addresses)
            address = parts._replace(scheme="http", netloc=addresses[parts.netloc])
            return send(session, method, address.geturl(), **options)

        patch = mock.patch.object(requests.Session, "request", request)
        patch.start()
        self.addCleanup(patch.stop)

    def add_deals(self, count):
        """By somebody else: an application's own changes are not queued for it."""
        return [Client(self.webhook).crm.deal.add(fields={"TITLE": f"Сделка {n}"}).result for n in range(count)]

    def bind(self, **options):
        self.assertTrue(self.client.event.bind("ONCRMDEALADD", event_type="offline", **options).result)

    def test_the_caller(self):
        self.assertEqual(self.client.profile().result["ID"], "1")
        self.assertIn("crm", self.client.scope().result)
        self.assertIsInstance(self.client.server.time().result, str)
        by_webhook = Client(self.webhook)
        self.assertEqual(by_webhook.profile().result["ID"], "1")
        with self.assertRaises(BitrixAPIError) as refused:
            by_webhook.event.offline.get().result
        self.assertEqual(refused.exception.error, "WRONG_AUTH_TYPE")

    def test_records_are_fetched_and_deleted(self):
        self.bind()
        deal, _ = self.add_deals(2)
        request = self.client.event.offline.get(limit=1)
        self.assertIsNone(request.result["process_id"])
        (event,) = request.result["events"]
        self.assertEqual(event["EVENT_NAME"], "ONCRMDEALADD")
        self.assertEqual(event["EVENT_DATA"], {"FIELDS": {"ID": str(deal)}})
        self.assertEqual(len(self.client.event.offline.get().result["events"]), 1)
        self.assertEqual(self.client.event.offline.get().result["events"], [])

    def test_records_are_reserved_and_acknowledged(self):
        self.bind(auth_connector="OneC")
        self.add_deals(3)
        self.assertEqual(self.client.event.offline.list().result, [])
        fetched = self.client.event.offline.get(clear=False, auth_connector="OneC").result
        messages = [event["MESSAGE_ID"] for event in fetched["events"]]
        self.assertEqual(len(messages), 3)
        reserved = {"filter": {">PROCESS_ID": ""}, "auth_connector": "OneC"}
        self.assertEqual(
            {record["PROCESS_ID"] for record in self.client.event.offline.list(**reserved).result},
            {fetched["process_id"]},
        )
        # `clear` and `error` of the SDK do not know `auth_connector`.
        params = {"process_id": fetched["process_id"], "auth_connector": "OneC"}
        clear = self.token.call_method("event.offline.clear", {**params, "message_id": messages[:1]})
        self.assertTrue(clear["result"])
        again = self.client.event.offline.get(clear=False, **params).result
        self.assertEqual([event["MESSAGE_ID"] for event in again["events"]], messages[1:])
        self.token.call_method("event.offline.error", {**params, "message_id": messages[1:2]})
        failed = self.client.event.offline.get(clear=False, error=True, auth_connector="OneC").result
        self.assertEqual([event["MESSAGE_ID"] for event in failed["events"]], messages[1:2])

    def test_objects_of_the_sdk(self):
        self.bind()
        self.add_deals(1)
        (event,) = self.client.event.offline.list().values
        self.assertEqual(event.event_name, "ONCRMDEALADD")
        (binding,) = self.client.event.get().result
        self.assertEqual(binding, {"event": "ONCRMDEALADD", "connector_id": "", "offline": 1})
        self.assertEqual(self.client.event.unbind("ONCRMDEALADD", event_type="offline").result, {"count": 1})

    def test_pages_and_batches(self):
        self.bind()
        calls = [("crm.deal.add", {"fields": {"TITLE": str(n)}}) for n in range(60)]
        answers = self.webhook.call_batches(calls)["result"]["result"]
        self.assertEqual(len(answers), 60)
        page = self.client.event.offline.list().response
        self.assertEqual((len(page.result), page.next, page.total), (50, 50, 60))
        everything = self.client.crm.deal.list(select=["ID"]).as_list().result
        self.assertEqual(sorted(int(deal["ID"]) for deal in everything), list(range(1, 61)))

    def test_tokens_are_renewed(self):
        old = self.token.auth_token, self.token.refresh_token
        self.emulator.control("expire_tokens")
        self.assertEqual(self.client.profile().result["ID"], "1")
        self.assertNotIn(self.token.auth_token, old)
        self.assertNotIn(self.token.refresh_token, old)
        self.assertEqual(self.token.domain, self.emulator.domain)

    def test_push_and_pull(self):
        config = self.client.pull.application.config.get().result
        self.assertEqual(config["server"]["version"], 4)
        self.assertEqual(config["channels"]["shared"]["type"], "shared")
        event = self.client.pull.application.event.add(command="test", params={"a": 1}, module_id="application")
        self.assertTrue(event.result)

    def test_refusals(self):
        def code(method, params):
            with self.assertRaises(BitrixAPIError) as refused:
                self.token.call_method(method, params)
            return refused.exception.error

        self.assertEqual(code("event.bind", {"event": "ONNOTHING", "event_type": "offline"}), "ERROR_EVENT_NOT_FOUND")
        elsewhere = {"event": "ONOFFLINEEVENT", "handler": "http://example.com/"}
        self.assertEqual(code("event.bind", elsewhere), "ERROR_ARGUMENT")
        self.assertEqual(code("event.offline.clear", {}), "ERROR_ARGUMENT")
        self.assertEqual(code("no.such.method", {}), "ERROR_METHOD_NOT_FOUND")
        self.emulator.control({"scope": {"scope": "user_brief"}})
        self.assertEqual(code("crm.deal.list", {}), "insufficient_scope")

    def test_a_call_over_the_limit_is_repeated(self):
        refusal = {"status": 503, "error": "QUERY_LIMIT_EXCEEDED", "description": "Too many requests"}
        self.emulator.control({"fail_next": refusal})
        before = self.emulator.counter("requests")
        self.assertEqual(self.client.profile().result["ID"], "1")
        # The refused call, the repeated one, and the question after the counter.
        self.assertEqual(self.emulator.counter("requests"), before + 3)


if __name__ == "__main__":
    unittest.main()
