"""Download over HTTPS: an interrupted download continues where it stopped, and only a complete file receives its name.

Made with urllib, which comes with Python, checks certificates and honours the proxy variables (``https_proxy``,
``no_proxy``); features of a client library (sessions, HTTP/2) are not needed for one large file. Only HTTP and HTTPS
addresses can be opened: no other handlers are installed.
"""

import contextlib
import errno
import glob
import hashlib
import http.client
import ipaddress
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from typing import Any

from occupy_jit import __version__
from occupy_jit.errors import InputError, OccupyError, UsageError
from occupy_jit.files.names.paths import shown
from occupy_jit.files.output.transaction import write_error

_PIECE = 1 << 18
_SECONDS_WITHOUT_ANSWER = 30
_ATTEMPTS = 5  # attempts in a row without a single byte
_LONGEST_PAUSE = 60
_BUSY = (408, 425, 429, 500, 502, 503, 504)


class NotThere(InputError):
    """The server has no such file."""


class _Unfinished(Exception):
    """The download should continue: the reason, and the delay in seconds (None: depending on the attempt)."""

    def __init__(self, reason: Any, pause: Any = None) -> None:
        super().__init__(reason)
        self.pause = pause


def fetch(url: str, path: str, *, begins: bytes = b"", check: Callable[..., Any] | None = None,  # noqa: PLR0913 (one request, and what a server may do to it)
          progress: Callable[..., Any] | None = None, say: Callable[..., Any] | None = None,
          sleep: Callable[..., Any] = time.sleep, timeout: float = _SECONDS_WITHOUT_ANSWER) -> bool:
    """Download `url` to `path`, unless it exists.

    Received data are kept beside `path` under a hidden name if the program is interrupted, and the download continues
    if the server still has the same file (same ETag or date, and length).

    Parameters
    ----------
    url : str
        https://, or http:// of this machine itself (a tunnel, a test).
    path : str
        Final name; its directory exists.
    begins : bytes
        Beginning of every valid file of this kind.
    check : callable, optional
        Called with the name of the complete download before its renaming; raises `InputError` if damaged.
    progress : callable, optional
        Called with received bytes and total bytes (None if unknown).
    say : callable, optional
        Called with one line if something takes long.
    sleep : callable
        Waits a number of seconds between attempts.
    timeout : float
        Seconds without an answer after which a connection is given up.

    Returns
    -------
    bool
        False if the file existed already.

    Raises
    ------
    NotThere
        The server has no such file.
    UsageError
        The address cannot be used.
    OccupyError
        No network, a wrong answer of the server, a certificate that cannot be checked, a full disk.
    """
    require_safe(url)
    if os.path.exists(path):
        return False
    try:
        with _alone(path, say):
            if os.path.exists(path):  # another process was faster
                return False
            _fetch(_Download(url, path, begins, timeout), check, progress, say, sleep)
    except OSError as error:
        raise write_error(path, error) from error
    return True


def _fetch(download, check, progress, say, sleep):
    fruitless, damaged = 0, False
    while True:
        before = download.arrived()
        try:
            download.go_on(progress)
        except _Unfinished as stop:
            fruitless = 0 if download.arrived() > before else fruitless + 1
            if fruitless >= _ATTEMPTS:
                raise OccupyError(f"{download.url}: {stop}, {_ATTEMPTS} times in a row; try again later: what has "
                                  "arrived is kept, and the download goes on from there") from None
            if say is not None and fruitless:
                say(f"{download.url}: {stop}; trying again")
            sleep(min(2.0 ** fruitless if stop.pause is None else stop.pause, _LONGEST_PAUSE))
            continue
        try:
            if check is not None:
                check(download.part)
        except InputError:
            download.forget()
            if damaged:
                raise
            damaged = True
            if say is not None:
                say(f"{download.url}: arrived damaged; downloading it again")
            continue
        os.replace(download.part, download.path)
        download.forget()
        return


def require_safe(url: Any, what: str = "address") -> None:
    """Raise UsageError unless a URL is https://, or http:// of this machine itself."""
    try:
        parts = urllib.parse.urlsplit(url)
        host = parts.hostname
    except ValueError:
        parts, host = None, None
    if not host or parts.scheme not in ("https", "http"):
        raise UsageError(f"{shown(url)}: the {what} must begin with https://")
    if parts.scheme == "http" and not _is_this_machine(host):
        raise UsageError(f"{shown(url)}: without https anyone on the way could change the data; use an address "
                         "that begins with https://")


