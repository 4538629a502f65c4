"""A FastAPI application, mounted at its function's address: routes, validation, a WebSocket.

curl $URL/notes -H "apikey: $KEY" -H "content-type: application/json" -d '{"text": "buy flour"}'
curl $URL/notes/1 -H "apikey: $KEY"

The notes live in this process and go with it; what must stay belongs into the database.
"""

from __future__ import annotations

from fastapi import FastAPI, HTTPException, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, Field

app = FastAPI(title="Notes")


class Note(BaseModel):
    """What is noted."""

    text: str = Field(min_length=1, max_length=200)


_notes: list[Note] = []


@app.get("/")
async def every_note() -> list[Note]:
    """All of them, oldest first."""
    return _notes


@app.post("/", status_code=201)
async def add_note(note: Note) -> dict[str, int]:
    """Its number is the answer."""
    _notes.append(note)
    return {"number": len(_notes)}


@app.get("/{number}")
async def one_note(number: int) -> Note:
    """404 for one that is not there."""
    if not 1 <= number <= len(_notes):
        raise HTTPException(404, f"there is no note {number}")
    return _notes[number - 1]


@app.websocket("/live")
async def live(socket: WebSocket) -> None:
    """Notes what it hears, and says the number back."""
    await socket.accept()
    try:
        while True:
            _notes.append(Note(text=await socket.receive_text()))
            await socket.send_json({"number": len(_notes)})
    except WebSocketDisconnect:
        return
