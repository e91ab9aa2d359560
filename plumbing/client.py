"""A client of a server that takes and gives JSON over HTTP, and that may fail in any way.

A request has a deadline and is tried again, after a growing pause, when the server is busy (429) or
broken (5xx), cuts the connection, is too slow, or answers what cannot be read. What fails for good
ends in one of three exceptions: Refused, of one request; NoAnswer, of one request for now; and
InputError, of all of them. No text of theirs holds the key, nor does an answer, unless the key is
shorter than SECRET.

Standard library only. A request has a connection of its own. Left out: proxies and redirects, which
would carry the key to another place.
"""

import http.client
import json
import os
import random
import re
import socket
import ssl
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

from plumbing.answers import NoAnswer
from plumbing.files import InputError, parse_json, reason
from plumbing.output import printable

TRIES = 6
PAUSE = 1.0          # seconds before the second try; it doubles from try to try
LONGEST_PAUSE = 60.0
BUSY = (408, 409, 425, 429)  # and all from 500 on
LARGEST = 64 * 2**20  # bytes of an answer
SECRET = 8           # letters of a key that is looked for in answers; "EMPTY" may stand in them
# What failed while nobody has been reached yet: a wrong address, which no try mends.
WRONG_ADDRESS = (ConnectionRefusedError, socket.gaierror)


class Refused(Exception):
    """The server refuses this request, as too long or malformed; it would do so again."""


class Unreadable(ValueError):
    """An answer that is not what was asked for; another try may be."""


class Server:
    """A server at an address. Threads may share it."""

    def __init__(self, url, key_env="", deadline=120.0, patience=16):
        """key_env: environment variable with the key, "" for none. deadline: seconds for a try.
        patience: requests in a row that get no answer, after which no other is tried.

        Raises InputError for a bad address or key.
        """
        parts = _read_address(url)
        self.host = parts.hostname
        self.port = parts.port
        self.path = parts.path.rstrip("/") or "/v1"
        self.is_secure = parts.scheme == "https"
        self.deadline = deadline
        self.patience = patience
        self._key = read_key(key_env)
        self._headers = {"Content-Type": "application/json", "Connection": "close"}
        if self._key:
            self._headers["Authorization"] = f"Bearer {self._key}"
        self._lock = threading.Lock()
        self._answered = 0   # requests
        self._in_a_row = 0   # requests without an answer since the last answer
        port = f":{self.port}" if self.port else ""
        self.title = f"{parts.scheme}://{self.host}{port}"

    def ask(self, path, body, read):
        """POST a JSON body to a path below the address -> what `read` makes of the answer.

        read: function of a JSON object; raises Unreadable. Raises Refused, NoAnswer or InputError.
        """
        payload = json.dumps(body).encode()
        pause = PAUSE
        for number in range(TRIES):
            if number:
                time.sleep(min(pause, LONGEST_PAUSE) * random.uniform(1, 1.25))
                pause *= 2
            try:
                answer = self._try(path, payload, read)
            except _Failed as failed:
                last = failed
                pause = max(pause, failed.wait)
                continue
            with self._lock:
                self._answered += 1
                self._in_a_row = 0
            return answer
        with self._lock:
            self._in_a_row += 1
            is_down = self._in_a_row >= self.patience
        if is_down:
            raise InputError(f"{self.title}: {self.patience} requests in a row got no answer, the "
                             f"last because of {last}; stopped")
        raise NoAnswer(f"{TRIES} tries, the last: {last}")

    def _try(self, path, payload, read):
        """One try. Raises _Failed where another may do better, Refused and InputError."""
        try:
            status, wait, data = self._exchange(path, payload)
        except ssl.SSLCertVerificationError as error:
            raise InputError(f"{self.title}: {error.verify_message}") from None
        except WRONG_ADDRESS as error:
            if not self._answered:
                raise InputError(f"{self.title}: cannot be reached: {reason(error)}") from None
            raise _Failed(reason(error)) from None
        except (OSError, http.client.HTTPException) as error:
            raise _Failed(self.hide(reason(error)) or type(error).__name__) from None
        if status != 200:
            self._raise_for(status, path, data, wait)
        try:
            value = parse_json(data.decode(), "answer", twice=True)
            if not isinstance(value, dict):
                raise Unreadable("no JSON object")
            return read(value)
        except ValueError as error:  # InputError, UnicodeDecodeError, Unreadable
            raise _Failed(f"an answer that cannot be read ({self.hide(str(error))})") from None

    def _raise_for(self, status, path, data, wait):
        """The exception of an answer whose status is not 200."""
        message = f"HTTP {status}"
        text = self.hide(_error_text(data))
        if text and status != 401:  # there servers quote a part of the key
            message += f": {text}"
        if status >= 500 or status in BUSY:
            raise _Failed(message, wait)
        if 300 <= status < 400 or status in (401, 403, 404, 405):
            # Not the whole address: a secret may be a part of its path, too.
            hint = "; --key-env names the variable that holds the key" if status == 401 else ""
            raise InputError(f"{self.title}, ...{path}: {message}{hint}")
        raise Refused(message)

    def _exchange(self, path, payload):
        """(status, seconds that the server asks to wait, bytes) of one request. Raises OSError."""
        kind = http.client.HTTPSConnection if self.is_secure else http.client.HTTPConnection
        connection = kind(self.host, self.port, timeout=self.deadline)
        is_late = threading.Event()
        try:
            connection.connect()
            # The time-out of a socket begins again with every byte; a slow one would go on forever.
            timer = threading.Timer(self.deadline, _cut, [connection.sock, is_late])
            timer.daemon = True
            timer.start()
            try:
                connection.request("POST", self.path + path, payload, self._headers)
                response = connection.getresponse()
                data = response.read(LARGEST + 1)
            finally:
                timer.cancel()
        except (OSError, http.client.HTTPException) as error:
            if is_late.is_set() or isinstance(error, TimeoutError):
                raise self._too_late() from None
            raise
        finally:
            connection.close()
        if is_late.is_set():
            raise self._too_late()
        if len(data) > LARGEST:
            raise OSError(f"an answer of more than {LARGEST} bytes")
        return response.status, _seconds(response.getheader("Retry-After")), data

    def _too_late(self):
        return OSError(f"no answer within {self.deadline:g} s")

    def hide(self, text, longest=300):
        """A text of the server's, as a line of a message, without the key."""
        if self._key:
            text = text.replace(self._key, "***")
        text = printable(" ".join(text.split()))
        return text if len(text) <= longest else text[:longest] + " ..."

    def without_key(self, text):
        """An answer without the key, which a server may repeat."""
        return text.replace(self._key, "***") if len(self._key) >= SECRET else text


