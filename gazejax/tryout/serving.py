"""Runs the server of the page on this computer, until it is interrupted."""

import contextlib
import secrets
import signal
import socket
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from gazejax.runtime import preemption
from gazejax.tryout.pictures import Picture
from gazejax.tryout.server import load_tried, make_app, warm_up

_HOST = "127.0.0.1"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(
    name_or_folder: str | Path,
    pictures: list[Picture],
    *,
    port: int,
    seconds: float,
    opens_browser: bool,
) -> None:
    """Loads a model, and serves the page until the process is interrupted.

    Args:
        name_or_folder: see `gazejax.load`.
        pictures: of the page.
        port: 0: a free one.
        seconds: that a picture is shown.
        opens_browser: whether to open the page.

    Raises:
        FileNotFoundError, ValueError: see `gazejax.load`.
        OSError: if the port is taken.
    """
    tried = load_tried(name_or_folder, pictures)
    with _listening(port) as listener:
        port = listener.getsockname()[1]
        token = secrets.token_urlsafe(32)
        # The page opens while the model compiles: its first text takes longer to read.
        is_warm, work = threading.Event(), threading.Lock()

        def prepare() -> None:
            try:
                with work:
                    warm_up(tried)
            finally:
                is_warm.set()

        threading.Thread(target=prepare, daemon=True).start()
        app = make_app(tried, token=token, port=port, seconds=seconds, is_warm=is_warm, work=work)
        address = f"http://{_HOST}:{port}/?token={token}"
        print(f"{address}\nThe page is on this computer alone. Ctrl+C ends it.", flush=True)
        if opens_browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        config = uvicorn.Config(
            app,
            log_level="critical",  # Else, a request that stalls at the end is a traceback.
            access_log=False,
            server_header=False,
            timeout_keep_alive=30,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=2,
        )
        _Server(config).run(sockets=[listener])
        if not is_warm.is_set():  # An interpreter that ends while XLA compiles may crash.
            preemption.exit_now(0)


class _Server(uvicorn.Server):
    """A server after which the program goes on: a signal that stopped it is not raised again."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {one: signal.signal(one, self.handle_exit) for one in _SIGNALS}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    # With the protocol named, asyncio sends at once: else, some answers wait 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, port))
            listener.listen(128)  # Before the address is printed.
        except OSError as error:
            raise OSError(f"--port {port} cannot be used: {error.strerror}") from error
        yield listener
