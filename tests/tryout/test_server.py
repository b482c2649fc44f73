"""The server of the page: who may ask, what is refused, and what is answered."""

import base64
import contextlib
import io
import re
import shutil
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

from gazejax import Embedding
from gazejax.cli.main import main
from gazejax.tryout import server
from gazejax.tryout.pictures import shipped_pictures
from tests.tiny import ROOT, without_stage_2

TOKEN = "a-token"


@contextlib.contextmanager
def client_of(model):
    """A client of a server that runs in a thread of this process."""
    tried = server.load_tried(model, shipped_pictures())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        app = server.make_app(tried, token=TOKEN, port=port, seconds=5.0)
        config = uvicorn.Config(app, log_level="error", lifespan="off", ws="none")
        serving = uvicorn.Server(config)
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [listener]})
        thread.start()
        headers = {server.TOKEN_HEADER: TOKEN}
        address = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=address, headers=headers, timeout=120) as client:
            yield client
        serving.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def mouse():
    with client_of("osie_mouse") as client:
        yield client


def viewing(picture, seed=0):
    places = np.random.default_rng((seed, picture)).uniform(40, 250, (125, 2)).round(2)
    return {"picture": picture, "x": places[:, 0].tolist(), "y": places[:, 1].tolist()}


def rounds(number=1, seed=0):
    return [[viewing(picture, seed) for picture in range(8 * n, 8 * n + 8)] for n in range(number)]


def png(size=(40, 30), **options):
    content = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(content, format="PNG", **options)
    return content.getvalue()


def own_embedding(client):
    return client.post("/api/describe", json={"rounds": rounds()}).json()["embedding"]


def error_of(response):
    """The sentence of a refusal; it never holds a path or a traceback."""
    sentence = response.json()["error"]
    assert not re.search(r"/\w+/|Traceback|\.py|\n", sentence), sentence
    assert sentence.endswith(".")
    return sentence


def test_requests_without_the_token_or_from_elsewhere_are_refused(mouse):
    about, port = "/api/about", mouse.base_url.port
    assert mouse.get(about).status_code == 200
    assert mouse.get("/", headers={server.TOKEN_HEADER: ""}).status_code == 403
    # The address of the page holds the token; other addresses have it in a header.
    page = mouse.get(f"/?token={TOKEN}", headers={server.TOKEN_HEADER: ""})
    assert (page.status_code, page.headers["content-type"][:9]) == (200, "text/html")
    for headers in (
        {server.TOKEN_HEADER: "another"},
        {server.TOKEN_HEADER: ""},
        {"Host": "example.org"},
        {"Host": f"127.0.0.1:{port + 1}"},
        {"Origin": "http://example.org"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{port}"},
    ):
        for path in (about, "/pictures/0"):
            response = mouse.get(path, headers=headers)
            assert response.status_code == 403, headers
            error_of(response)
    assert mouse.get(f"{about}?token={TOKEN}", headers={server.TOKEN_HEADER: ""}).status_code == 403
    own = {"Origin": f"http://127.0.0.1:{port}"}
    assert mouse.get(about, headers=own).status_code == 200
    assert mouse.get(about, headers={"Host": f"localhost:{port}"}).status_code == 200


def test_answers_are_not_kept_nor_framed_nor_run_elsewhere(mouse):
    for path in (f"/?token={TOKEN}", "/static/page.js", "/api/about", "/none", "/pictures/99"):
        headers = mouse.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy


def test_the_page_asks_for_nothing_elsewhere():
    for path in (ROOT / "gazejax/tryout/page").iterdir():
        addresses = set(re.findall(r"https?://[^\s\"'`]+", path.read_text()))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path
        assert not re.search(r"<script>| on\w+=| style=", path.read_text()), path


def test_static_files_and_pictures(mouse):
    for name in ("page.js", "page.css", "look.js"):
        assert mouse.get(f"/static/{name}").status_code == 200
    for name in ("index.html", "../server.py", "..%2fserver.py", "none.js"):
        response = mouse.get(f"/static/{name}")
        assert response.status_code == 404
        error_of(response)
    picture = mouse.get("/pictures/3")
    assert picture.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(picture.content)).size == (800, 600)
    for number in ("20", "-1", "x", "9" * 500, "٣"):
        assert mouse.get(f"/pictures/{number}").status_code == 404
    assert mouse.post("/api/about").status_code == 405


def test_one_round_is_described(mouse):
    found = mouse.post("/api/describe", json={"rounds": rounds()}).json()
    assert found["embedding"]["num_images"] == 8
    assert len(found["embedding"]["vector"]) == 129
    assert "8 pictures" in found["place"]["sentence"]
    assert {one["name"] for one in found["traits"]} >= {"center_share", "spread"}
    assert (found["comparison"], found["uncounted"]) == (None, [[]])
    again = mouse.post("/api/describe", json={"rounds": rounds()}).json()
    assert again == found  # Nothing is kept from one request to the next.


