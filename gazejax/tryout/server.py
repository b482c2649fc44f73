"""The local server of the page: it holds the model and the pictures, and nothing of a person.

Each answer is made of its request alone. Of uploaded pictures, the model keeps in memory what it
read of the last ones. What JAX computes runs in one thread at a time.
"""

import hmac
import re
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gazejax.api.embedding import encode_embedding
from gazejax.api.loading import load_with_parts
from gazejax.tryout import answers, requests
from gazejax.tryout.answers import SAMPLE_MS, Tried
from gazejax.tryout.pictures import Picture, media_type
from gazejax.tryout.population import (
    CONTOURS,
    measured_population,
    normal_population,
    radius_of,
    read_measured,
)
from gazejax.tryout.requests import RefusedError

TOKEN_HEADER = "X-Gazejax-Token"
_PAGE = Path(__file__).parent / "page"
_STATIC = {
    path.name: path.read_bytes() for path in sorted(_PAGE.iterdir()) if path.name != "index.html"
}
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
# A picture of the largest size, in base64, and an embedding.
_MOST_BODY_BYTES = requests.MOST_BYTES * 4 // 3 + 100_000
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

Answer = Callable[[Tried, bytes], dict[str, Any] | Response]


def load_tried(name_or_folder: str | Path, pictures: list[Picture]) -> Tried:
    """Loads the model that a page is about.

    Args:
        name_or_folder: see `gazejax.load`.
        pictures: of the page.

    Raises:
        FileNotFoundError, ValueError: see `gazejax.load`.
    """
    model, trained = load_with_parts(name_or_folder)
    measured = read_measured(model.encoder_digest)
    population = None
    if measured is not None:
        population = measured_population(measured)
    elif trained.comparison is not None:
        population = normal_population(trained.comparison)
    is_distance = trained.config.encoder.comparison.kind != "two_covariance"
    return Tried(
        model,
        Path(name_or_folder).name,
        trained.gaze_source.get("tracking"),
        trained.saliency is not None,
        bool(trained.calibration) and (is_distance or trained.comparison is not None),
        population,
        measured,
        pictures,
    )


def warm_up(tried: Tried) -> None:
    """Compiles what the page will ask for, and reads its pictures, so that answers are quick."""
    first = [number for number, one in enumerate(tried.pictures) if one.part == "first"]
    for numbers in (first[:1], first):
        viewings = [
            requests.Viewing(number, np.linspace((4.5, 4.5), (99.5, 99.5), 125))
            for number in numbers
        ]
        embedding = answers.embed(tried, viewings)
    if tried.has_maps:
        for picture in tried.pictures:
            answers.predict(tried, picture.pixels, embedding)


