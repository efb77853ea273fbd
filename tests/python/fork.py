"""A client and os.fork, run by tests/fork.rs: the child cannot use what its parent has made."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys

import b24events
from b24events import B24Error, Client, Config

# A child that hangs ends.
MAX_CHILD_SECONDS = 60


def config(connector: str) -> Config:
    names = {
        "portal.url": "PORTAL_URL",
        "auth.server": "AUTH_SERVER",
        "auth.client_id": "CLIENT_ID",
        "auth.client_secret": "CLIENT_SECRET",
        "auth.access_token": "ACCESS_TOKEN",
        "auth.refresh_token": "REFRESH_TOKEN",
    }
    keys = {key: os.environ[f"B24_{name}"] for key, name in names.items()}
    return Config({**keys, "connector.id": connector})


def child(parents: Client) -> None:
    signal.alarm(MAX_CHILD_SECONDS)
    for call in (parents.next, parents.stats, parents.close):
        try:
            call()
        except B24Error as error:
            assert error.status == b24events.STATE and "fork" in error.message, error
        else:
            raise AssertionError(f"{call} of the parent's client has worked")
    parents.free()
    with Client(config("Child")) as own:
        own.bind_event("ONCRMDEALUPDATE")
        assert own.connect()
        own.call("profile")


def main() -> None:
    with Client(config("Parent")) as client:
        client.bind_event("ONCRMDEALADD")
        assert client.connect()

        forked = os.fork()
        if forked == 0:
            child(client)
            sys.exit(0)
        assert os.waitpid(forked, 0)[1] == 0

        process = multiprocessing.get_context("fork").Process(target=child, args=(client,))
        process.start()
        process.join()
        assert process.exitcode == 0, process.exitcode

        with Client(config("")) as somebody:
            somebody.call("crm.deal.add", {"fields": {"TITLE": "x"}})
        with client.next(30) as batch:
            assert len(batch) == 1
            batch.ack()
        assert client.stats()["failures"] == 0
    print("all parts passed")


main()
