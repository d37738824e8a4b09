"""lenet.page.server: who may come in, and that no message and no client is too much for it."""

import asyncio
import contextlib
import io
import json
import os
import re
import socket
import struct
import time
import urllib.error
import urllib.request

import numpy
import pytest
from conftest import assert_refused
from PIL import Image
from served import serve_page, trained_run  # noqa: F401

from lenet.predict.predictor import Predictor

tornado = pytest.importorskip("tornado", reason="tornado is not installed")
from tornado.httpclient import HTTPRequest  # noqa: E402
from tornado.websocket import WebSocketClosedError, websocket_connect  # noqa: E402

from lenet.page.server import MAX_CLIENTS  # noqa: E402

A_WHILE = 60  # seconds, against hanging

SIDE = 200  # rows and columns of a drawing of a digit


@pytest.fixture(scope="module")
def page(trained_run, tmp_path_factory):  # noqa: F811
    run, dataset = trained_run
    with serve_page(run, "--dataset", dataset, cwd=str(tmp_path_factory.mktemp("cwd"))) as started:
        yield started


@pytest.fixture
def address(page):
    return page[0]


def draw_seven():
    """A drawing, dark on light."""
    drawing = numpy.full((SIDE, SIDE), 255, "uint8")
    drawing[40:56, 50:150] = 0
    for row in range(56, 170):
        middle = 142 - (row - 56) // 2
        drawing[row, middle - 8:middle + 8] = 0
    return drawing


def pack_drawing(drawing, number=1):
    return struct.pack("<BI", 1, number) + drawing.tobytes()


def get(address, path="", **headers):
    """(status, headers) of a request; ``path`` replaces the last part of the address."""
    request = urllib.request.Request(address + path, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=A_WHILE) as response:
            return response.status, response.headers
    except urllib.error.HTTPError as error:
        return error.code, error.headers


async def connect(address, **headers):
    origin = re.match(r"http://[^/]+", address).group()
    request = HTTPRequest(address.replace("http", "ws", 1) + "socket",
                          headers={"Origin": origin, **headers})
    return await asyncio.wait_for(websocket_connect(request, max_message_size=2 ** 26), A_WHILE)


async def receive(connection):
    """The next message: a dict, with "values" if there are numbers; None at the end."""
    message = await asyncio.wait_for(connection.read_message(), A_WHILE)
    if not isinstance(message, bytes):
        return message and json.loads(message)
    length, = struct.unpack_from("<I", message)
    return dict(json.loads(message[4:4 + length]),
                values=numpy.frombuffer(message, "<f4", offset=4 + length))


async def receive_until(connection, wanted):
    while True:
        message = await receive(connection)
        assert message is not None, "the connection was closed"
        if wanted(message):
            return message


def is_answer(message):
    return message.get("kind") == "answer"


async def get_line(address, message):
    """What the server says to a message."""
    connection = await connect(address)
    await receive_until(connection, lambda m: m.get("kind") == "parameters")
    await connection.write_message(message, binary=isinstance(message, bytes))
    said = await receive_until(connection, lambda m: "line" in m or "nothing" in m)
    connection.close()
    return said.get("line") or said["nothing"]


def read_memory(process):
    """(megabytes in memory, threads) of a process."""
    with open(f"/proc/{process.pid}/status") as file:
        status = dict(line.split(":", 1) for line in file)
    return int(status["VmRSS"].split()[0]) / 1024, int(status["Threads"])


# --- who may come in ------------------------------------------------------------------------


def test_the_page_comes_with_a_policy(address):
    status, headers = get(address)
    assert status == 200 and headers["Content-Type"] == "text/html"
    assert headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("headers", [
    {"Host": "evil.example"}, {"Host": "evil.example:8765"}, {"Host": "127.0.0.1.evil.example"},
    {"Host": "192.168.0.1"}, {"Origin": "http://evil.example"}, {"Origin": "null"}])
def test_another_host_or_origin_is_refused(address, headers):
    assert get(address, **headers)[0] == 403
    assert get(address, "main.js", **headers)[0] == 403


