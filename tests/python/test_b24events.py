"""The library used by a Python host, against the emulator that tests/python_host.rs has started."""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import select
import signal
import sys
import threading
import time
import unittest
import weakref

import b24events
from b24events import B24Error, Client, Config

TIMEOUT = 10.0


def portal_config(connector: str) -> Config:
    """Everything from the environment, for the queue of this connector id."""
    return Config(
        {
            "portal.url": os.environ["B24_PORTAL_URL"],
            "auth.server": os.environ["B24_AUTH_SERVER"],
            "auth.client_id": os.environ["B24_CLIENT_ID"],
            "auth.client_secret": os.environ["B24_CLIENT_SECRET"],
            "auth.access_token": os.environ["B24_ACCESS_TOKEN"],
            "auth.refresh_token": os.environ["B24_REFRESH_TOKEN"],
            "connector.id": connector,
            "rate.per_second": 0,  # this portal has no limits
        }
    )


class PortalTest(unittest.TestCase):
    """A test with a queue of its own, and with another user of the portal."""

    def setUp(self) -> None:
        self.connector = self.id().rpartition(".")[2]
        self.somebody = Client(portal_config(""))
        self.addCleanup(self.somebody.free)
        self.client = Client(portal_config(self.connector))
        self.addCleanup(self.client.free)

    def listen(self) -> None:
        """From here on, every notification belongs to this test."""
        self.client.bind_event("ONCRMDEALADD")
        self.assertTrue(self.client.connect(TIMEOUT))
        self.assertFalse(self.client.wait(TIMEOUT).signalled)

    def add_deal(self, title: str = "Сделка") -> str:
        return str(self.somebody.call("crm.deal.add", {"fields": {"TITLE": title}})["result"])

    def assertFails(self, status: int, function, *arguments) -> B24Error:
        with self.assertRaises(B24Error) as caught:
            function(*arguments)
        self.assertEqual(b24events.status_name(caught.exception.status), b24events.status_name(status))
        return caught.exception


class ConfigTest(unittest.TestCase):
    def test_values_are_read_back(self) -> None:
        with Config({"fetch.limit": 10, "http.allow_plain": True, "auth.access_token": "secret"}) as config:
            self.assertEqual(config["fetch.limit"], "10")
            self.assertEqual(config["http.allow_plain"], "true")
            self.assertEqual(config["auth.access_token"], "***")
            self.assertEqual(config["fetch.reserve"], "auto")

    def test_wrong_values_are_refused(self) -> None:
        for values, text in [
            ({"fetch.limits": 1}, "fetch.limit,"),
            ({"fetch.limit": 1001}, "from 1 to 1000"),
            ({"portal.url": "ftp://x"}, "portal.url"),
        ]:
            with self.subTest(values=values), self.assertRaises(B24Error) as caught:
                Config(values)
            self.assertEqual(caught.exception.status, b24events.CONFIG)
            self.assertIn(text, caught.exception.message)
            self.assertIn("B24_CONFIG", str(caught.exception))

    def test_a_freed_configuration_is_refused(self) -> None:
        config = Config()
        config.free()
        config.free()
        with self.assertRaises(B24Error) as caught:
            config["fetch.limit"] = 1
        self.assertEqual(caught.exception.status, b24events.INVALID_HANDLE)


class DeliveryTest(PortalTest):
    def test_a_change_becomes_a_record(self) -> None:
        self.listen()
        deal = self.add_deal()
        notification = self.client.wait(TIMEOUT)
        self.assertEqual(notification, (self.connector, 1, True))
        with self.client.fetch() as batch:
            self.assertEqual(len(batch), 1)
            self.assertEqual(len(batch.process_id), 32)
            (record,) = batch
            self.assertEqual(record["EVENT_NAME"], "ONCRMDEALADD")
            self.assertEqual(record["EVENT_DATA"], {"FIELDS": {"ID": deal}})
            (found,) = batch.objects().values()
            self.assertEqual((found["status"], found["object"]["ID"]), ("object", deal))
            self.assertEqual(
                set(record), {"ID", "TIMESTAMP_X", "EVENT_NAME", "EVENT_DATA", "EVENT_ADDITIONAL", "MESSAGE_ID"}
            )
            batch.ack()
        self.assertEqual(self.client.call("event.offline.list")["total"], 0)

    def test_some_are_acknowledged_and_some_fail(self) -> None:
        self.listen()
        for _ in range(3):
            self.add_deal()
        with self.client.fetch() as batch:
            first, second, third = (record["MESSAGE_ID"] for record in batch)
            batch.ack_records([first])
            batch.fail_records([second])
            self.assertFails(b24events.INVALID_ARGUMENT, batch.ack_records, ["f" * 32])
            left = self.client.call("event.offline.list", {"order": {"ID": "ASC"}})["result"]
            marks = [(record["MESSAGE_ID"], record["ERROR"]) for record in left]
            self.assertEqual(marks, [(second, "1"), (third, "0")])
            batch.ack()
        stats = self.client.stats()
        self.assertEqual((stats["fetched"], stats["acknowledged"], stats["failed"]), (3, 2, 1))

    def test_what_was_not_acknowledged_is_delivered_again(self) -> None:
        self.listen()
        self.add_deal()
        with self.client.next(TIMEOUT) as batch:
            message_ids = [record["MESSAGE_ID"] for record in batch]
            self.assertEqual(batch.attempt, 1)
        self.assertEqual(self.client.recover(), 1)
        with self.client.fetch() as batch:
            self.assertEqual([record["MESSAGE_ID"] for record in batch], message_ids)
            self.assertEqual(batch.attempt, 2)
        self.client.close()
        with Client(portal_config(self.connector)) as client:
            client.restore(self.client.state())
            with client.fetch() as batch:
                batch.fail_records(message_ids)
            with client.fetch_failed() as batch:
                self.assertEqual([record["MESSAGE_ID"] for record in batch], message_ids)
                batch.ack()

    def test_the_main_loop_ends_when_the_client_is_closed(self) -> None:
        self.listen()
        self.add_deal()
        seen = []
        for batch in self.client:
            with batch:
                seen += batch.records
                batch.ack()
            if len(seen) < 3:
                self.add_deal()
            else:
                self.client.close()
        self.assertEqual(len(seen), 3)

    def test_a_wait_ends_when_its_time_is_over(self) -> None:
        self.listen()
        start = time.monotonic()
        self.assertIsNone(self.client.wait(0.6))
        self.assertIsNone(self.client.next(0.1))
        self.assertGreaterEqual(time.monotonic() - start, 0.7)
        self.assertIsNone(self.client.wait(0))