class _Failed(Exception):
    """A try that failed. wait: the seconds that the server asks for."""

    def __init__(self, text, wait=0.0):
        super().__init__(text)
        self.wait = wait


def _cut(sock, is_late):
    """End a connection at its deadline, whatever a thread waits for."""
    is_late.set()
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # not TLS's own, which asks the other side


def _seconds(text):
    """A Retry-After header in seconds; 0 for a date, or for none."""
    try:
        return min(max(float(text), 0.0), LONGEST_PAUSE)
    except (TypeError, ValueError):
        return 0.0


def _error_text(data):
    """What an answer says of its error: OpenAI's `error.message`, else its first letters."""
    text = data[:4096].decode(errors="replace")
    try:
        value = json.loads(data[:2**20])
    except (ValueError, RecursionError):
        return text
    for key in ("error", "message", "detail"):
        if isinstance(value, dict) and key in value:
            value = value[key]
    return value if isinstance(value, str) else text


def _read_address(url):
    """The parts of an address. Raises InputError, whose text does not repeat it.

    It may hold a password, also where it is malformed.
    """
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname)
        is_right = is_right and (parts.port is None or parts.port > 0)
        (parts.hostname or "").encode("idna")  # as a connection does: empty or too long a label
    except ValueError:
        is_right = False
    if is_right:
        is_right = bool(re.fullmatch(r"[A-Za-z0-9._:-]+", parts.hostname)
                        and re.fullmatch(r"[!-~]*", parts.path))
    if not is_right:
        raise InputError("--server: not an address such as http://localhost:8000/v1")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise InputError("--server: an address without user, password and query, please; "
                         "--key-env names the variable that holds the key")
    if parts.path.rstrip("/").endswith("/completions"):
        raise InputError("--server: name the address up to /v1")
    return parts


def read_key(name):
    """The key in an environment variable, "" for no name. Raises InputError, without the key.

    Not even the name is repeated: it may be the key itself, by mistake.
    """
    if not name:
        return ""
    key = os.environ.get(name, "").strip()
    if not key:
        raise InputError("--key-env: no environment variable of this name, or it is empty")
    if not re.fullmatch(r"[!-~]+", key) or '"' in key or "\\" in key:
        raise InputError("--key-env: the variable holds a character that no key has")
    return key