def test_another_token_is_refused(address):
    base, token = re.match(r"(http://[^/]+/)([\w-]{20,})/$", address).groups()
    for path in ("", "x/", token[:-1] + "/", token[:-1] + "/main.js", "main.js",
                 f"x/{token}/", token.swapcase() + "/socket"):
        assert get(base, path)[0] == 403, path


def test_a_file_of_ours_only(address):
    assert get(address, "style.css")[0] == 200
    for path in ("none.js", "../server.py", "%2e%2e%2fserver.py", "..%5cserver.py", "a/main.js",
                 "%2fetc%2fpasswd"):
        assert get(address, path)[0] in (403, 404), path


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"},
                                     {"Host": "evil.example", "Origin": "http://evil.example"}])
def test_a_socket_for_our_own_page_only(address, headers):
    with pytest.raises(tornado.httpclient.HTTPClientError) as refused:
        asyncio.run(connect(address, **headers))
    assert refused.value.code == 403


def test_a_socket_without_origin_is_refused(address):
    handshake = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                 "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    assert get(address, "socket", **handshake)[0] == 403


# --- what it answers ------------------------------------------------------------------------


def test_a_drawing_is_answered_as_by_the_predictor(address, trained_run):  # noqa: F811
    async def ask():
        connection = await connect(address)
        hello = (await receive_until(connection, lambda m: "hello" in m))["hello"]
        await connection.write_message(pack_drawing(draw_seven(), 77), binary=True)
        return hello, await receive_until(connection, is_answer)

    hello, answer = asyncio.run(ask())
    assert answer["number"] == 77 and hello["class_names"][7] == "7"
    predictor = Predictor(trained_run[0])
    image, probabilities = answer["values"][:784], answer["values"][-10:]
    expected = predictor.probabilities(image[None])[0]
    numpy.testing.assert_allclose(probabilities, expected, atol=1e-6)
    assert probabilities.argmax() == 7
    # The box in pixels of the drawing: rows 40 to 170, columns from the bar's left to its right.
    assert answer["box"] == [40, 50, 170, 150]


def test_an_empty_drawing_has_no_class(address):
    empty = numpy.full((SIDE, SIDE), 255, "uint8")
    assert "no digit found" in asyncio.run(get_line(address, pack_drawing(empty)))


def test_pictures_and_images_of_the_test_set(address, trained_run, mnist_arrays):  # noqa: F811
    x, y = mnist_arrays[2]
    content = io.BytesIO()
    Image.fromarray(draw_seven()).convert("RGB").save(content, "JPEG")

    async def ask():
        connection = await connect(address)
        await connection.write_message(struct.pack("<BI", 2, 5) + content.getvalue(), binary=True)
        picture = await receive_until(connection, is_answer)
        await connection.write_message(json.dumps({"test": 11}))
        eleventh = await receive_until(connection, is_answer)
        await connection.write_message(json.dumps({"test": 0, "step": 1, "wrong": True}))
        wrong = await receive_until(connection, is_answer)
        return picture, eleventh, wrong

    picture, eleventh, wrong = asyncio.run(ask())
    assert picture["values"][-10:].argmax() == 7
    numpy.testing.assert_array_equal(eleventh["values"][:784], x[11])
    assert eleventh["test"] == {"index": 11, "n": 500, "label": int(y[11])}
    probabilities = Predictor(trained_run[0]).probabilities(x[:500])
    first = int(numpy.flatnonzero((probabilities.argmax(axis=1) != y[:500])[1:])[0]) + 1
    assert wrong["test"]["index"] == first