def _is_this_machine(host):
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https only; from a plain http server also to itself."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> Any:
        old, new = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        same_server = old.scheme == new.scheme and old.netloc == new.netloc
        if new.scheme != "https" and not same_server:
            fp.close()
            raise _refused_redirect(req.full_url, newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _refused_redirect(url, target):
    return OccupyError(f"{url}: redirects to {shown(target)}, which is not https and is refused; check the "
                       "address, or download the file yourself")


@contextlib.contextmanager
def _alone(path, say):
    """Only one process at a time downloads a file, on file systems with locks."""
    import fcntl

    folder, name = os.path.split(path)
    lock = os.path.join(folder, f".{name}.lock")
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if say is not None:
                say(f"{shown(path)}: another process is downloading it; waiting")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                os.close(descriptor)
                raise
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                break
        os.close(descriptor)  # the previous process has removed it
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(lock)
        os.close(descriptor)


class _Download:
    """One download, with its partial file on disk.

    Received data are in ``.NAME.TAG.part``, where the tag identifies the version of the file that the server
    sent: ETag, date and length.
    """

    def __init__(self, url: Any, path: str, begins: Any, timeout: Any) -> None:
        self.url, self.path, self._begins, self._timeout = url, path, begins, timeout
        self.part = None
        folder, name = os.path.split(path)
        self._prefix = os.path.join(folder, f".{name}.")
        context = ssl.create_default_context()
        self._opener = urllib.request.OpenerDirector()
        for handler in (urllib.request.ProxyHandler(), urllib.request.HTTPHandler(), _Redirects(),
                        urllib.request.HTTPSHandler(context=context), urllib.request.HTTPErrorProcessor(),
                        urllib.request.HTTPDefaultErrorHandler(), urllib.request.UnknownHandler()):
            self._opener.add_handler(handler)
        found = sorted(self._parts(), key=os.path.getmtime)
        if found:
            self.part = found[-1]

    def _parts(self):
        return glob.glob(f"{glob.escape(self._prefix)}*.part")

    def arrived(self) -> Any:
        """Number of bytes on disk."""
        try:
            return 0 if self.part is None else os.path.getsize(self.part)
        except OSError:
            return 0

    def forget(self) -> None:
        """Remove partial files of this and older versions."""
        self.part = None
        for part in self._parts():
            with contextlib.suppress(OSError):
                os.unlink(part)

    def go_on(self, progress: Any) -> None:
        """Request the rest and write it; returns when the file is complete, or raises `_Unfinished`."""
        there = self.arrived()
        request = urllib.request.Request(self.url, headers={"User-Agent": f"occupy_jit/{__version__}",
                                                            "Accept-Encoding": "identity"})
        if there:
            request.add_header("Range", f"bytes={there}-")
        try:
            response = self._opener.open(request, timeout=self._timeout)
        except urllib.error.HTTPError as error:
            with error:
                self._explain(error, there)
            return
        except (OSError, http.client.HTTPException) as error:
            raise self._no_connection(error) from error
        with response:
            self._receive(response, there, progress)

    def _explain(self, error, there):
        """Raise an error for other answers than data; returns if everything has arrived already."""
        code = error.code
        if code == 416 and there:
            total = re.search(r"/(\d+)$", error.headers.get("Content-Range", ""))
            if total and int(total[1]) == there:
                return
            self.forget()
            raise _Unfinished("the file on the server has changed", 0)
        reason = f"{code} {error.reason}".strip()
        if code in (404, 410):
            raise NotThere(f"{self.url}: there is no such file on the server ({reason})")
        if code in _BUSY:
            wait = error.headers.get("Retry-After", "")
            raise _Unfinished(f"the server is busy ({reason})", int(wait) if wait.isdigit() else None)
        if 300 <= code < 400:
            raise _refused_redirect(self.url, error.headers.get("Location", "nowhere"))
        raise OccupyError(f"{self.url}: the server refuses ({reason}); download the file yourself, or try again later")

    def _no_connection(self, error):
        """Error or retry without an answer."""
        reason = getattr(error, "reason", error)
        if isinstance(reason, OccupyError):
            return reason
        if isinstance(reason, ssl.SSLCertVerificationError):
            return OccupyError(f"{self.url}: the certificate of the server cannot be checked "
                               f"({reason.verify_message}); nothing was fetched. Check the clock and the certificates "
                               "of this machine (SSL_CERT_FILE)")
        connected = not isinstance(error, urllib.error.URLError)
        if connected or self.arrived() or isinstance(reason, ConnectionResetError):
            return _Unfinished(f"no answer ({_words(reason)})")
        return OccupyError(f"{self.url}: no connection ({_words(reason)}); without a network, fetch it elsewhere and "
                           f"put it here: {shown(os.path.abspath(self.path))}")

    def _receive(self, response, there, progress):
        start, total = _range(response)
        kind = response.headers.get_content_type()
        if kind in ("text/html", "application/xhtml+xml"):
            raise OccupyError(self._page())
        part = f"{self._prefix}{_tag(response, total)}.part"
        if start and (start != there or part != self.part):
            self.forget()
            raise _Unfinished("the file on the server has changed", 0)
        if not start:
            self.forget()
            self.part = part
        if total is not None and total - start > (free := shutil.disk_usage(os.path.dirname(part) or ".").free):
            raise OccupyError(f"{shown(self.path)}: needs {total / 1e6:.0f} MB, but {free / 1e6:.0f} MB are free "
                              "there; choose another directory")
        done = start
        with open(part, "ab" if start else "wb", buffering=0) as file:
            while True:
                try:
                    piece = response.read1(_PIECE)
                except (OSError, http.client.HTTPException) as error:
                    raise _Unfinished(f"the connection was cut after {done} bytes ({_words(error)})") from error
                if not piece:
                    break
                if not done and self._begins and not piece.startswith(self._begins[:len(piece)]):
                    self.forget()
                    raise OccupyError(self._page())
                file.write(piece)
                done += len(piece)
                if progress is not None:
                    progress(done, total)
        if total is not None and done != total:
            raise _Unfinished(f"the connection was cut after {done} of {total} bytes")

    def _page(self):
        return (f"{self.url}: the server sent something else than the file, perhaps the login page of a proxy; "
                "nothing was kept. Open the address in a browser to check")


def _range(response):
    """Position of the answer in the file, and the length of the whole file (None if unknown)."""
    if response.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
        if not found:
            raise _Unfinished("the server sends a part of the file without saying which", 0)
        return int(found[1]), None if found[2] == "*" else int(found[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _tag(response, total):
    """Short name of the version of the file that a server sends."""
    version = (response.headers.get("ETag"), response.headers.get("Last-Modified"), total)
    return hashlib.sha256(repr(version).encode()).hexdigest()[:12]


def _words(error):
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())
