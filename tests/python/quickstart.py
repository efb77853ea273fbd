"""Prints every deal that is added in a Bitrix24 portal: python3 quickstart.py"""

import math
import os
import sys

from b24events import B24Error, Client


def variable(name: str) -> str:
    return os.environ.get(name) or sys.exit(f"{name} is not set")


def main() -> None:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else math.inf  # stop after this many records
    seen = 0
    config = {
        "portal.url": variable("B24_PORTAL_URL"),
        "auth.access_token": variable("B24_ACCESS_TOKEN"),
    }
    with Client(config) as client:
        client.bind_event("ONCRMDEALADD")
        client.connect(timeout=30)
        for batch in client:  # waits until there are records
            with batch:
                print(batch.json, flush=True)
                seen += len(batch)
                batch.ack()  # otherwise they are delivered again
            if seen >= wanted:
                break


if __name__ == "__main__":
    try:
        main()
    except B24Error as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass
