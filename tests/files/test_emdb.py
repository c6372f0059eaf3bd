"""Downloads from a mirror on this machine that is slow, breaks off, lies and redirects."""

import contextlib
import gzip
import os
import shutil
import ssl
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from occupy_jit.errors import InputError, OccupyError, UsageError
from occupy_jit.files.download import emdb, fetch
from tests.faulty_server import FaultyServer

MAP = "/structures/EMD-4321/map/emd_4321.map.gz"
HEADER = "/structures/EMD-4321/header/emd-4321.xml"
HALVES = [f"/structures/EMD-4321/other/emd_4321_half_map_{k}.map.gz" for k in (1, 2)]
DESCRIPTION = b"""<?xml version="1.0" encoding="UTF-8"?>
<emd emdb_id="EMD-4321"><admin><title>An example
 of a title</title></admin>
<structure_determination_list><structure_determination><singleparticle_processing><final_reconstruction>
<resolution units="\xc3\x85" type="BY AUTHOR">3.4</resolution></final_reconstruction></singleparticle_processing>
</structure_determination></structure_determination_list>
<map><contour_list><contour primary="false"><level>0.9</level></contour>
<contour primary="true"><level>0.05</level></contour></contour_list></map></emd>"""


def _packed(seed=0, size=200_000):
    """Bytes that gzip cannot make smaller, packed: every byte of the download matters."""
    return gzip.compress(np.random.default_rng(seed).bytes(size), mtime=0)


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with FaultyServer() as faulty:
        faulty.files = {MAP: _packed(), HEADER: DESCRIPTION, HALVES[0]: _packed(1), HALVES[1]: _packed(2)}
        yield faulty


def _fetch(server, tmp_path, **more):
    return emdb.fetch_entry(4321, str(tmp_path), archive=server.url, timeout=more.pop("timeout", 10), **more)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """Pauses between attempts are noted, not waited for."""
    pauses = []
    real = fetch.fetch
    monkeypatch.setattr(fetch, "fetch", lambda *a, **k: real(*a, **{**k, "sleep": pauses.append}))
    return pauses


def _bytes(path):
    with open(path, "rb") as file:
        return file.read()


def _names(tmp_path):
    return sorted(os.listdir(tmp_path))


@pytest.mark.parametrize("text", ["11007", "EMD-11007", "emd_11007", "EMDB-11007", " emd-11007 ", "EMD11007"])
def test_numbers_as_people_write_them(text):
    assert emdb.number_of(text) == 11007


@pytest.mark.parametrize("text", ["", "1", "6V4S", "EMD-", "1234567", "../11007", "11007.map", "١١٠٠٧"])
def test_what_is_no_number(text):
    with pytest.raises(UsageError):
        emdb.number_of(text)


def test_an_entry_with_halves_and_its_description(server, tmp_path):
    seen = []
    entry = _fetch(server, tmp_path, half_maps=True, progress=lambda *a: seen.append(a))
    assert (entry.number, entry.title, entry.resolution_angstrom, entry.contour_level) == (
        4321, "An example of a title", 3.4, 0.05)
    for path, url in zip((entry.map, *entry.half_maps), (MAP, *HALVES), strict=True):
        assert _bytes(path) == server.files[url]
        assert (os.path.basename(path), len(server.files[url]), len(server.files[url])) in seen
    assert _names(tmp_path) == ["emd-4321.xml", "emd_4321.map.gz", "emd_4321_half_map_1.map.gz",
                                "emd_4321_half_map_2.map.gz"]
    server.requests.clear()
    assert _fetch(server, tmp_path, half_maps=True) == entry
    assert server.requests == [], "what is there is not fetched again"


def test_without_a_description_the_map_is_still_there(server, tmp_path):
    del server.files[HEADER]
    said = []
    entry = _fetch(server, tmp_path, say=said.append)
    assert entry.contour_level is None and entry.title is None and len(said) == 1
    server.files[HEADER] = b"<emd><unclosed>"
    os.unlink(entry.map)
    assert _fetch(server, tmp_path).title is None
    assert _names(tmp_path) == ["emd_4321.map.gz"]


