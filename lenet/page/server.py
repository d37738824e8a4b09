"""The server of the page: who may come in, and whose turn it is.

One process with one event loop; one more thread computes. A client is answered for its newest
drawing only, and is sent the newest of what it has not taken yet, so neither a flood of messages
nor a client that does not read makes anything grow.
"""

import asyncio
import contextlib
import errno
import hmac
import ipaddress
import json
import os
import secrets
import signal
import socket
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import tornado.httpserver
import tornado.iostream
import tornado.netutil
import tornado.web
import tornado.websocket

from lenet.errors import DataError, Interrupted, UsageError, one_line
from lenet.page import messages
from lenet.page.ports import find_free_port, find_user

MAX_CLIENTS = 40  # a class, each with a window of their own
MAX_QUEUED_COMMANDS = 20  # per client; the oldest ones are dropped
CLIENT_FILES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "client")

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address holds the token
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


# --- who may come in ------------------------------------------------------------------------


class GuardedHandler:
    """A handler that lets in only those who know the token, at our name, from our page."""

    # A browser sends no origin with the requests for a page's own files.
    other_origins = (None,)

    def set_default_headers(self):
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self):
        server, host = self.application.server, self.request.headers.get("Host", "")
        ours = f"{self.request.protocol}://{host}"
        token = self.request.path.split("/")[1]
        if not (is_ours(host, server.host)
                and self.request.headers.get("Origin") in (ours,) + self.other_origins
                and hmac.compare_digest(token.encode(), server.token.encode())):
            raise tornado.web.HTTPError(403)

    def write_error(self, status_code, **_):
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code} {self._reason}: open the address that the terminal shows\n")


def is_ours(header, host):
    """Whether a Host header, such as "127.0.0.1:8765", has a name that only this machine can have;
    ``host`` is what the server listens at. A tunnel may have changed the port.

    Any other name may be an attacker's, whose page the browser would take for ours (DNS rebinding).
    """
    name, _, port = header.rpartition(":")
    name = (name if port.isdigit() else header).strip("[]").lower()
    if name in ("localhost", host.lower()) or is_loopback(name):
        return True
    if is_loopback(host) or host == "localhost":
        return False
    # It listens to other machines, which may know it by any of its addresses.
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(name))
    return name in (socket.gethostname().lower(), socket.getfqdn().lower())


def is_loopback(host):
    """Whether this is an address that only this machine reaches."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


class FileHandler(GuardedHandler, tornado.web.StaticFileHandler):
    """One of the client's files."""


# --- whose turn it is -----------------------------------------------------------------------


class Client(GuardedHandler, tornado.websocket.WebSocketHandler):
    """The page in one window of a browser.

    Attributes
    ----------
    asked : dict or None
        The newest request for an answer that it has not got yet.
    commands : deque of dicts
        What is to be done, in order.
    prepared : lenet.page.drawings.Prepared or None
        The last image that it got an answer for.
    """

    other_origins = ()

    async def open(self):
        self.server = self.application.server
        self.asked, self.commands, self.prepared = None, deque(maxlen=MAX_QUEUED_COMMANDS), None
        self.unsent, self.something_to_send = {}, asyncio.Event()
        if len(self.server.clients) >= MAX_CLIENTS:
            self.write_message(json.dumps({"line": f"{MAX_CLIENTS} windows show this page already."
                                                   " This one comes in by itself when one of them "
                                                   "closes."}))
            self.close(1013, "too many windows")
            return
        self.server.clients.append(self)
        self.sender = asyncio.ensure_future(self.send_until_closed())
        for key, message in (await self.server.compute(self.server.page.greeting)).items():
            self.send(key, message)

    def on_message(self, message):
        if self not in self.server.clients:
            return
        try:
            request = messages.unpack(message)
            if {"keep", "train", "command"} & request.keys():  # to be done, rather than answered
                self.commands.append(request)
            else:
                self.asked = request
            self.server.something_asked.set()
        except DataError as error:
            self.say(error)

    def say(self, line):
        """Send a line for the reader of the page."""
        self.send("line", json.dumps({"line": " ".join(str(line).split())[:400]}))

    def send(self, key, message):
        """Send a message when the client can take it, in place of an older one with this key."""
        self.unsent[key] = message
        self.something_to_send.set()

    async def send_until_closed(self):
        with contextlib.suppress(tornado.websocket.WebSocketClosedError,
                                 tornado.iostream.StreamClosedError):
            while self in self.server.clients:
                await self.something_to_send.wait()
                self.something_to_send.clear()
                while self.unsent:
                    message = self.unsent.pop(next(iter(self.unsent)))
                    # Until the connection has taken it.
                    await self.write_message(message, binary=isinstance(message, bytes))

    def on_close(self):
        if self in self.server.clients:
            self.server.clients.remove(self)
            self.unsent.clear()
            self.something_to_send.set()


