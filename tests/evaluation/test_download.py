"""Downloads from a local server that behaves well, cuts connections, ignores ranges, is busy."""

import hashlib
import re
import resource
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from evaluation import download
from evaluation.benchmarks.entry import Source
from evaluation.download import SOURCES, fetch, main
from plumbing.files import InputError
from plumbing.flags import cli
from tests.conftest import SHARED, real

CONTENT = bytes(range(256)) * 1000  # several blocks
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `files` (URL path -> bytes) and notes each request's path and Range header.

    `cuts`: for the next answers, how many bytes to send before the connection is closed;
    `statuses`: for the next answers, a status to send instead. `ranges`: whether a Range header is
    understood.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.requests, self.cuts, self.statuses, self.ranges = {}, [], [], [], True
        self.tells = True  # its answers' length
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.requests.append((self.path, asked))
        content = self.server.files.get(self.path)
        if self.server.statuses or content is None:
            return self.send_error(self.server.statuses.pop(0) if self.server.statuses else 404)
        start = 0
        if asked and self.server.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start and start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if self.server.tells:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else len(content)
        self.wfile.write(content[start:start + cut])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "PAUSE", 0.001)
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        server.files["/a.json"] = CONTENT
        yield server
        server.shutdown()


def left(folder):
    """Everything below a folder, hidden names too, that is no folder itself."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")
                  if path.is_symlink() or path.is_file())


def part_of(path):
    return path.with_name(f"{path.name}.{SHA256[:8]}.part")


def test_a_file_is_fetched_once_and_left_alone_afterwards(server, tmp_path):
    path = tmp_path / "deep" / "er" / "a.json"
    assert fetch(f"{server.url}/a.json", path, SHA256) is True
    assert path.read_bytes() == CONTENT
    assert fetch(f"{server.url}/a.json", path, SHA256) is False
    assert server.requests == [("/a.json", None)]
    assert left(tmp_path) == ["deep/er/a.json"]


def test_a_file_with_other_content_is_replaced(server, tmp_path):
    (tmp_path / "a.json").write_text("an older version")
    assert fetch(f"{server.url}/a.json", tmp_path / "a.json", SHA256) is True
    assert (tmp_path / "a.json").read_bytes() == CONTENT


def test_a_cut_connection_is_taken_up_where_it_stopped(server, tmp_path):
    server.cuts = [1000, 70000]
    fetch(f"{server.url}/a.json", tmp_path / "a.json", SHA256)
    assert (tmp_path / "a.json").read_bytes() == CONTENT
    assert server.requests == [("/a.json", None), ("/a.json", "bytes=1000-"),
                               ("/a.json", "bytes=71000-")]
    assert left(tmp_path) == ["a.json"]


def test_a_server_that_ignores_ranges_sends_all_again(server, tmp_path):
    server.cuts, server.ranges = [1000], False
    fetch(f"{server.url}/a.json", tmp_path / "a.json", SHA256)
    assert (tmp_path / "a.json").read_bytes() == CONTENT
    assert server.requests[1] == ("/a.json", "bytes=1000-")


def test_what_a_killed_run_left_is_taken_up_by_the_next(server, tmp_path):
    part_of(tmp_path / "a.json").write_bytes(CONTENT[:5000])
    fetch(f"{server.url}/a.json", tmp_path / "a.json", SHA256)
    assert server.requests == [("/a.json", "bytes=5000-")]
    assert left(tmp_path) == ["a.json"] and (tmp_path / "a.json").read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT), len(CONTENT) + 7])
def test_a_part_with_nothing_left_to_fetch_starts_over(server, tmp_path, size):
    """The server refuses a range beyond the end (416), which a run killed early leaves."""
    part_of(tmp_path / "a.json").write_bytes(bytes(size))
    fetch(f"{server.url}/a.json", tmp_path / "a.json", SHA256)
    assert left(tmp_path) == ["a.json"] and (tmp_path / "a.json").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_busy_server_is_asked_again(server, tmp_path, status):
    server.statuses = [status, status]
    fetch(f"{server.url}/a.json", tmp_path / "a.json", SHA256)
    assert len(server.requests) == 3


def test_a_wrong_hash_names_both_and_leaves_the_old_file(server, tmp_path):
    (tmp_path / "a.json").write_text("old")
    with pytest.raises(InputError, match=f"/a.json: sha256 is {SHA256}, expected {'0' * 64}"):
        fetch(f"{server.url}/a.json", tmp_path / "a.json", "0" * 64)
    assert left(tmp_path) == ["a.json"] and (tmp_path / "a.json").read_text() == "old"


def test_a_connection_that_always_breaks_leaves_nothing(server, tmp_path):
    server.cuts = [100] * 50
    with pytest.raises(InputError, match="closed after 500 of 256000 bytes .gave up after 5 tries"):
        fetch(f"{server.url}/a.json", tmp_path / "a.json", SHA256)
    assert left(tmp_path) == [] and len(server.requests) == 5


def test_no_server_at_all_leaves_nothing(server, tmp_path):
    closed = Server()  # its port is known, and closed again
    closed.server_close()
    with pytest.raises(InputError, match="refused.*gave up after 5 tries"):
        fetch(f"{closed.url}/a.json", tmp_path / "a.json", SHA256)
    assert left(tmp_path) == []


def test_a_missing_file_is_asked_for_once(server, tmp_path):
    with pytest.raises(InputError, match="/b.json: HTTP 404 Not Found"):
        fetch(f"{server.url}/b.json", tmp_path / "b.json", SHA256)
    assert left(tmp_path) == [] and len(server.requests) == 1


def test_a_full_disk_is_named_and_leaves_nothing(server, tmp_path):
    """The kernel itself refuses: no file of this process may have more than ten bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(InputError, match="a.json: File too large"):
            fetch(f"{server.url}/a.json", tmp_path / "a.json", SHA256)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert left(tmp_path) == []


