"""Bitrix24 offline events for Python: libb24events through ctypes. Needs nothing but the standard library.

    with Client({"portal.url": "https://my.bitrix24.com", "auth.access_token": token}) as client:
        client.bind_event("ONCRMDEALADD")
        client.connect()
        for batch in client:
            with batch:
                for record in batch:
                    print(record["EVENT_NAME"], record["EVENT_DATA"])
                batch.ack()

CONFIGURATION.md lists the keys of the configuration. Timeouts are in seconds; None means no limit. The library is
loaded from the path in the environment variable B24EVENTS_LIBRARY, or from where the system looks for libraries.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import sys
import time
import weakref
from ctypes import POINTER, Structure, byref, c_char_p, c_int32, c_size_t, c_ssize_t, c_uint32, c_uint64, c_void_p
from types import MappingProxyType
from typing import Any, Callable, Iterator, Mapping, NamedTuple, Optional, Sequence, Union

ABI_VERSION = 1

OK = 0
TIMEOUT = 1
INVALID_ARGUMENT = -1
INVALID_HANDLE = -2
CONFIG = -3
NETWORK = -4
TLS = -5
PROTOCOL = -6
AUTH = -7
ACCESS_DENIED = -8
WRONG_AUTH_TYPE = -9
LICENSE = -10
RATE_LIMIT = -11
PORTAL = -12
STATE = -13
CLOSED = -14
PANIC = -15

LOG_ERROR = 1
LOG_WARNING = 2
LOG_INFO = 3
LOG_DEBUG = 4

# The value of a configuration key.
Value = Union[str, int, bool]

# Maximum time, in seconds, between two checks for signals while a call waits.
_PIECE = 0.5


class B24Error(Exception):
    """A call that failed.

    Holds the status, the portal's error code ("" if none), the HTTP status (0 if none), whether the same call may
    succeed later although nobody changes anything, and a message that says what happened and what to do.
    """

    def __init__(self, status: int, code: str, http_status: int, is_transient: bool, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.http_status = http_status
        self.is_transient = is_transient
        self.message = message

    def __str__(self) -> str:
        return f"{status_name(self.status)}: {self.message}"


class Tokens(NamedTuple):
    """A new pair of tokens. Store it, because the old pair is no longer valid."""

    access_token: str
    refresh_token: str
    expires: int
    client_endpoint: str
    member_id: str


class Notification(NamedTuple):
    """The queue may hold new records: fetch them."""

    connector_id: str
    count: int
    signalled: bool


class _Tokens(Structure):
    _fields_ = [
        ("access_token", c_char_p),
        ("refresh_token", c_char_p),
        ("expires", c_uint64),
        ("client_endpoint", c_char_p),
        ("member_id", c_char_p),
        ("reserved", c_void_p * 4),
    ]


class _Notification(Structure):
    _fields_ = [
        ("connector_id", c_char_p),
        ("count", c_uint64),
        ("signalled", c_int32),
        ("reserved", c_int32 * 5),
    ]


class _Record(Structure):
    _fields_ = [
        ("message_id", c_char_p),
        ("event_name", c_char_p),
        ("event_data", c_char_p),
        ("event_additional", c_char_p),
        ("timestamp_x", c_char_p),
        ("id", c_char_p),
        ("attempt", c_uint32),
        ("reserved", c_void_p * 3),
    ]


_LogFunction = ctypes.CFUNCTYPE(None, c_void_p, c_int32, c_char_p)
_TokensFunction = ctypes.CFUNCTYPE(None, c_void_p, POINTER(_Tokens))

# Result and parameters of each function. Handles are opaque. Texts that have to be freed are declared as pointers.
_FUNCTIONS = {
    "version": (c_char_p, []),
    "abi_version": (c_uint32, []),
    "status_name": (c_char_p, [c_int32]),
    "last_error_message": (c_char_p, []),
    "last_error_code": (c_char_p, []),
    "last_error_http_status": (c_int32, []),
    "last_error_is_transient": (c_int32, []),
    "string_free": (None, [c_void_p]),
    "config_new": (c_int32, [POINTER(c_void_p)]),
    "config_set": (c_int32, [c_void_p, c_char_p, c_char_p]),
    "config_get": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "config_on_log": (c_int32, [c_void_p, _LogFunction, c_void_p]),
    "config_on_tokens": (c_int32, [c_void_p, _TokensFunction, c_void_p]),
    "config_free": (None, [c_void_p]),
    "client_new": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "client_connect": (c_int32, [c_void_p, c_int32]),
    "client_bind_event": (c_int32, [c_void_p, c_char_p]),
    "client_unbind_event": (c_int32, [c_void_p, c_char_p]),
    "client_wait": (c_int32, [c_void_p, c_int32, POINTER(_Notification)]),
    "client_fetch": (c_int32, [c_void_p, c_uint32, POINTER(c_void_p)]),
    "client_next": (c_int32, [c_void_p, c_int32, POINTER(c_void_p)]),
    "client_fetch_failed": (c_int32, [c_void_p, c_uint32, POINTER(c_void_p)]),
    "client_recover": (c_int32, [c_void_p, POINTER(c_size_t)]),
    "client_state": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "client_restore": (c_int32, [c_void_p, c_char_p]),
    "client_call": (c_int32, [c_void_p, c_char_p, c_char_p, POINTER(c_void_p)]),
    "client_call_batch": (c_int32, [c_void_p, c_char_p, c_int32, POINTER(c_void_p)]),
    "client_authorize": (c_int32, [c_void_p, c_char_p]),
    "client_set_tokens": (c_int32, [c_void_p, c_char_p, c_char_p, c_uint64]),
    "client_bind_handler": (c_int32, [c_void_p, c_char_p, c_uint32]),
    "client_unbind_handler": (c_int32, [c_void_p, c_char_p]),
    "client_accept_handler_call": (c_int32, [c_void_p, c_char_p, c_size_t, c_char_p, POINTER(c_int32)]),
    "client_stats": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "client_diagnose": (c_int32, [c_void_p, c_int32, POINTER(c_void_p)]),
    "client_authorization_address": (c_int32, [c_void_p, c_char_p, POINTER(c_void_p)]),
    "client_fd": (c_ssize_t, [c_void_p]),
    "client_wait_handle": (c_void_p, [c_void_p]),
    "client_close": (c_int32, [c_void_p]),
    "client_free": (None, [c_void_p]),
    "batch_len": (c_size_t, [c_void_p]),
    "batch_record": (c_int32, [c_void_p, c_size_t, POINTER(_Record)]),
    "batch_json": (c_char_p, [c_void_p]),
    "batch_process_id": (c_char_p, [c_void_p]),
    "batch_objects": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "batch_ack": (c_int32, [c_void_p]),
    "batch_ack_records": (c_int32, [c_void_p, POINTER(c_char_p), c_size_t]),
    "batch_fail_records": (c_int32, [c_void_p, POINTER(c_char_p), c_size_t]),
    "batch_free": (None, [c_void_p]),
}


def _load() -> ctypes.CDLL:
    names = {"win32": "b24events.dll", "darwin": "libb24events.dylib"}
    name = names.get(sys.platform, f"libb24events.so.{ABI_VERSION}")
    path = os.environ.get("B24EVENTS_LIBRARY") or name
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        text = f"cannot load {path} ({error}); set B24EVENTS_LIBRARY to the path of the library"
        raise ImportError(text) from None
    for name, (result, parameters) in _FUNCTIONS.items():
        function = getattr(library, f"b24_{name}")
        function.restype = result
        function.argtypes = parameters
    if library.b24_abi_version() != ABI_VERSION:
        raise ImportError(f"the library has ABI {library.b24_abi_version()}, this module needs {ABI_VERSION}")
    return library


_library = _load()


def version() -> str:
    """The version of the library."""
    return _library.b24_version().decode()


def status_name(status: int) -> str:
    """The name of a status, such as "B24_TIMEOUT"."""
    return _library.b24_status_name(status).decode()


def _check(status: int) -> int:
    """Returns success and timeouts, raises everything else."""
    if status >= OK:
        return status
    raise B24Error(
        status,
        _library.b24_last_error_code().decode(),
        _library.b24_last_error_http_status(),
        bool(_library.b24_last_error_is_transient()),
        _library.b24_last_error_message().decode(),
    )


def _text(text: c_void_p) -> str:
    """Converts a text that the library returned, and frees it."""
    try:
        return ctypes.string_at(text).decode()
    finally:
        _library.b24_string_free(text)


def _milliseconds(timeout: Optional[float]) -> int:
    return -1 if timeout is None else min(round(timeout * 1000), 2**31 - 1)


def _in_pieces(call: Callable[[int], int], timeout: Optional[float]) -> bool:
    """Makes a call that waits, in pieces: Python handles Ctrl-C only between them. False if the timeout expires."""
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    while True:
        left = max(deadline - time.monotonic(), 0)
        if _check(call(_milliseconds(min(left, _PIECE)))) == OK:
            return True
        if left <= _PIECE:
            return False


class _Handle:
    """Owns a handle of the library, which ctypes passes for it. Freed by `free` or at the end of a `with` block."""

    def __init__(self, handle: c_void_p, free: Callable[[c_void_p], None], *used: object) -> None:
        self._as_parameter_ = handle
        # Runs also when the object is garbage. `used` are objects that the library may use until then.
        self._finalizer = weakref.finalize(self, lambda *_: free(handle), *used)

    def free(self) -> None:
        """Frees the handle. Freeing it again has no effect."""
        self._finalizer()

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.free()


class Config(_Handle):
    """A configuration, which maps the keys of CONFIGURATION.md to text, numbers and booleans."""

    def __init__(self, values: Mapping[str, Value] = MappingProxyType({})) -> None:
        handle = c_void_p()
        _check(_library.b24_config_new(byref(handle)))
        super().__init__(handle, _library.b24_config_free)
        # The library calls these functions as long as there are clients, so every client refers to them.
        self._callbacks: list = []
        for key, value in values.items():
            self[key] = value

    def __setitem__(self, key: str, value: Value) -> None:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        _check(_library.b24_config_set(self, key.encode(), text.encode()))

    def __getitem__(self, key: str) -> str:
        """The value of a key. A secret is shown as "***"."""
        text = c_void_p()
        _check(_library.b24_config_get(self, key.encode(), byref(text)))
        return _text(text)

    def on_log(self, callback: Callable[[int, str], None]) -> None:
        """Calls `callback(level, message)` for each log line, on any thread."""
        function = _LogFunction(lambda _, level, message: callback(level, message.decode()))
        _check(_library.b24_config_on_log(self, function, None))
        self._callbacks.append(function)

    def on_tokens(self, callback: Callable[[Tokens], None]) -> None:
        """Calls `callback(tokens)` for each new pair, on the thread that renewed the tokens."""

        def called(_: object, pointer: Any) -> None:
            tokens = pointer.contents
            callback(
                Tokens(
                    tokens.access_token.decode(),
                    tokens.refresh_token.decode(),
                    tokens.expires,
                    tokens.client_endpoint.decode(),
                    tokens.member_id.decode(),
                )
            )

        function = _TokensFunction(called)
        _check(_library.b24_config_on_tokens(self, function, None))
        self._callbacks.append(function)


class Client(_Handle):
    """One application on one portal. Any thread may call any method, and several threads may do so at once."""

    def __init__(self, config: Union[Config, Mapping[str, Value]]) -> None:
        if not isinstance(config, Config):
            config = Config(config)
        handle = c_void_p()
        _check(_library.b24_client_new(config, byref(handle)))
        super().__init__(handle, _library.b24_client_free, *config._callbacks)

    def connect(self, timeout: Optional[float] = 30) -> bool:
        """Connects the client. Returns False if the timeout expires; the library then keeps trying."""
        return _check(_library.b24_client_connect(self, _milliseconds(timeout))) == OK

    def bind_event(self, event: str) -> None:
        """Binds an event: changes of this kind go into the queue from now on. The binding outlives the client."""
        _check(_library.b24_client_bind_event(self, event.encode()))

    def unbind_event(self, event: str) -> None:
        """Unbinds an event."""
        _check(_library.b24_client_unbind_event(self, event.encode()))

    def wait(self, timeout: Optional[float] = None) -> Optional[Notification]:
        """Waits for the next notification. Returns None if the timeout expires."""
        out = _Notification()
        if not _in_pieces(lambda piece: _library.b24_client_wait(self, piece, byref(out)), timeout):
            return None
        return Notification(out.connector_id.decode(), out.count, bool(out.signalled))

    def fetch(self, limit: int = 0) -> Batch:
        """Fetches records that are in the queue now. The batch may be empty."""
        handle = c_void_p()
        _check(_library.b24_client_fetch(self, limit, byref(handle)))
        return Batch(handle)

    def next(self, timeout: Optional[float] = None) -> Optional[Batch]:
        """Waits for the next batch that is not empty. Returns None if the timeout expires."""
        handle = c_void_p()
        if not _in_pieces(lambda piece: _library.b24_client_next(self, piece, byref(handle)), timeout):
            return None
        return Batch(handle)

    def __iter__(self) -> Iterator[Batch]:
        """Yields batches until the client is closed."""
        while True:
            try:
                batch = self.next()
            except B24Error as error:
                if error.status == CLOSED:
                    return
                raise
            if batch is not None:
                yield batch

    def fetch_failed(self, limit: int = 0) -> Batch:
        """Fetches records that were marked as failed, to process them again."""
        handle = c_void_p()
        _check(_library.b24_client_fetch_failed(self, limit, byref(handle)))
        return Batch(handle)

    def recover(self) -> int:
        """Makes the next fetches redeliver batches that were not acknowledged. Returns how many it has found."""
        batches = c_size_t()
        _check(_library.b24_client_recover(self, byref(batches)))
        return batches.value

    def state(self) -> str:
        """The tokens and unacknowledged batches, for `restore` of the next client. Protect it like a password."""
        text = c_void_p()
        _check(_library.b24_client_state(self, byref(text)))
        return _text(text)

    def restore(self, state: str) -> None:
        """Continues from a state. Call it before the first fetch."""
        _check(_library.b24_client_restore(self, state.encode()))

    def authorize(self, code: str) -> None:
        """Gets the first pair of tokens with an authorization code."""
        _check(_library.b24_client_authorize(self, code.encode()))

    def set_tokens(self, access_token: str, refresh_token: str = "", expires: int = 0) -> None:
        """Uses these tokens from now on."""
        _check(_library.b24_client_set_tokens(self, access_token.encode(), refresh_token.encode(), expires))

    def call(self, method: str, params: Optional[Mapping[str, Any]] = None) -> dict:
        """Calls a REST method. Returns the portal's whole answer: {"result": …, "time": …}."""
        answer = c_void_p()
        _check(_library.b24_client_call(self, method.encode(), json.dumps(params or {}).encode(), byref(answer)))
        return json.loads(_text(answer))

    def call_batch(self, calls: Mapping[str, Mapping[str, Any]], halt: bool = False) -> dict:
        """Makes up to 50 calls in one request: {name: {"method": …, "params": …}}.

        Returns {"results": {name: …}, "errors": {name: …}}.
        """
        answer = c_void_p()
        _check(_library.b24_client_call_batch(self, json.dumps(calls).encode(), halt, byref(answer)))
        return json.loads(_text(answer))

    def bind_handler(self, url: str, min_timeout: int = 1) -> None:
        """Has the portal call this address when the queue grows, at most once in `min_timeout` seconds."""
        _check(_library.b24_client_bind_handler(self, url.encode(), min_timeout))

    def unbind_handler(self, url: Optional[str] = None) -> None:
        """Ends the calls to this address. None: to every address of this application."""
        _check(_library.b24_client_unbind_handler(self, None if url is None else url.encode()))

    def accept_handler_call(self, body: bytes, content_type: str = "") -> int:
        """Accepts a call of the portal that arrived at your web server. Returns the HTTP status to answer with."""
        status = c_int32()
        _check(_library.b24_client_accept_handler_call(self, body, len(body), content_type.encode(), byref(status)))
        return status.value

    def stats(self) -> dict:
        """Counters and state."""
        text = c_void_p()
        _check(_library.b24_client_stats(self, byref(text)))
        return json.loads(_text(text))

    def diagnose(self, timeout: float = 30.0) -> dict:
        """Finds out why events do not come; changes nothing. Blocks for at most `timeout` seconds.

        Returns {"status": "ok" | "warning" | "failed", "checks": [{"id", "status", "title", "seen", "next_step"}, …],
        "text": {"english": …, "russian": …}}; "text" is the report to print.
        """
        report = c_void_p()
        _check(_library.b24_client_diagnose(self, _milliseconds(timeout), byref(report)))
        return json.loads(_text(report))

    def authorization_address(self, state: str = "") -> str:
        """Where an administrator authorizes the application in a browser; the address then shows `code`."""
        address = c_void_p()
        _check(_library.b24_client_authorization_address(self, state.encode(), byref(address)))
        return _text(address)

    def fileno(self) -> int:
        """A descriptor for `select` and `asyncio` (Linux), readable while `wait` would return at once. -1 elsewhere."""
        return _library.b24_client_fd(self)

    def wait_handle(self) -> Optional[int]:
        """A HANDLE for WaitForSingleObject (Windows), set while `wait` would return at once. None elsewhere."""
        return _library.b24_client_wait_handle(self)

    def close(self) -> None:
        """Ends every blocked call, on every thread."""
        _check(_library.b24_client_close(self))


