"""The address /v1/realtime."""

from functools import partial

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from asr.segmentation.utterances import Listen
from asr.serving.parameters import check_model
from asr.serving.realtime.session import Session
from common.serving.connections.conversation import BROKEN, Conversation
from common.serving.errors import ClientGoneError, refused
from common.serving.service import Service

SUBPROTOCOL = "realtime"
"""what browsers ask for, besides the one that holds their key"""
TASKS = ("ctc", "attention")
"""tasks of models that write texts"""


def realtime_route(service: Service, listen: Listen) -> WebSocketRoute:
    """Return the route of live sound.

    Args:
        service: what computes.
        listen: returns the network that judges whether somebody speaks.
    """
    return WebSocketRoute("/v1/realtime", partial(_talk, service, listen))


async def _talk(service: Service, listen: Listen, websocket: WebSocket) -> None:
    """Hold a session over a connection; RequestError if there can be none."""
    service.admit()
    if service.recognizer.task not in TASKS:
        raise refused("model", f"model: one of the task {service.recognizer.task} writes no text")
    query = websocket.query_params
    if query.get("intent", "transcription") != "transcription":
        raise refused("intent", "intent: only transcription is served here")
    check_model(query.get("model"), service.name)
    with service.session():
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None)
        conversation = Conversation(websocket, service.ended)
        try:
            await _held(service, conversation, listen)
        except ClientGoneError:
            service.metrics.count("errors_total", kind="client_gone")


async def _held(service: Service, conversation: Conversation, listen: Listen) -> None:
    """Hold a session, and close the connection; ClientGoneError if the client does so first."""
    try:
        await Session(service, conversation, listen).run()
    except ClientGoneError:
        raise
    except Exception as error:
        described = await conversation.refuse(error)
        service.metrics.count("errors_total", kind=described.code or str(described.status))
        conversation.close_code = BROKEN
    if conversation.close_code is not None:
        await conversation.close(conversation.close_code)