def test_a_drawing_is_kept_with_its_class(trained_run, tmp_path):  # noqa: F811
    run, dataset = trained_run
    with serve_page(run, "--dataset", dataset, "--keep", tmp_path / "kept") as (address, _):
        async def ask():
            connection = await connect(address)
            await connection.write_message(json.dumps({"keep": 3}))
            first = await receive_until(connection, lambda m: "line" in m)
            await connection.write_message(pack_drawing(draw_seven()), binary=True)
            answer = await receive_until(connection, is_answer)
            # A picture that is refused does not take the place of the drawing.
            await connection.write_message(struct.pack("<BI", 2, 2) + b"no image", binary=True)
            await receive_until(connection, lambda m: "nothing" in m)
            await connection.write_message(json.dumps({"keep": 7}))
            return first, answer, await receive_until(connection, lambda m: "line" in m)

        first, answer, kept = asyncio.run(ask())
    assert "nothing is drawn" in first["line"]
    path, = (tmp_path / "kept").glob("*/*.png")
    assert path.parent.name == "7" and str(path) in kept["line"]
    with Image.open(path) as image:
        numpy.testing.assert_array_equal(numpy.asarray(image).ravel(),
                                         answer["values"][:784] * 256)


# --- what it withstands ---------------------------------------------------------------------


def make_bomb():
    """A PNG of a few kilobytes and 36 million pixels."""
    content = io.BytesIO()
    Image.new("1", (6000, 6000)).save(content, "PNG")
    return struct.pack("<BI", 2, 1) + content.getvalue()


@pytest.mark.parametrize("message, words", [
    (pack_drawing(draw_seven())[:-1], "39999 bytes; expected 40000"),
    (b"", "unknown kind"), (b"\x07abcdef", "unknown kind"),
    (b"\x01" + b"x" * 2 ** 16, "expected at most 65536"),
    ("x" * (2 ** 16 + 1), "expected at most 65536"),
    (struct.pack("<BI", 2, 1) + b"no image", "no image"), (make_bomb(), "6000 x 6000 pixels"),
    ("[" * 1000, "not JSON"), ("[1]", "not an object"), ("{}", "unknown kind"),
    (json.dumps({"test": -1}), "test -1; expected a whole number from 0 to 499"),
    (json.dumps({"test": "../../etc"}), "expected a whole number"),
    (json.dumps({"test": 0, "step": 7}), "step 7"),
    (json.dumps({"keep": 1}), "nothing is drawn")])
def test_a_bad_message_ends_in_a_line(address, message, words):
    assert words in asyncio.run(get_line(address, message))


def test_a_picture_that_sets_off_anything_ends_in_a_line(address, rng):
    """Damaged in every way: Pillow raises many kinds of errors."""
    contents = []
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        content = io.BytesIO()
        Image.fromarray(draw_seven()).convert("RGB").save(content, kind)
        contents.append(content.getvalue())

    async def ask():
        connection = await connect(address)
        await receive_until(connection, lambda m: m.get("kind") == "parameters")
        for number in range(120):
            damaged = bytearray(contents[number % len(contents)])
            for at in rng.randint(0, min(len(damaged), 60), 4):
                damaged[at] = rng.randint(256)
            await connection.write_message(struct.pack("<BI", 2, number) + damaged, binary=True)
            await receive_until(connection, lambda m, n=number: m.get("number") == n)

    asyncio.run(ask())


def test_random_and_cut_messages(page, rng):
    address, process = page
    image = io.BytesIO()
    Image.fromarray(draw_seven()).save(image, "PNG")
    good = [pack_drawing(draw_seven()), struct.pack("<BI", 2, 1) + image.getvalue(),
            b'{"test": 3, "step": 1, "wrong": true}']

    def make_bad_message():
        kind = rng.randint(4)
        if kind == 0:
            return rng.bytes(rng.randint(1, 300))
        message = good[rng.randint(len(good))]
        if kind == 1:
            message = message[:rng.randint(len(message))]
        else:
            at = rng.randint(len(message))
            message = message[:at] + rng.bytes(rng.randint(1, 9)) + message[at + kind:]
        return message if rng.randint(2) else message.decode("latin-1")

    async def send_all():
        connection = await connect(address)
        for number in range(1000):
            message = make_bad_message()
            await connection.write_message(message, binary=isinstance(message, bytes))
            if number % 100 == 0:  # let it answer some of them
                await receive(connection)
        await connection.write_message(pack_drawing(draw_seven(), 4711), binary=True)
        await receive_until(connection, lambda m: is_answer(m) and m.get("number") == 4711)

    asyncio.run(send_all())
    assert process.poll() is None


