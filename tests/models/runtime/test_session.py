from __future__ import annotations

import numpy as np

from serve_app.models.runtime.session import memory_of, plain_memory
from serve_app.models.selection.forms import BestFirst, NamedOutputs
from serve_app.pipeline.timings import Recorder
from tests.models.stand_ins import ChoosySession, FunctionSession


def test_plain_memory_is_the_rule() -> None:
    assert memory_of(FunctionSession(lambda x: {"y": x})) is plain_memory
    memory = plain_memory(5)
    assert memory.shape == (5,)
    assert memory.dtype == np.float32


def test_what_a_session_offers_is_taken_through_what_wraps_it() -> None:
    choosy = ChoosySession(lambda x: {"y": x})
    for session in (choosy, NamedOutputs(choosy, ("z",)), BestFirst(choosy), Recorder(choosy)):
        assert memory_of(session)(3) is choosy.given[-1]
    assert len(choosy.given) == 4
    plain = FunctionSession(lambda x: {"y": x})
    for session in (NamedOutputs(plain, ("z",)), BestFirst(plain), Recorder(plain)):
        assert memory_of(session) is plain_memory