class Server:
    """The clients of a ``lenet.page.content.Page``, and the thread that computes for them in turn;
    ``host`` is the address that it listens at."""

    def __init__(self, page, host):
        self.page, self.host = page, host
        self.token = secrets.token_urlsafe(16)
        self.clients = []
        self.something_asked = asyncio.Event()
        self.worker = ThreadPoolExecutor(1)

    async def compute(self, function, *arguments):
        """Call a function in the thread that computes."""
        return await asyncio.get_running_loop().run_in_executor(self.worker, function, *arguments)

    async def answer_forever(self):
        while True:
            await self.something_asked.wait()
            self.something_asked.clear()
            # One of each, so that none of them holds up the others.
            for client in list(self.clients):
                if client.commands:
                    client.say(await self.compute_or_explain(
                        self.page.execute, client.commands.popleft(), client.prepared))
                asked, client.asked = client.asked, None
                if asked is not None:
                    answer = await self.compute_or_explain(self.page.answer, asked)
                    if isinstance(answer, str):
                        # A picture that is refused leaves the drawing as it is.
                        of_drawing = "drawing" in asked
                        answer = None if of_drawing else client.prepared, json.dumps(
                            {"nothing": answer, "number": asked.get("number"),
                             "of_drawing": of_drawing})
                    client.prepared, message = answer
                    client.send("answer", message)
            if any(client.commands for client in self.clients):
                self.something_asked.set()

    async def compute_or_explain(self, function, *arguments):
        """What a function returns, or a line that says why it cannot."""
        try:
            return await self.compute(function, *arguments) or ""
        except (DataError, UsageError) as error:
            return str(error)
        except Exception as error:  # whatever a message can set off, it does not end the server
            return f"this cannot be done ({one_line(error)})"

    async def send_news_forever(self):
        """Look five times a second whether there is news for all clients."""
        while True:
            await asyncio.sleep(0.2)
            news = await self.compute_or_explain(self.page.news)
            if isinstance(news, str):
                news = {"line": json.dumps({"line": news})} if news else {}
            for key, message in news.items():
                for client in self.clients:
                    client.send(key, message)

    async def run(self, sockets, ready):
        """Serve until a signal asks to stop; return its number. Call ``ready`` at the start."""
        application = tornado.web.Application(
            [(r"/[^/]+/socket", Client),
             (r"/(?:[^/]+/)?(.*)", FileHandler, {"path": CLIENT_FILES,
                                                 "default_filename": "index.html"})],
            # A picture, its kind and its number.
            websocket_max_message_size=messages.MAX_PICTURE_BYTES + 5,
            websocket_ping_interval=20, log_function=lambda handler: None)
        application.server = self
        http = tornado.httpserver.HTTPServer(application, max_header_size=16384, max_body_size=0,
                                             idle_connection_timeout=60)
        http.add_sockets(sockets)
        loop, stopped = asyncio.get_running_loop(), asyncio.Future()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda number=number: (
                stopped.done() or stopped.set_result(number)))
        ready()
        tasks = [asyncio.ensure_future(self.answer_forever()),
                 asyncio.ensure_future(self.send_news_forever())]
        await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        loop.set_exception_handler(lambda *_: None)  # messages are cut off
        http.stop()
        for client in list(self.clients):
            client.close(1001, "the server has ended")
        for task in tasks:
            if task.done():
                task.result()  # raises what ended it
            task.cancel()
        self.worker.shutdown()
        if self.page.training:
            self.page.training.stop()
        return stopped.result()


def bind(host, port):
    """Sockets that listen at a host and a port.

    Raises a UsageError if the port is taken, or not one that we may take, or if this machine has no
    such address.
    """
    if not 0 <= port < 65536:
        raise UsageError(f"port {port}; expected 0 to 65535")
    try:
        return tornado.netutil.bind_sockets(port, host)
    except socket.gaierror as error:
        raise UsageError(f"host {host}: {error.strerror}; expected an address of this machine, "
                         "such as 0.0.0.0 for all of them") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"port {port} is in use by {find_user(port)}; try --port "
                             f"{find_free_port(host, port)}") from None
        raise UsageError(f"port {port} at {host} cannot be opened ({error.strerror}); try another "
                         "--port or --host") from None


def serve(page, host, port, announce):
    """Serve a page until Ctrl-C. Raises the errors of ``bind``, and Interrupted on SIGTERM.

    Parameters
    ----------
    page : lenet.page.content.Page
    host, port : str, int
        Where to listen; port 0 is any that is free.
    announce : function of a str
        Called with the address of the page once it can be opened.
    """
    sockets = bind(host, port)
    shown = "127.0.0.1" if host in ("0.0.0.0", "") else "[::1]" if host == "::" else (
        f"[{host}]" if ":" in host else host)

    async def run():
        server = Server(page, host)
        port = sockets[0].getsockname()[1]
        return await server.run(sockets, lambda: announce(f"http://{shown}:{port}/{server.token}/"))

    if asyncio.run(run()) == signal.SIGTERM:
        raise Interrupted("terminated", signal.SIGTERM)
