"""Who may speak to a Prefect server that is started here: its own page, and who knows its login.

A web page in the browser of whoever works here can send requests to loopback. Prefect's settings answer no
other origin, ask for a login and for a token against forged requests; a name that an attacker's DNS points to
127.0.0.1 is refused by the Host header, for which Prefect has no setting.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from components.core.errors import PricewrightError

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")


def command(port: int) -> list[str]:
    """The module to run, with its arguments, for a server on `port`; no secret is among them."""
    where = ["--host", HOST, "--port", str(port), "--app-dir", str(Path(__file__).parents[1])]
    return ["uvicorn", "--factory", "flows.admission:application", "--log-level", "warning", *where]


def variables(port: int) -> dict[str, str]:
    """Environment of a server on `port`, but for its login."""
    return {
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_UI_API_URL": f"http://{HOST}:{port}/api",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{name}:{port}" for name in NAMES),
        "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT__SERVER_FINAL": "1",  # as `prefect server start` has it: one app, in less memory
    }


def new_login() -> str:
    """A login that nobody can guess, user:password."""
    return f"pricewright:{secrets.token_urlsafe(32)}"


def login(file: Path) -> str:
    """The login in `file`, user:password; made where there is none, for the eyes of its owner alone.

    Raises PricewrightError where others may read it, or it holds no login.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        if file.stat().st_mode & 0o077:
            raise PricewrightError(
                f"others may read the login in {file}: remove it, and a new one is made"
            ) from None
    else:
        with os.fdopen(descriptor, "w", encoding="utf-8") as new:
            new.write(new_login() + "\n")
    text = file.read_text(encoding="utf-8").strip()
    user, _, password = text.partition(":")
    if not user or not password:
        raise PricewrightError(f"{file} holds no login (user:password): remove it, and a new one is made")
    return text


def application() -> Any:
    """Prefect's server, for uvicorn, behind a look at the Host header of every request."""
    from prefect.server.api.server import create_app  # seconds, and only the process that serves needs it
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    own = os.environ["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"].split(",")
    return TrustedHostMiddleware(_alone(create_app(), own), allowed_hosts=NAMES, www_redirect=False)


def _alone(app: Any, origins: list[str]) -> Any:
    """The app with a policy for its pages: they ask nobody but `origins`, and no other page frames them.

    Before its login Prefect's page does not know that analytics are off, and writes to its maker.
    """
    from starlette.datastructures import MutableHeaders

    may_ask = " ".join([*origins, *(origin.replace("http", "ws", 1) for origin in origins)])
    policy = f"connect-src 'self' {may_ask}; frame-ancestors 'none'"

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = policy
            await send(message)

        await app(scope, receive, sent)

    return answer
