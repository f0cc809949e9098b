"""A JetStream by nats-py: `create URL` makes the stream, `read URL COUNT` prints what it holds, a line each."""

import asyncio
import json
import sys

import nats


async def main():
    what, url = sys.argv[1:3]
    client = await nats.connect(url, user="versweep", password="planted-nats")
    stream = client.jetstream()
    if what == "create":
        await stream.add_stream(name="versweep", subjects=["versweep.>"])
    else:
        told = await stream.subscribe("versweep.>", ordered_consumer=True)
        for _ in range(int(sys.argv[3])):
            message = await told.next_msg(timeout=30)
            event = json.loads(message.data)
            same = event["id"] == message.headers["Nats-Msg-Id"]
            kind = message.headers["Content-Type"]
            print(message.subject, event["data"]["sequence"], same, kind)
    await client.close()


asyncio.run(main())
