"""Which instance takes the next request, and who waits: decided without a container."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from localcloud.machine.places import Overloaded, Places


class Room:
    """As much of an instance as places know."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.used_at = 0.0
        self.listening = True
        self.ended = asyncio.Event()

    def take(self) -> None:
        self.in_flight += 1
        self.used_at = time.monotonic()

    def give_back(self) -> None:
        self.in_flight -= 1
        self.used_at = time.monotonic()


def made(count: int, *, concurrency: int = 2, wanted: int | None = None) -> tuple[Places, list[Any]]:
    places, rooms = Places(concurrency, lambda: None), [Room() for _ in range(count)]
    places.instances.extend(rooms)  # type: ignore[arg-type]
    places.wanted = count if wanted is None else wanted
    return places, rooms


def test_requests_that_follow_each_other_go_round() -> None:
    async def scenario() -> None:
        places, rooms = made(3)
        for room in rooms * 2:
            taken = await places.take()
            assert taken is room
            places.give_back(taken)

    asyncio.run(scenario())


def test_requests_at_a_time_are_spread() -> None:
    async def scenario() -> None:
        places, rooms = made(3)
        for _ in range(6):
            await places.take()
        assert [room.in_flight for room in rooms] == [2, 2, 2]

    asyncio.run(scenario())


def test_what_is_not_wanted_is_used_only_when_the_others_are_full() -> None:
    async def scenario() -> None:
        places, rooms = made(3, wanted=1)
        for _ in range(3):
            await places.take()
        assert sorted(room.in_flight for room in rooms[1:]) == [0, 1]
        assert rooms[0].in_flight == 2

    asyncio.run(scenario())


def test_an_instance_that_ended_or_is_about_to_takes_nothing() -> None:
    async def scenario() -> None:
        places, rooms = made(3)
        rooms[0].ended.set()
        rooms[1].listening = False
        for _ in range(2):
            assert await places.take() is rooms[2]

    asyncio.run(scenario())


def test_who_came_first_is_served_first_and_a_newcomer_does_not_go_before() -> None:
    async def scenario() -> None:
        places, (room,) = made(1, concurrency=1)
        await places.take()
        served: list[int] = []

        async def ask(number: int) -> None:
            taken = await places.take()
            served.append(number)
            places.give_back(taken)

        waiting = [asyncio.create_task(ask(number)) for number in range(4)]
        await asyncio.sleep(0)
        assert places.requests == 5
        places.give_back(room)
        await ask(4)
        await asyncio.gather(*waiting)
        assert served == [0, 1, 2, 3, 4]
        assert room.in_flight == 0

    asyncio.run(scenario())


def test_a_request_that_goes_away_leaves_its_place_to_the_next() -> None:
    async def scenario() -> None:
        places, (room,) = made(1, concurrency=1)
        await places.take()
        early, late, last = (asyncio.create_task(places.take()) for _ in range(3))
        await asyncio.sleep(0)
        early.cancel()  # while it waits
        places.give_back(room)
        late.cancel()  # at the moment in which it gets its place
        assert await last is room
        assert (room.in_flight, places.waiting) == (1, 0)

    asyncio.run(scenario())


def test_who_waits_too_long_is_refused_and_the_others_wait_on() -> None:
    async def scenario() -> None:
        places, (room,) = made(1, concurrency=1)
        await places.take()
        first, second = (asyncio.create_task(places.take()) for _ in range(2))
        await asyncio.sleep(0)
        places.refuse(Overloaded(), after_s=60)
        assert places.waiting == 2
        places.refuse(Overloaded())
        for one in (first, second):
            with pytest.raises(Overloaded):
                await one
        assert (room.in_flight, places.waiting) == (1, 0)

    asyncio.run(scenario())