class CallTest(PortalTest):
    def test_a_call_returns_the_answer(self) -> None:
        deal = self.add_deal("Заказ «1»")
        self.assertEqual(self.client.call("crm.deal.get", {"id": deal})["result"]["TITLE"], "Заказ «1»")

    def test_a_diagnosis_names_what_is_missing(self) -> None:
        report = self.client.diagnose()
        failed = [check["id"] for check in report["checks"] if check["status"] == "failed"]
        self.assertEqual((report["status"], failed), ("failed", ["bindings"]))
        self.assertIn("-> bind the events", report["text"]["english"])
        self.client.bind_event("ONCRMDEALADD")
        self.assertEqual(self.client.diagnose(timeout=30)["status"], "ok")

    def test_an_administrator_authorizes_at_the_portal(self) -> None:
        address = self.client.authorization_address("a b")
        self.assertRegex(address, "^http://127.0.0.1:[0-9]+/oauth/authorize/[?]client_id=local.+&state=a%20b$")

    def test_a_batch_returns_results_and_errors(self) -> None:
        answer = self.client.call_batch(
            {
                "new": {"method": "crm.deal.add", "params": {"fields": {"TITLE": "Заказ"}}},
                "read": {"method": "crm.deal.get", "params": {"id": "$result[new]"}},
                "wrong": {"method": "no.such.method"},
            }
        )
        self.assertEqual(answer["results"]["read"]["TITLE"], "Заказ")
        self.assertEqual(answer["errors"]["wrong"]["error"], "ERROR_METHOD_NOT_FOUND")

    def test_a_refusal_is_raised(self) -> None:
        error = self.assertFails(b24events.PORTAL, self.client.call, "no.such.method")
        self.assertEqual((error.code, error.http_status), ("ERROR_METHOD_NOT_FOUND", 404))
        self.assertFalse(error.is_transient)

    def test_an_error_that_may_pass_is_transient(self) -> None:
        config = portal_config("")
        config["portal.url"] = "http://127.0.0.1:1"  # nothing listens there
        with Client(config) as client:
            self.assertTrue(self.assertFails(b24events.NETWORK, client.call, "profile").is_transient)

    def test_a_user_who_is_not_an_administrator_is_refused(self) -> None:
        config = portal_config("")
        config["auth.access_token"] = os.environ["B24_EMPLOYEE_TOKEN"]
        with Client(config) as employee:
            error = self.assertFails(b24events.ACCESS_DENIED, employee.bind_event, "ONCRMDEALADD")
        self.assertNotIn(os.environ["B24_EMPLOYEE_TOKEN"], str(error))

    def test_waiting_needs_a_connection(self) -> None:
        error = self.assertFails(b24events.STATE, self.client.wait, 0)
        self.assertIn("b24_client_connect", error.message)


class ThreadTest(PortalTest):
    def test_close_ends_a_wait_on_another_thread(self) -> None:
        self.listen()
        errors = []
        thread = threading.Thread(target=lambda: errors.append(self.assertFails(b24events.CLOSED, self.client.wait)))
        thread.start()
        self.client.close()
        thread.join(TIMEOUT)
        self.assertEqual(len(errors), 1)

    def test_ctrl_c_interrupts_a_wait(self) -> None:
        self.listen()
        with self.assertRaises(KeyboardInterrupt):
            threading.Timer(0.05, signal.raise_signal, [signal.SIGINT]).start()
            self.client.next()

    @unittest.skipUnless(sys.platform == "linux", "other systems have no descriptor")
    def test_a_client_can_be_selected(self) -> None:
        self.listen()
        self.assertEqual(select.select([self.client], [], [], 0)[0], [])
        self.add_deal()
        self.assertEqual(select.select([self.client], [], [], TIMEOUT)[0], [self.client])
        self.assertTrue(self.client.wait(0).signalled)
        self.assertEqual(select.select([self.client], [], [], 0)[0], [])


class CallbackTest(PortalTest):
    def test_log_lines_arrive_after_the_configuration_is_garbage(self) -> None:
        lines = []
        config = portal_config(self.connector)
        config.on_log(lambda level, message: lines.append((level, message)))
        client = Client(config)
        del config
        gc.collect()
        client.connect(TIMEOUT)
        client.free()
        self.assertTrue(any("subscribed" in message for _, message in lines), lines)
        self.assertTrue(all(level == b24events.LOG_INFO for level, _ in lines), lines)

    def test_a_client_that_is_garbage_is_freed(self) -> None:
        lines = []
        config = portal_config(self.connector)
        config.on_log(lambda _, message: lines.append(message))
        client = Client(config)
        gone = weakref.ref(client)
        del client
        gc.collect()
        self.assertIsNone(gone())
        self.assertEqual(lines, ["closed"])


class TokensTest(unittest.TestCase):
    # No other clients here: the clients of a process share their tokens.
    def test_new_tokens_are_reported(self) -> None:
        stored = []
        config = portal_config("")
        config.on_tokens(stored.append)
        config["auth.expires"] = 1  # long ago
        with Client(config) as client:
            client.call("profile")
            (tokens,) = stored
            self.assertNotEqual(tokens.access_token, os.environ["B24_ACCESS_TOKEN"])
            self.assertGreater(tokens.expires, time.time())
            self.assertEqual(tokens.member_id, os.environ["B24_MEMBER_ID"])
            self.assertEqual(client.stats()["renewals"], 1)
        # The pair in the environment is no longer valid. The tests that follow use this one.
        os.environ["B24_ACCESS_TOKEN"] = tokens.access_token
        os.environ["B24_REFRESH_TOKEN"] = tokens.refresh_token

    def test_a_host_renews_tokens_itself(self) -> None:
        stored = []
        config = portal_config("")
        config["auth.access_token"] = config["auth.refresh_token"] = ""
        config.on_tokens(stored.append)
        with Client(config) as client:
            client.authorize(os.environ["B24_AUTHORIZATION_CODE"])
            client.call("profile")
        (tokens,) = stored
        config["auth.renew"] = "host"
        with Client(config) as client:
            client.set_tokens(tokens.access_token, tokens.refresh_token, tokens.expires)
            client.call("profile")
        self.assertEqual(len(stored), 1)


class HandlerTest(PortalTest):
    """A host with a web server of its own."""

    def call(self, token: str) -> bytes:
        return json.dumps(
            {
                "event": "ONOFFLINEEVENT",
                "ts": int(time.time()),
                "auth": {
                    "domain": os.environ["B24_PORTAL_URL"].partition("//")[2],
                    "member_id": os.environ["B24_MEMBER_ID"],
                    "application_token": token,
                },
            }
        ).encode()

    def test_calls_of_the_portal_make_notifications(self) -> None:
        token = os.environ["B24_APPLICATION_TOKEN"]
        config = portal_config(self.connector)
        config["source"] = "handler"
        config["handler.listen"] = ""
        config["handler.application_token"] = token
        with Client(config) as client:
            self.assertTrue(client.connect())
            self.assertFalse(client.wait(TIMEOUT).signalled)
            self.assertEqual(client.accept_handler_call(self.call(token), "application/json"), 200)
            self.assertTrue(client.wait(0).signalled)
            self.assertEqual(client.accept_handler_call(self.call("guess")), 403)
            self.assertEqual(client.accept_handler_call(b"\x00\xff"), 400)
            self.assertEqual(client.accept_handler_call(b"x" * 100_000), 413)
            self.assertIsNone(client.wait(0))
            self.assertEqual(client.stats()["handler_refused"], 3)

    def test_an_address_is_bound_and_unbound(self) -> None:
        def bound() -> list:
            bindings = self.client.call("event.get")["result"]
            return [binding["handler"] for binding in bindings if binding["event"] == "ONOFFLINEEVENT"]

        address = "http://127.0.0.1:1/b24"
        self.client.bind_handler(address)
        self.client.bind_handler(address, min_timeout=5)
        self.assertEqual(bound(), [address])
        self.client.unbind_handler(address)
        self.client.bind_handler(address)
        self.client.unbind_handler()
        self.assertEqual(bound(), [])
        self.assertFails(b24events.INVALID_ARGUMENT, self.client.bind_handler, "my-server")


if __name__ == "__main__":
    # If a test hangs, the program ends and shows where.
    faulthandler.dump_traceback_later(90, exit=True)
    unittest.main()