@pytest.mark.parametrize("faults", [
    [("cut", 50_000)],
    [("short", 50_000)],
    [("cut", 50_000), ("cut", 3), ("status", 503), ("short", 100_000)],
    [("status", 503), ("status", 502), ("cut", 0), ("status", 429)],
    [("cut", 1)] * 12,
    [("silent", 1.5), ("cut", 70_000)],
    [("slow", 5, 0.02)],
    [("no length",)],
    [("redirect", "SAME/elsewhere.gz")],
], ids=lambda faults: "-".join(str(f[0]) for f in faults[:4]))
def test_faults_that_pass_give_the_same_file(server, tmp_path, faults):
    server.files["/elsewhere.gz"] = server.files[MAP]
    server.script[MAP] = [(kind, *(str(v).replace("SAME", server.url) if isinstance(v, str) else v for v in rest))
                          for kind, *rest in faults]
    entry = _fetch(server, tmp_path, timeout=1 if faults[0][0] == "silent" else 30)
    assert _bytes(entry.map) == server.files[MAP]
    assert _names(tmp_path) == ["emd-4321.xml", "emd_4321.map.gz"], "nothing else is left"


def test_a_download_goes_on_where_it_stopped(server, tmp_path):
    server.script[MAP] = [("cut", 50_000), ("short", 60_000)]
    _fetch(server, tmp_path)
    assert [asked for path, asked in server.requests if path == MAP] == [None, "bytes=50000-", "bytes=110000-"]


def test_a_killed_process_leaves_what_the_next_one_takes_up(server, tmp_path):
    """The whole way: a process that is killed in the middle, then another one."""
    server.script[MAP] = [("slow", 400, 0.2)]
    code = ("import sys; from occupy_jit.files.download import emdb; "
            "emdb.fetch_entry(4321, sys.argv[1], archive=sys.argv[2])")
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path), server.url]) as child:
        deadline = time.monotonic() + 60
        while not any(p.stat().st_size for p in tmp_path.glob(".*.part")) and time.monotonic() < deadline:
            time.sleep(0.02)
        child.kill()
    assert not (tmp_path / "emd_4321.map.gz").exists()
    [part] = tmp_path.glob(".*.part")
    there = part.stat().st_size
    assert 0 < there < len(server.files[MAP])
    entry = _fetch(server, tmp_path)
    assert _bytes(entry.map) == server.files[MAP]
    assert (MAP, f"bytes={there}-") in server.requests
    assert _names(tmp_path) == ["emd-4321.xml", "emd_4321.map.gz"]


@pytest.mark.parametrize("change", ["etag", "length", "no version"])
def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(server, tmp_path, change):
    """Half of the old file and half of the new one would be a file that nobody ever made."""
    server.script[MAP] = [("cut", 50_000)] + [("status", 503)] * 20
    with pytest.raises(OccupyError):
        _fetch(server, tmp_path)
    server.script.clear()
    server.files[MAP] = _packed(7, 200_000 if change == "etag" else 120_000)
    server.etag = '"two"' if change == "etag" else None if change == "no version" else server.etag
    assert _bytes(_fetch(server, tmp_path).map) == server.files[MAP]


def test_a_part_that_is_longer_than_the_file_now(server, tmp_path):
    server.script[MAP] = [("cut", 150_000)] + [("status", 503)] * 20
    with pytest.raises(OccupyError):
        _fetch(server, tmp_path)
    server.script.clear()
    server.files[MAP] = _packed(7, 1000)
    assert _bytes(_fetch(server, tmp_path).map) == server.files[MAP]


def test_a_wrong_length_or_damaged_data_never_gets_the_name(server, tmp_path):
    server.script[MAP] = [("lie", 100_000)] * 10  # a server that is sure that the file is shorter
    with pytest.raises(InputError, match="damaged"):
        _fetch(server, tmp_path)
    assert _names(tmp_path) == []
    server.script.clear()
    broken = bytearray(server.files[MAP])
    broken[1000] ^= 1
    server.files[MAP] = bytes(broken)
    with pytest.raises(InputError, match="damaged"):
        _fetch(server, tmp_path)
    assert _names(tmp_path) == []


def test_damage_on_the_way_is_fetched_again(server, tmp_path):
    server.script[MAP] = [("lie", 100_000)]
    assert _bytes(_fetch(server, tmp_path).map) == server.files[MAP]