def make_app(
    tried: Tried,
    *,
    token: str,
    port: int,
    seconds: float,
    is_warm: threading.Event | None = None,
    work: AbstractContextManager[Any] | None = None,
) -> Starlette:
    """Makes the application.

    Args:
        tried: the model and the pictures.
        token: what a request must name.
        port: of the address that requests must be made to.
        seconds: that a picture is shown.
        is_warm: set when the model is ready; None: it is.
        work: held by the one thread that computes; None: a new lock.
    """
    lock = work or threading.Lock()

    def guarded(
        endpoint: Callable[[Request], Awaitable[Response]], *, needs_token: bool = True
    ) -> Callable[[Request], Awaitable[Response]]:
        async def checked(request: Request) -> Response:
            try:
                _check_source(request, port)
                if needs_token:
                    _check_token(request, token)
                response = await endpoint(request)
            except RefusedError as error:
                response = JSONResponse({"error": str(error)}, error.status)
                if request.url.path == "/":  # A person reads it.
                    response = Response(str(error), error.status, media_type="text/plain")
            except ClientDisconnect:
                response = Response(status_code=400)
            except Exception as error:
                # Whatever it is, the server stays up, and the page learns of no path.
                print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
                sentence = "The program met an error of its own. Its window says which."
                response = JSONResponse({"error": sentence}, 500)
            response.headers.update(_HEADERS)
            return response

        return checked

    def computed(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        def compute(body: bytes) -> dict[str, Any] | Response:
            with lock:
                return answer(tried, body)

        async def endpoint(request: Request) -> Response:
            found = await run_in_threadpool(compute, await _read_body(request))
            return found if isinstance(found, Response) else JSONResponse(found)

        return endpoint

    async def about(_: Request) -> Response:
        ready = is_warm is None or is_warm.is_set()
        return JSONResponse(_about(tried, seconds) | {"ready": ready})

    gets: Mapping[str, Any] = {
        "/api/about": guarded(about),
        "/pictures/{number}": guarded(partial(_picture, tried)),
        "/": guarded(_index),
        "/static/{name}": guarded(_static, needs_token=False),
    }
    posts: Mapping[str, Answer] = {
        "/api/describe": _describe,
        "/api/map": _map,
        "/api/embedding": _load_embedding,
        "/api/export/embedding": _export_embedding,
        "/api/export/gaze": _export_gaze,
    }
    app = Starlette(
        routes=[
            *(Route(path, endpoint, methods=["GET"]) for path, endpoint in gets.items()),
            *(
                Route(path, guarded(computed(answer)), methods=["POST"])
                for path, answer in posts.items()
            ),
        ]
    )
    app.router.redirect_slashes = False
    for status in (404, 405):
        app.add_exception_handler(status, partial(_no_such_page, status))
    return app


def _check_source(request: Request, port: int) -> None:
    """Refuses requests to another name, as by DNS rebinding, and those of another page."""
    # The port of HTTP is left out of a host.
    ends = ("", ":80") if port == 80 else (f":{port}",)
    hosts = {name + end for name in ("127.0.0.1", "localhost") for end in ends}
    if request.headers.get("host") not in hosts:
        raise RefusedError("The page answers at 127.0.0.1 alone.", 403)
    origin = request.headers.get("origin")
    if origin is not None and origin != f"http://{request.headers['host']}":
        raise RefusedError("Another page may not ask this one.", 403)


def _check_token(request: Request, token: str) -> None:
    given = request.headers.get(TOKEN_HEADER) or request.query_params.get("token", "")
    if request.url.path != "/":
        given = request.headers.get(TOKEN_HEADER, "")
    if not hmac.compare_digest(given.encode(), token.encode()):
        raise RefusedError("Open the address that gazejax try printed: it has a token.", 403)


async def _read_body(request: Request) -> bytes:
    """The body, unless it is too large; what is beyond is not kept."""
    body, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > _MOST_BODY_BYTES:
            raise RefusedError(f"That is larger than {requests.MOST_BYTES // 10**6} MB.", 413)
        body.append(part)
    return b"".join(body)


async def _index(_: Request) -> Response:
    return Response((_PAGE / "index.html").read_bytes(), media_type="text/html")


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _STATIC:
        raise RefusedError("There is no such file.", 404)
    return Response(_STATIC[name], media_type=_MEDIA_TYPES[Path(name).suffix])


async def _picture(tried: Tried, request: Request) -> Response:
    number = request.path_params["number"]
    if not re.fullmatch("[0-9]{1,4}", number) or int(number) >= len(tried.pictures):
        raise RefusedError("There is no such picture.", 404)
    encoded = tried.pictures[int(number)].encoded
    return Response(encoded, media_type=media_type(encoded))


async def _no_such_page(status: int, request: Request, _: Exception) -> Response:
    return JSONResponse(
        {"error": f"There is no {request.method} of this address."}, status, headers=_HEADERS
    )


def _describe(tried: Tried, body: bytes) -> dict[str, Any]:
    given = requests.read_json(body)
    if "rounds" in given:
        return answers.describe_rounds(tried, requests.read_rounds(given, tried.pictures))
    model = tried.model
    embedding = requests.read_embedding(given, model.embedding_size, model.encoder_digest)
    return answers.describe_embedding(tried, embedding)


def _map(tried: Tried, body: bytes) -> dict[str, Any]:
    given, model = requests.read_json(body), tried.model
    embedding = requests.read_embedding(given, model.embedding_size, model.encoder_digest)
    if "upload" in given:
        return answers.predict(tried, requests.read_upload(given), embedding)
    number = requests.picture_number(given, tried.pictures)
    return answers.predict(tried, tried.pictures[number].pixels, embedding)


def _load_embedding(tried: Tried, body: bytes) -> dict[str, Any]:
    model = tried.model
    embedding = requests.read_embedding_file(body, model.embedding_size, model.encoder_digest)
    return answers.describe_embedding(tried, embedding)


def _export_embedding(tried: Tried, body: bytes) -> Response:
    given, model = requests.read_json(body), tried.model
    embedding = requests.read_embedding(given, model.embedding_size, model.encoder_digest)
    return Response(encode_embedding(embedding), media_type="application/octet-stream")


def _export_gaze(tried: Tried, body: bytes) -> Response:
    rounds = requests.read_rounds(requests.read_json(body), tried.pictures)
    return Response(answers.gaze_table(tried, rounds), media_type="text/csv")


def _about(tried: Tried, seconds: float) -> dict[str, Any]:
    """What the page must know of the model and the pictures."""
    population = tried.population
    return {
        "model": tried.name,
        "tracking": tried.tracking,
        "has_maps": tried.has_maps,
        "can_compare": tried.can_compare,
        "is_measured": tried.measured is not None,
        "seconds": seconds,
        "sample_ms": SAMPLE_MS,
        "least_pictures": answers.LEAST_PICTURES,
        "population": None
        if population is None
        else {
            "contours": [[share, radius_of(population, share)] for share in CONTOURS],
            "share": population.share,
            "loadings": population.loadings,
            "num_people": population.num_people,
        },
        "num_unseen": None if tried.measured is None else tried.measured["num_unseen"],
        "pictures": [
            {
                "part": one.part,
                "title": one.title,
                "alt": one.alt,
                "author": one.author,
                "licence": one.licence,
                "source": one.source,
                "width": one.pixels.shape[1],
                "height": one.pixels.shape[0],
            }
            for one in tried.pictures
        ],
    }