class Batch(_Handle):
    """Records that were fetched together, as dictionaries with the portal's field names.

    `attempt` is 1 when this client hands out the records for the first time, 2 for the second time, and so on.
    """

    def __init__(self, handle: c_void_p) -> None:
        super().__init__(handle, _library.b24_batch_free)
        self.process_id: str = _library.b24_batch_process_id(handle).decode()
        self.json: str = _library.b24_batch_json(handle).decode()
        self.records: list[dict] = json.loads(self.json)["events"]
        record = _Record()
        if self.records:
            _check(_library.b24_batch_record(handle, 0, byref(record)))
        self.attempt: int = record.attempt

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[dict]:
        return iter(self.records)

    def objects(self) -> dict[str, dict]:
        """The objects that the records are about, by MESSAGE_ID: {"status": "object", "method": ..., "object": ...}.

        Each object is requested once, 50 per request. Other values of `status`: "deleted", "error" (the portal refused:
        `error`, `error_description`, `transient`), "unknown" (key `objects.methods`).
        """
        objects = c_void_p()
        _check(_library.b24_batch_objects(self, byref(objects)))
        return json.loads(_text(objects))

    def ack(self) -> None:
        """Acknowledges all records that are neither acknowledged nor marked as failed. They leave the queue."""
        _check(_library.b24_batch_ack(self))

    def ack_records(self, message_ids: Sequence[str]) -> None:
        """Acknowledges the records with these MESSAGE_IDs."""
        _check(_library.b24_batch_ack_records(self, *_texts(message_ids)))

    def fail_records(self, message_ids: Sequence[str]) -> None:
        """Marks the records with these MESSAGE_IDs as failed. Only `fetch_failed` returns them from then on."""
        _check(_library.b24_batch_fail_records(self, *_texts(message_ids)))


def _texts(texts: Sequence[str]) -> tuple:
    return (c_char_p * len(texts))(*(text.encode() for text in texts)), len(texts)