@pytest.mark.parametrize("fault, words", [
    (("html",), "something else"),
    (("html", "as data"), "something else"),
    (("redirect", "file:///etc/passwd"), "refused"),
    (("redirect", "ftp://127.0.0.1/x"), "refused"),
    (("redirect", "http://127.0.0.2:9/x"), "refused"),
    (("redirect", "data:,x"), "refused"),
    (("status", 403), "403"),
    (("status", 401), "401"),
    (("status", 304), "refused"),
])
def test_answers_that_are_not_taken(server, tmp_path, fault, words):
    server.script[MAP] = [fault] * 10
    with pytest.raises(OccupyError, match=words) as caught:
        _fetch(server, tmp_path)
    assert caught.value.exit_status == 1 and "\n" not in str(caught.value)
    assert len(server.requests) == 1, "asking again would not help"
    assert _names(tmp_path) == []


def test_no_such_entry_and_no_half_maps(server, tmp_path):
    for url in HALVES:
        del server.files[url]
    with pytest.raises(InputError, match="EMD-4321: the entry has no half maps"):
        _fetch(server, tmp_path, half_maps=True)
    with pytest.raises(InputError, match="EMD-99999: the EMDB has no map"):
        emdb.fetch_entry(99999, str(tmp_path), archive=server.url)


def test_a_server_that_never_recovers_is_given_up(server, tmp_path, no_pauses):
    server.script[MAP] = [("status", 503, {"Retry-After": "7"})] * 10
    with pytest.raises(OccupyError, match="503.*5 times"):
        _fetch(server, tmp_path)
    assert no_pauses == [7] * 4


def test_without_a_network_one_line_says_where_to_put_the_file(tmp_path):
    with pytest.raises(OccupyError) as caught:
        emdb.fetch_entry(4321, str(tmp_path), archive="http://127.0.0.1:9")
    assert "no connection" in str(caught.value) and str(tmp_path / "emd_4321.map.gz") in str(caught.value)
    assert caught.value.exit_status == 1
    (tmp_path / "emd_4321.map.gz").write_bytes(_packed())  # put there by hand: no network is needed
    assert emdb.fetch_entry(4321, str(tmp_path), archive="http://127.0.0.1:9").map.endswith("emd_4321.map.gz")


@pytest.mark.parametrize("archive", ["http://mirror.example.org/emdb", "ftp://example.org", "file:///tmp", "emdb",
                                     "https://", "http://[::1", ""])
def test_addresses_that_are_not_safe(tmp_path, archive):
    with pytest.raises(UsageError):
        emdb.fetch_entry(4321, str(tmp_path), archive=archive)


def test_several_processes_fetch_one_file_once(server, tmp_path):
    """Tasks of an array start together and want the same file."""
    server.script[MAP] = [("slow", 10, 0.05)]
    found, threads = [], [threading.Thread(target=lambda: found.append(_fetch(server, tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and sum(path == MAP for path, _ in server.requests) == 1
    assert _names(tmp_path) == ["emd-4321.xml", "emd_4321.map.gz"]


def test_a_proxy_from_the_environment_is_used(server, tmp_path, monkeypatch):
    with FaultyServer() as proxy:
        absolute = "http://localhost:1" + MAP
        proxy.files = {absolute: server.files[MAP]}
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        entry = emdb.fetch_entry(4321, str(tmp_path), archive="http://localhost:1")
        assert proxy.requests[0][0] == absolute
    assert _bytes(entry.map) == server.files[MAP]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate that nobody has signed, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
                   cwd=folder, check=True, capture_output=True)
    return folder


@contextlib.contextmanager
def _https(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with FaultyServer(context) as secure:
        secure.files = {MAP: _packed(), HEADER: DESCRIPTION}
        yield secure


def test_a_certificate_that_cannot_be_checked_is_refused(certificate, server, tmp_path, monkeypatch):
    with _https(certificate) as secure:
        with pytest.raises(OccupyError, match="certificate"):
            _fetch(secure, tmp_path)
        assert _names(tmp_path) == [] and secure.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
        assert _bytes(_fetch(secure, tmp_path).map) == secure.files[MAP]


def test_https_never_redirects_to_plain_http(certificate, server, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    with _https(certificate) as secure:
        secure.script[MAP] = [("redirect", server.url + MAP)]
        with pytest.raises(OccupyError, match="not https"):
            _fetch(secure, tmp_path)
        assert server.requests == []


def test_a_disk_without_room_is_told_before(server, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(OccupyError, match="free there"):
        _fetch(server, tmp_path)
    assert _names(tmp_path) == []


def test_a_directory_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OccupyError, match="cannot be written"):
        _fetch(server, tmp_path / "file" / "below")