def test_a_message_that_is_too_large_ends_only_its_connection(page):
    async def ask():
        connection = await connect(page[0])
        with contextlib.suppress(WebSocketClosedError):
            await connection.write_message(b"\x02" + bytes(9 * 2 ** 20), binary=True)
        while await receive(connection) is not None:
            pass

    asyncio.run(ask())
    assert get(page[0])[0] == 200


def test_fifty_clients(trained_run):  # noqa: F811
    with serve_page(trained_run[0]) as page:
        flood(*page)


def flood(address, process):
    # What it needs to answer at all.
    assert "no digit" in asyncio.run(get_line(
        address, pack_drawing(numpy.full((SIDE, SIDE), 255, "uint8"))))
    before, threads = read_memory(process)
    end = time.monotonic() + 3
    drawing = pack_drawing(draw_seven())

    async def client():
        connection, answered = await connect(address), 0
        first = await receive(connection)
        if "line" in first:
            assert f"{MAX_CLIENTS} windows show this page already" in first["line"]
            return None

        async def read():
            nonlocal answered
            while True:
                answered += is_answer(await receive_until(connection, is_answer))

        reading = asyncio.ensure_future(read())
        while time.monotonic() < end or not answered:
            await connection.write_message(drawing, binary=True)
            await asyncio.sleep(0.001)
        reading.cancel()
        connection.close()
        return answered

    async def all_of_them():
        return await asyncio.gather(*(client() for _ in range(50)))

    answered = [n for n in asyncio.run(all_of_them()) if n is not None]
    assert len(answered) == MAX_CLIENTS and min(answered) > 0
    after, threads_after = read_memory(process)
    assert after - before < 60 and threads_after <= threads + 1  # megabytes


def test_a_client_that_does_not_read_holds_up_nobody(page):
    address, process = page

    async def ask():
        slow = await connect(address)
        quick = await connect(address)
        before, _ = read_memory(process)
        # Far more answers than the buffers of a connection hold, 40 kilobytes each.
        for number in range(500):
            await slow.write_message(pack_drawing(draw_seven(), number), binary=True)
            await quick.write_message(pack_drawing(draw_seven(), number), binary=True)
            await receive_until(quick, lambda m, n=number: is_answer(m) and m["number"] == n)
        after, _ = read_memory(process)
        return after - before

    assert asyncio.run(ask()) < 60  # megabytes


# --- how it is started ----------------------------------------------------------------------


def test_a_port_in_use(page, trained_run, script):  # noqa: F811
    address, process = page
    port = int(re.search(r":(\d+)/", address).group(1))
    refused = script("draw.py", trained_run[0], "--port", port, "--no-browser")
    assert_refused(refused, 2, f"port {port} is in use by", f"process {process.pid}; try --port")
    free = int(re.search(r"try --port (\d+)", refused.stderr).group(1))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", free))


@pytest.mark.parametrize("options, words", [
    (["--host", "no.such.host.invalid"], ["host no.such.host.invalid"]),
    (["--port", "70000"], ["port 70000"]), (["--host", "192.0.2.1"], ["at 192.0.2.1"])])
def test_wrong_places(trained_run, options, words, script):  # noqa: F811
    assert_refused(script("draw.py", trained_run[0], *options, "--no-browser"), 2, *words)


def test_listening_to_others_is_said(trained_run):  # noqa: F811
    with serve_page(trained_run[0], "--host", "0.0.0.0") as (address, process):
        assert "everyone who can reach this machine" in process.stdout.readline()
        assert get(address)[0] == 200
        assert get(address, Host="10.1.2.3:80")[0] == 200
        assert get(address, Host="evil.example")[0] == 403


def test_no_run(tmp_path, script):
    assert_refused(script("draw.py", tmp_path / "none", "--no-browser"), 1, "none: not found")


def test_ctrl_c_ends_it(trained_run):  # noqa: F811
    with serve_page(trained_run[0]) as (_, process):
        os.kill(process.pid, 2)
        assert process.wait(A_WHILE) == 0
        process.poll = lambda: None  # it was to end