def test_nothing_is_written_through_a_link(server, tmp_path):
    """The part was a link to a file of the user's, which became the download."""
    mine = tmp_path / "mine"
    mine.write_text("mine")
    part_of(tmp_path / "a.json").symlink_to(mine)
    (tmp_path / "b.json").symlink_to(mine)
    for name in ("a.json", "b.json"):
        assert fetch(f"{server.url}/a.json", tmp_path / name, SHA256)
        assert (tmp_path / name).read_bytes() == CONTENT and mine.read_text() == "mine"


@pytest.mark.parametrize("told", [True, False])
def test_an_endless_file_is_given_up(server, tmp_path, monkeypatch, told):
    """Told: the server says how large it is. Else it just goes on, and would fill the disk."""
    monkeypatch.setattr(download, "LARGEST", len(CONTENT) - 1)
    server.tells = told
    with pytest.raises(InputError, match=f"more than {len(CONTENT) - 1:,}"):
        fetch(f"{server.url}/a.json", tmp_path / "a.json", SHA256)
    assert left(tmp_path) == []


def test_a_place_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="file/a.json: (Not a directory|File exists)"):
        fetch(f"{server.url}/a.json", tmp_path / "file" / "a.json", SHA256)
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(InputError, match="folder.json: Is a directory"):
        fetch(f"{server.url}/a.json", tmp_path / "folder.json", SHA256)
    assert left(tmp_path) == ["file"]


@pytest.fixture
def two_sources(server, monkeypatch):
    monkeypatch.setattr(download, "SOURCES", {
        "one": Source("me/repo", "c0ffee", "data/x", {"a.json": SHA256, "sub/a.json": SHA256}),
        "two": Source("you/other", "f00d", "y", {"a.json": SHA256})})
    one, two = "/me/repo/c0ffee/data/x", "/you/other/f00d/y"
    server.files.update(dict.fromkeys((f"{one}/a.json", f"{one}/sub/a.json", f"{two}/a.json"),
                                      CONTENT))
    return server


def test_the_command_fetches_one_source_or_all(two_sources, tmp_path, capsys):
    flags = ["--to", str(tmp_path), "--base-url", two_sources.url + "/"]
    main(["one", *flags])
    assert left(tmp_path) == ["one/a.json", "one/sub/a.json"]
    main(["all", *flags])
    assert left(tmp_path) == ["one/a.json", "one/sub/a.json", "two/a.json"]
    assert [line.rsplit(": ", 1)[1] for line in capsys.readouterr().out.splitlines()] == [
        "fetched", "fetched", "already there", "already there", "fetched"]


def test_the_command_fails_in_one_line(two_sources, tmp_path, capsys):
    del two_sources.files["/you/other/f00d/y/a.json"]
    with pytest.raises(SystemExit) as exit:
        cli(lambda: main(["two", "--to", str(tmp_path), "--base-url", two_sources.url]))
    error = capsys.readouterr().err
    assert exit.value.code == 2 and error.count("\n") == 1
    assert "you/other/f00d/y/a.json: HTTP 404" in error


def test_the_command_refuses_unknown_names_and_other_schemes(tmp_path):
    with pytest.raises(InputError, match="invalid choice: 'imagenet'"):
        main(["imagenet"])
    with pytest.raises(InputError, match="--base-url file:///etc: must begin with"):
        main(["gsm8k", "--base-url", "file:///etc"])
    for url in ("https://[::1", "https://.example.com"):
        with pytest.raises(InputError, match=re.escape(url)):
            main(["gsm8k", "--base-url", url, "--to", str(tmp_path)])


# Of GSM8K's training split only the first eight examples stand beside the real files.
ABSENT = ("train.jsonl",)


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "toolalpaca"])
def test_real_files_have_the_pinned_hashes(server, tmp_path, monkeypatch, name):
    folder = real(f"benchmarks/{'bfcl_exec' if name == 'bfcl' else name}")
    here = {file: sha256 for file, sha256 in SOURCES[name].files.items() if file not in ABSENT}
    source = SOURCES[name]._replace(files=here)
    monkeypatch.setitem(download.SOURCES, name, source)
    for file in source.files:
        url = f"/{source.repository}/{source.commit}/{source.folder}/{file}"
        server.files[url] = (folder / file).read_bytes()
    main([name, "--to", str(tmp_path), "--base-url", server.url])
    assert left(tmp_path) == sorted(f"{name}/{file}" for file in source.files)


def test_the_pins_agree_with_the_list_of_sources():
    """Commit, path and sha256 of every file, as the list beside the real files has them."""
    real("benchmarks/SOURCES.md")
    text = (SHARED / "benchmarks/SOURCES.md").read_text(encoding="utf-8")
    for source in SOURCES.values():
        assert f"Upstream {source.repository}, commit {source.commit}," in text
        for file, sha256 in source.files.items():
            if file in ABSENT:
                continue
            assert f"| {file} | {source.folder}/{file} | {source.commit[:10]} |" in text
            assert sha256 in text
