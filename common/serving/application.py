"""The application: the addresses of every server, and those of its modality."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, Router, WebSocketRoute
from starlette.types import ASGIApp

from common.recognition.transcriber import Transcriber
from common.serving.errors import RequestError
from common.serving.gate import Gate
from common.serving.page.routes import page_routes
from common.serving.service import Service, ServingConfig

METRICS_TYPE = "text/plain; version=0.0.4"


def build(recognizer: Transcriber, name: str, config: ServingConfig) -> tuple[ASGIApp, Service]:
    """Return the application that serves a recognizer, and its service.

    Args:
        recognizer: what is served.
        name: what its model is called.
        config: limits.
    """
    service = Service(recognizer, name, config)
    own: Sequence[BaseRoute] = recognizer.modality.serving(service) if recognizer.modality.serving else ()

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        async with service.running():
            yield

    page = page_routes(recognizer.modality.page()) if recognizer.modality.page else []
    routes = [*_common_routes(service), *page, *own]
    router = Router(routes, redirect_slashes=False, lifespan=lifespan)
    paths = frozenset(route.path for route in routes if isinstance(route, Route | WebSocketRoute))
    return Gate(router, service, paths, frozenset(route.path for route in page)), service


def _common_routes(service: Service) -> list[Route]:
    async def live(_: Request) -> Response:
        return PlainTextResponse("live\n")

    async def ready(_: Request) -> Response:
        return PlainTextResponse("ready\n") if service.ready else PlainTextResponse("not ready\n", 503)

    async def metrics(_: Request) -> Response:
        return PlainTextResponse(service.figures(), media_type=METRICS_TYPE)

    async def models(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_model(service)]})

    async def model(request: Request) -> Response:
        if request.path_params["name"] != service.name:
            message = f"there is no such model here; the one that is served is {service.name}"
            raise RequestError(404, message, "model", "model_not_found")
        return JSONResponse(_model(service))

    return [
        Route("/health/live", live),
        Route("/health/ready", ready),
        Route("/metrics", metrics),
        Route("/v1/models", models),
        Route("/v1/models/{name}", model),
    ]


def _model(service: Service) -> dict[str, Any]:
    """Return the model as OpenAI's interface describes one, and the largest file that it is sent."""
    model = {"id": service.name, "object": "model", "created": 0, "owned_by": "amanuensis"}
    return model | {"max_upload_bytes": service.config.max_upload_bytes}