def test_two_rounds_are_compared(mouse):
    found = mouse.post("/api/describe", json={"rounds": rounds(2)}).json()
    assert found["embedding"]["num_images"] == 16
    assert 0.5 < found["comparison"]["probability"] < 1
    assert "the same person" in found["comparison"]["sentence"]
    assert len(found["rounds"]) == 2


def test_pictures_without_a_move_do_not_count(mouse):
    [given] = rounds()
    for one in given[:3]:
        one.update(x=[100.0] * 125, y=[100.0] * 125)
    found = mouse.post("/api/describe", json={"rounds": [given]}).json()
    assert (found["uncounted"], found["embedding"]["num_images"]) == ([[0, 1, 2]], 5)
    for one in given[3:5]:
        one.update(x=[100.0], y=[100.0])
    response = mouse.post("/api/describe", json={"rounds": [given]})
    assert response.status_code == 422
    assert "the pointer moved in 3 of 8 pictures. At least 4" in error_of(response)


def test_maps_of_a_picture_and_of_an_upload(mouse):
    embedding = own_embedding(mouse)
    found = mouse.post("/api/map", json={"embedding": embedding, "picture": 16}).json()
    for name in ("own", "average"):
        image = Image.open(io.BytesIO(base64.b64decode(found[name])))
        assert (image.mode, image.size) == ("L", (400, 300))
    assert (found["width"], found["height"]) == (800, 600)
    assert found["own"] != found["average"]
    upload = base64.b64encode(png((1000, 500))).decode()
    found = mouse.post("/api/map", json={"embedding": embedding, "upload": upload}).json()
    assert (found["width"], found["height"]) == (800, 400)


@pytest.mark.parametrize(
    ("content", "status", "part"),
    [
        (b"no picture", 422, "The picture does not decode (it holds the text 'no picture')"),
        (b"", 422, "it is empty"),
        (png()[:300], 422, "does not decode"),
        (png((8, 8)), 422, "fewer than 16 pixels"),
        (png((40, 30)) + b"\0" * 10_000_001, 413, "larger than 10 MB"),
    ],
)
def test_uploads_that_are_no_pictures_are_refused(mouse, content, status, part):
    upload = base64.b64encode(content).decode()
    response = mouse.post("/api/map", json={"embedding": own_embedding(mouse), "upload": upload})
    assert response.status_code == status
    assert part in error_of(response)


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(mouse):
    content = io.BytesIO()
    Image.new("1", (8000, 6000)).save(content, format="PNG")
    upload = base64.b64encode(content.getvalue()).decode()
    response = mouse.post("/api/map", json={"embedding": own_embedding(mouse), "upload": upload})
    assert response.status_code == 422
    assert "8000 x 6000 pixels, expected at most 40000000" in error_of(response)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'"text"'])
def test_bodies_that_are_no_json_object_are_refused(mouse, body):
    for path in ("/api/describe", "/api/map", "/api/export/gaze", "/api/export/embedding"):
        response = mouse.post(path, content=body)
        assert response.status_code == 400
        error_of(response)


def test_a_body_that_is_too_large_is_refused(mouse):
    response = mouse.post("/api/embedding", content=b"0" * 14_000_000)
    assert response.status_code == 413
    error_of(response)


def test_wrong_embeddings_are_refused(mouse):
    right = own_embedding(mouse)
    for change, part in (
        ({"vector": right["vector"][1:]}, "an embedding of 129 numbers"),
        ({"vector": [*right["vector"][1:], "x"]}, "no number"),
        ({"vector": [*right["vector"][1:], 1e300]}, "beyond a million"),
        ({"vector": [*right["vector"][1:], True]}, "no number"),
        ({"num_images": 0}, "at least 1"),
        ({"encoder_digest": "another"}, "another model"),
    ):
        for path in ("/api/describe", "/api/map", "/api/export/embedding"):
            response = mouse.post(path, json={"embedding": right | change, "picture": 1})
            assert response.status_code in (400, 422)
            assert part in error_of(response)


def test_an_embedding_far_from_those_of_people_is_answered(mouse):
    right = own_embedding(mouse)
    for value in (9e5, -9e5, 0.0):
        embedding = right | {"vector": [value] * 129}
        described = mouse.post("/api/describe", json={"embedding": embedding})
        assert described.status_code == 200
        response = mouse.post("/api/map", json={"embedding": embedding, "picture": 16})
        assert response.status_code in (200, 422), error_of(response)


def test_an_embedding_is_saved_and_loaded(mouse, tmp_path):
    right = own_embedding(mouse)
    saved = mouse.post("/api/export/embedding", json={"embedding": right})
    (tmp_path / "me.npz").write_bytes(saved.content)
    embedding = Embedding.load(tmp_path / "me.npz")
    assert embedding.vector.tolist() == right["vector"]
    found = mouse.post("/api/embedding", content=saved.content).json()
    assert found["embedding"] == right
    assert found["place"] is not None


