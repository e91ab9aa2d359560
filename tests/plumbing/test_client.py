"""A server that fails in every way, a key that nobody may see, and addresses that are none."""

import threading

import pytest

from plumbing import client
from plumbing.answers import NoAnswer, answer_all
from plumbing.client import Refused, Server, Unreadable
from plumbing.files import InputError
from tests.evaluation.loopback import TROUBLES, Loopback, completion

KEY = "sk-test-0123456789abcdef"
DEADLINE = 0.6  # seconds; a slow server of the tests takes longer


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Pauses that a test can wait for, and the key."""
    monkeypatch.setattr(client, "PAUSE", 0.001)
    monkeypatch.setenv("THE_KEY", KEY)


def read(body):
    """What the tests ask for: the text of a choice."""
    if not body["choices"]:
        raise Unreadable("no choices")
    return body["choices"][0]["text"]


def echo(path, body):
    """The answer of a server that repeats the question."""
    return completion(f"{path} {body['n']}")


def server_at(loopback, **options):
    return Server(loopback.url, "THE_KEY", DEADLINE, **options)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_request_that_fails_once_is_tried_again(trouble):
    with Loopback(echo, lambda number: trouble if number == 0 else None) as loopback:
        assert server_at(loopback).ask("/completions", {"n": 1}, read) == "/v1/completions 1"
        assert len(loopback.seen) == 2
        assert all(headers["Authorization"] == f"Bearer {KEY}" for _, headers, _ in loopback.seen)


@pytest.mark.parametrize("trouble, why", [
    ("429", r"HTTP 429: no, Bearer \*\*\*"), ("500", r"HTTP 500: no, Bearer \*\*\*"),
    ("slow", "no answer within 0.6 s"), ("drip", "no answer within 0.6 s"),
    ("cut", "."), ("half", "."), ("garbage", "cannot be read"), ("empty", "no choices")])
def test_a_request_that_always_fails_says_why_and_not_the_key(trouble, why, monkeypatch):
    monkeypatch.setattr(client, "TRIES", 2)
    with Loopback(echo, lambda number: trouble) as loopback:
        with pytest.raises(NoAnswer, match=f"2 tries, the last: .*{why}") as caught:
            server_at(loopback).ask("/completions", {"n": 1}, read)
        assert KEY not in repr(caught.value) and len(loopback.seen) == 2


def test_after_many_failures_in_a_row_no_other_request_is_tried(monkeypatch):
    monkeypatch.setattr(client, "TRIES", 2)
    with Loopback(echo, lambda number: "500") as loopback:
        server = server_at(loopback, patience=2)
        with pytest.raises(NoAnswer):
            server.ask("/completions", {"n": 1}, read)
        with pytest.raises(InputError, match="2 requests in a row got no answer"):
            server.ask("/completions", {"n": 1}, read)


@pytest.mark.parametrize("status, kind, message", [
    (400, Refused, "HTTP 400: too long"), (422, Refused, "HTTP 422"),
    (401, InputError, "HTTP 401; --key-env names"), (404, InputError, "HTTP 404"),
    (307, InputError, "HTTP 307")])
def test_what_another_try_would_not_mend_is_not_tried_again(status, kind, message):
    refusal = {"error": {"message": "too long"}}
    with Loopback(lambda path, body: (status, refusal)) as loopback:
        with pytest.raises(kind, match=message):
            server_at(loopback).ask("/completions", {"n": 1}, read)
        assert len(loopback.seen) == 1


def test_a_server_that_asks_to_wait_is_waited_for(monkeypatch):
    waits = []
    monkeypatch.setattr(client.time, "sleep", waits.append)
    assert client._seconds("7.5") == 7.5 and client._seconds("Fri, 27 Nov 2026") == 0
    assert client._seconds("-3") == 0 and client._seconds("1e9") == client.LONGEST_PAUSE
    failed = iter([client._Failed("busy", 7.5)])

    def busy_once(path, payload, read):
        for error in failed:
            raise error
        return "done"

    server = Server("http://localhost/v1")
    monkeypatch.setattr(server, "_try", busy_once)
    assert server.ask("/completions", {}, read) == "done"
    [wait] = waits
    assert 7.5 <= wait <= 7.5 * 1.25


@pytest.mark.parametrize("trouble", [*TROUBLES, "all"])
def test_thirty_percent_of_requests_fail_and_every_one_is_answered_in_the_end(trouble):
    """By 8 threads; each way alone, and all of them mixed."""
    def fails(number):
        if number % 10 >= 3:
            return None
        return TROUBLES[number % len(TROUBLES)] if trouble == "all" else trouble

    with Loopback(echo, fails) as loopback:
        server = server_at(loopback)
        answers = answer_all(
            lambda batch: [server.ask("/completions", {"n": batch[0]}, read)],
            [[i] for i in range(24)], "", {}, lambda value: True, "test", workers=8)
    assert answers == [f"/v1/completions {i}" for i in range(24)]


def test_those_without_an_answer_are_named_and_the_others_kept(tmp_path):
    def respond(batch):
        if batch[0] % 3 == 0:
            raise NoAnswer(f"item {batch[0]}: busy")
        return [f"answer {batch[0]}"]

    def run(respond):
        return answer_all(respond, [[i] for i in range(7)], tmp_path, {}, lambda value: True,
                          "test", workers=3)

    with pytest.raises(InputError, match="no answer to 3 of 7: ") as caught:
        run(respond)
    assert all(f"item {i}: busy" in str(caught.value) for i in (0, 3, 6))
    asked = []
    answers = run(lambda batch: asked.extend(batch) or [f"answer {batch[0]}"])
    assert sorted(asked) == [0, 3, 6] and answers == [f"answer {i}" for i in range(7)]


def test_an_error_in_a_thread_ends_all_of_them():
    started = []
    gate = threading.Event()

    def respond(batch):
        started.append(batch)
        if batch == [1]:
            raise InputError("wrong key")
        gate.wait()
        return ["x"]

    with pytest.raises(InputError, match="wrong key"):
        answer_all(respond, [[i] for i in range(50)], "", {}, lambda value: True, "test",
                   workers=4)
    gate.set()
    assert len(started) <= 5


# ---- the key ----

def test_an_answer_that_repeats_the_key_loses_it():
    server = Server("http://localhost:1/v1", "THE_KEY")
    assert server.without_key(f"it is {KEY}") == "it is ***"
    assert KEY not in repr(vars(server)["title"]) and KEY not in repr(server)


def test_a_short_key_stays_in_answers(monkeypatch):
    monkeypatch.setenv("THE_KEY", "EMPTY")
    assert Server("http://localhost/v1", "THE_KEY").without_key("EMPTY list") == "EMPTY list"


@pytest.mark.parametrize("value", [None, "", " \n", f"{KEY}\n{KEY}", "ключ", "two words", 'a"b'])
def test_a_key_that_is_none_is_refused_without_a_word_of_it(value, monkeypatch):
    if value is None:
        monkeypatch.delenv("THE_KEY")
    else:
        monkeypatch.setenv("THE_KEY", value)
    with pytest.raises(InputError, match="--key-env") as caught:
        Server("http://localhost/v1", "THE_KEY")
    assert not (value and value.strip()) or value not in str(caught.value)


def test_a_key_in_place_of_its_variable_is_not_repeated():
    with pytest.raises(InputError) as caught:
        Server("http://localhost/v1", KEY)
    assert KEY not in str(caught.value)


# ---- the address ----

@pytest.mark.parametrize("url", [
    "", "localhost:8000", "ftp://host/v1", "http://", "http://host:port/v1", "http://host:0/v1",
    "http://host:99999/v1", "http://[::1/v1", "http://ho st/v1", "http://host/v 1",
    "http://höst/v1", "http://localhost..:8000/v1", "http://a..b/v1", f"http://{'x' * 70}.org/v1",
    "http://host/v1\r\nX: y", "http://user:hunter2@host/v1",
    "http://user@host/v1", "http://user:hunter2/v1", "http://host:hunter2@/v1",
    "http://host/v1?key=hunter2", "http://host/v1#hunter2", "http://host/v1/chat/completions"])
def test_an_address_that_is_none_is_refused_without_its_password(url):
    with pytest.raises(InputError, match="--server") as caught:
        Server(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/v1", "http://no-such-host.invalid/v1"])
def test_a_server_that_cannot_be_reached_is_not_tried_again(url, monkeypatch):
    monkeypatch.setattr(client.time, "sleep", None)  # a pause would fail
    with pytest.raises(InputError, match="cannot be reached"):
        Server(url).ask("/completions", {}, read)


def test_the_path_of_the_address_is_kept():
    with Loopback(echo) as loopback:
        base = loopback.url.removesuffix("/v1")
        for url, path in ((base, "/v1"), (f"{base}/", "/v1"), (f"{base}/api/v2/", "/api/v2")):
            assert Server(url).ask("/completions", {"n": 0}, read) == f"{path}/completions 0"
