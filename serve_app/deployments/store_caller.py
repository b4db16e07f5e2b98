"""Calls to any replica of the Index, each of which has the store: errors that are answered are
raised, and what was sent to a replica that died is sent again."""

from __future__ import annotations

import asyncio
from typing import Any

from serve_app.deployments.stage_caller import RETRY, StageCaller
from serve_app.errors import FaceServeError, UnavailableError

REPLACED_AFTER_S = (0.1, 0.5, 2.0)
"""Pauses before what a dead replica was asked is asked of another."""


class StoreCaller:
    def __init__(self, stage: StageCaller) -> None:
        self._stage = stage

    async def ask(self, method: str, *args: object, advice: str = RETRY) -> Any:
        """What the store answers; raises its error."""
        for pause_s in (*REPLACED_AFTER_S, None):
            try:
                answer = await self._stage.call(method, *args, advice=advice)
                break
            except UnavailableError:
                if pause_s is None:
                    raise
                await asyncio.sleep(pause_s)
        if isinstance(answer, FaceServeError):
            raise answer
        return answer