def test_files_that_are_no_embedding_are_refused(mouse):
    other = io.BytesIO()
    np.savez(other, one=np.zeros(3))
    bomb = io.BytesIO()
    np.savez_compressed(bomb, embedding=np.zeros(20_000_000))
    foreign = io.BytesIO()
    with_digest = {"num_images": 3, "encoder_digest": "another", "sessions": []}
    np.savez(foreign, embedding=np.zeros(129, np.float32), **with_digest)
    for content, status in (
        (b"", 422),
        (b"PK\x03\x04 no archive", 422),
        (other.getvalue(), 422),
        (bomb.getvalue(), 413),
        (foreign.getvalue(), 422),
    ):
        response = mouse.post("/api/embedding", content=content)
        assert response.status_code == status
        error_of(response)


def test_an_error_of_the_program_names_no_path(mouse, monkeypatch, capsys):
    def fail(*_):
        raise OSError("/home/someone/secret is missing")

    monkeypatch.setattr(server.answers, "describe_rounds", fail)
    response = mouse.post("/api/describe", json={"rounds": rounds()})
    assert response.status_code == 500
    assert "secret" not in error_of(response)
    assert "secret" in capsys.readouterr().err  # In the window of the program.
    monkeypatch.undo()
    assert mouse.post("/api/describe", json={"rounds": rounds()}).status_code == 200


def test_exported_gaze_is_checked_and_built_as_any_other(mouse, tmp_path, capsys):
    csv = mouse.post("/api/export/gaze", json={"rounds": rounds(2)})
    assert csv.headers["content-type"].startswith("text/csv")
    (tmp_path / "gaze.csv").write_bytes(csv.content)
    images = tmp_path / "images"
    shutil.copytree(ROOT / "gazejax/tryout/pictures", images)
    table, shown = str(tmp_path / "gaze.csv"), ["--images", str(images), "--tracking", "mouse"]
    drawn = str(tmp_path / "check.png")
    assert main(["data", "check", table, *shown, "--picture", drawn]) == 0
    options = ["--name", "mine", "--data-dir", str(tmp_path / "data")]
    assert main(["data", "build", "gaze_table", "--table", table, *shown, *options]) == 0
    assert "2000 fixations, mouse tracking" in capsys.readouterr().err


def test_a_model_without_stage_2_embeds_and_says_so(tiny_run, tmp_path):
    run = without_stage_2(tiny_run, tmp_path / "run")
    with client_of(run) as client:
        about = client.get("/api/about").json()
        assert (about["has_maps"], about["is_measured"], about["model"]) == (False, False, "run")
        found = client.post("/api/describe", json={"rounds": rounds()}).json()
        response = client.post("/api/map", json={"embedding": found["embedding"], "picture": 16})
    assert response.status_code == 409
    assert error_of(response) == "This model embeds people and predicts no maps."


def test_a_model_of_gaze_takes_rests_for_fixations():
    with client_of("osie") as client:
        about = client.get("/api/about").json()
        assert (about["tracking"], about["is_measured"]) == ("eye", False)
        found = client.post("/api/describe", json={"rounds": rounds(2)}).json()
    assert found["embedding"]["has_durations"]
    assert "duration_ms" in {one["name"] for one in found["traits"]}
    assert found["comparison"] is not None


def test_twenty_people_ask_five_times_each(mouse):
    one = mouse.post("/api/describe", json={"rounds": rounds()}).json()
    expected = {0: one, 1: mouse.post("/api/describe", json={"rounds": rounds(seed=1)}).json()}

    def ask(person):
        seed = person % 2
        for turn in range(5):
            if turn % 2:
                body = {"embedding": expected[seed]["embedding"], "picture": 16 + turn % 4}
                assert mouse.post("/api/map", json=body).status_code == 200
            else:
                answer = mouse.post("/api/describe", json={"rounds": rounds(seed=seed)})
                assert answer.json() == expected[seed]
        return True

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(ask, range(20)))


def test_without_the_extra_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["try", "--no-browser"]) == 1
    line = "error: gazejax try needs starlette and uvicorn: pip install gazejax[try]\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--seconds", "0"], "--seconds is 0.0; allowed: 0.2 to 60"),
        (["--port", "70000"], "--port is 70000; allowed: 0 to 65535"),
        (["--data-dir", "x"], "--data-dir is not allowed without --dataset"),
        (["no_such_model"], "no shipped model has this name"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(arguments, part, capsys):
    assert main(["try", "--no-browser", *arguments]) == 1
    error = capsys.readouterr().err
    assert part in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_the_command_serves_until_it_is_interrupted():
    command = [sys.executable, "-m", "gazejax", "try", "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as program:
        timer = threading.Timer(120, program.kill)
        timer.start()
        address = program.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}", address)
        assert httpx.get(address).status_code == 200
        port = int(address.split(":")[2].split("/")[0])
        taken = subprocess.run(
            [*command, "--port", str(port)], capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert taken.returncode == 1
        assert f"error: --port {port} cannot be used" in taken.stderr
        program.terminate()
        assert program.wait(60) == 0
        timer.cancel()
        assert program.stderr.read() == ""
