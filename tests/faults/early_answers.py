"""An engine that answers before its batch is durable: what the checker has to be able to see.

Run like `python -m engine`. It is broken on purpose, and for one test only.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from engine.cli import main
from engine.ledger.lane import Lane

append = Lane._append


async def answer_and_append(self, journal, batch):
    self._answer(list(batch.operations))
    await asyncio.sleep(0.05)
    return await append(self, journal, batch)


Lane._append = answer_and_append

if __name__ == "__main__":
    main()
