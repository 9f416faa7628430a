"""A bare aiohttp loop: COUNT requests to URL, IN_FLIGHT at once. Prints the seconds it took."""

import asyncio
import sys
import time

import aiohttp

url, count, in_flight = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
BODY = {"model": "x", "messages": [{"role": "user", "content": "Why is the sky blue?"}]}


async def main() -> None:
    rows = iter(range(count))
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def work() -> None:
            for _ in rows:
                async with session.post(f"{url}/chat/completions", json=BODY) as response:
                    await response.json()

        started = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(in_flight)))
        print(time.perf_counter() - started)


asyncio.run(main())
