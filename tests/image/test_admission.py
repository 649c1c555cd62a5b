"""Who calls without a pause keeps nobody else waiting: each person has a line, and the lines take turns."""

import asyncio
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "image"))
from mlflow_cloudrun import admission
from mlflow_cloudrun.admission import Line
from mlflow_cloudrun.logs import Message, Receive, Send

AT_A_TIME, OF_ONE = 6, 4
FLOOD = 79
ADA, BOB, ROBOT = "ada@example.com", "bob@example.com", "trainer@demo-project.iam.gserviceaccount.com"


class Server:
    """MLflow, as far as the line sees it: it works on what is let in until it is told that a request is done."""

    def __init__(self) -> None:
        self.line = Line(self.work, AT_A_TIME, OF_ONE)
        self.at_work: list[tuple[str, asyncio.Event]] = []
        self.served: list[str] = []
        self.refused: Counter[str] = Counter()

    async def work(self, scope: Message, _: Receive, send: Send) -> None:
        done = asyncio.Event()
        self.at_work.append((scope["person"], done))
        await done.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def ask(self, person: str) -> None:
        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            if message.get("status") == 503:
                self.refused[person] += 1

        header = (b"x-forwarded-email", person.encode())
        scope = {"type": "http", "path": "/api", "method": "GET", "headers": [header], "person": person}
        await self.line(scope, receive, send)

    def call(self, person: str, times: int = 1) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.ask(person)) for _ in range(times)]

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def finish_one(self) -> str:
        """Ends the request that has been worked on for longest; returns whose it was."""
        person, done = self.at_work.pop(0)
        done.set()
        await self.settle()
        self.served.append(person)
        return person

    async def finish_all(self) -> None:
        while self.at_work:
            await self.finish_one()


def run(scenario: Callable[[Server], Awaitable[None]]) -> Server:
    async def everything() -> Server:
        server = Server()
        await scenario(server)
        await server.finish_all()
        return server

    return asyncio.run(everything())


def at_work(server: Server) -> Counter[str]:
    return Counter(person for person, _ in server.at_work)


def test_one_person_never_has_all_places() -> None:
    async def scenario(server: Server) -> None:
        server.call(ADA, FLOOD)
        await server.settle()
        assert at_work(server) == {ADA: OF_ONE}
        server.call(BOB)
        await server.settle()
        assert at_work(server) == {ADA: OF_ONE, BOB: 1}

    assert Counter(run(scenario).served) == {ADA: FLOOD, BOB: 1}


def test_among_many_who_flood_somebody_else_is_served_among_the_next_few() -> None:
    async def scenario(server: Server) -> None:
        for flooder in (ADA, ROBOT):
            server.call(flooder, FLOOD)
        await server.settle()
        assert sum(at_work(server).values()) == AT_A_TIME
        server.call(BOB, 3)
        await server.settle()
        for _ in range(2 * AT_A_TIME):
            await server.finish_one()

    served = run(scenario).served
    assert served.index(BOB) <= AT_A_TIME + 2
    assert served[: 3 * AT_A_TIME].count(BOB) == 3
    assert Counter(served) == {ADA: FLOOD, ROBOT: FLOOD, BOB: 3}


def test_a_full_line_has_room_for_who_has_fewest_in_it() -> None:
    async def scenario(server: Server) -> None:
        server.call(ADA, admission.LINE_LENGTH + OF_ONE)
        server.call(ROBOT, 2 * AT_A_TIME)
        await server.settle()
        server.call(BOB, AT_A_TIME)
        await server.settle()

    server = run(scenario)
    assert server.refused[ADA] > 0
    assert server.refused[BOB] == server.refused[ROBOT] == 0
    assert server.served.count(BOB) == AT_A_TIME
    assert server.served.count(ADA) + server.refused[ADA] == admission.LINE_LENGTH + OF_ONE


def test_who_leaves_or_waits_too_long_leaves_their_place_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "LINE_TIMEOUT_S", 0.05)

    async def scenario(server: Server) -> None:
        calls = server.call(ADA, 3 * AT_A_TIME)
        await server.settle()
        calls[-1].cancel()
        await asyncio.wait(calls[OF_ONE:])
        assert server.refused == {ADA: 3 * AT_A_TIME - OF_ONE - 1}
        monkeypatch.setattr(admission, "LINE_TIMEOUT_S", 20)
        server.call(BOB, AT_A_TIME)
        await server.settle()

    assert Counter(run(scenario).served) == {ADA: OF_ONE, BOB: AT_A_TIME}
