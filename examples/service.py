"""Senses over HTTP, with FastAPI: uvicorn --app-dir examples service:app --workers 2

Requests that arrive together are annotated together. ``POST /senses`` takes
``{"texts": ["...", ...]}``; ``GET /health`` answers when the pipeline is loaded.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from spacy_attn.jobs import Annotator

BATCH = 64  # texts that are annotated together
WAITING = 256  # requests that wait; more are refused with 503
SECONDS = 30.0  # until a request is refused with 503; then nobody works for it any more
Text = Annotated[str, Field(max_length=20_000)]

annotator = Annotator(method=os.environ.get("SENSE_METHOD", "attention"))
waiting: asyncio.Queue[tuple[list[str], asyncio.Future[list[Any]]]] = asyncio.Queue(WAITING)


class Request(BaseModel):
    """What is asked."""

    texts: Annotated[list[Text], Field(min_length=1, max_length=BATCH)]


async def work() -> None:
    """Take what waits, annotate it in a thread, and answer."""
    while True:
        batch = [await waiting.get()]
        while not waiting.empty() and sum(len(texts) for texts, _ in batch) < BATCH:
            batch.append(waiting.get_nowait())
        batch = [(texts, answer) for texts, answer in batch if not answer.done()]  # not too late
        texts = [text for texts, _ in batch for text in texts]
        try:
            found = iter(await asyncio.to_thread(annotator.annotate, texts) if texts else ())
            for texts, answer in batch:
                own = [next(found) for _ in texts]
                if not answer.done():
                    answer.set_result(own)
        except Exception as error:
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await asyncio.to_thread(annotator.load)  # before the first request, in each worker
    worker = asyncio.create_task(work())
    yield
    worker.cancel()


app = FastAPI(title="Senses", lifespan=lifespan)


@app.exception_handler(RequestValidationError)
async def refuse(_: object, error: RequestValidationError) -> JSONResponse:
    """What is wrong, without the texts: they may be long, or hold what no answer can hold."""
    return JSONResponse(
        {"detail": [{"loc": each["loc"], "msg": each["msg"]} for each in error.errors()]}, 422
    )


@app.get("/health")
async def health() -> dict[str, int | str]:
    return {"status": "ok", "waiting": waiting.qsize()}


@app.post("/senses")
async def senses(request: Request) -> dict[str, list[Any]]:
    answer = asyncio.get_running_loop().create_future()
    try:
        waiting.put_nowait((request.texts, answer))
    except asyncio.QueueFull:
        raise HTTPException(503, "too many requests wait; try again") from None
    try:
        async with asyncio.timeout(SECONDS):
            return {"senses": await answer}
    except TimeoutError:
        raise HTTPException(503, f"no answer in {SECONDS:g} s; try again") from None
