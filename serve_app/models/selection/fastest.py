"""The fastest runtime of a network on this machine: measured once, then remembered."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from filelock import FileLock

from serve_app.models.network import Network
from serve_app.models.selection.forms import RunOptions, lack, runtimes_of
from serve_app.models.selection.machine import facts
from serve_app.models.selection.measurement import Measurement, Remembered, Row
from serve_app.models.selection.trial import Rules, trial

logger = logging.getLogger(__name__)

CLEARLY = 0.95
"""Another runtime is chosen if it takes at most this share of the plain one's time: what is closer
may be noise, and the fast path must not be slower than the plain one."""

MOSTLY = 0.75
"""And in so many of the turns. On a machine at rest it is all of them; beside other work, the best
turn alone may be luck."""

DEFAULT_RULES = Rules()


def measured(
    network: Network,
    plain: str,
    options: RunOptions,
    rules: Rules = DEFAULT_RULES,
    *,
    again: bool = False,
) -> Measurement:
    """Times and answers of the runtimes that can run ``network`` on the device of ``options``.

    Remembered in the cache for this machine, its runtimes' versions, threads, device, network and
    shape of the example; measured at the first call, or if ``again``. Of several processes one
    measures and the others wait, whichever the networks: side by side they would measure each
    other. Where the plain runtime fails, it stays chosen and nothing is remembered.
    """
    example = {name: array.shape for name, array in network.example().items()}
    found_facts = {**facts(options.device, options.threads), "inputs": str(example)}
    folder = options.cache_dir / "runtimes"
    remembered = Remembered(folder)

    def find() -> Measurement | None:
        return remembered.find(network.name, network.digest, plain, found_facts)

    if not again and (known := find()):
        return known
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "measuring.lock"):
        if not again and (known := find()):
            return known
        logger.info("%s: its runtimes are measured, once on this machine", network.name)
        measurement = _measure(network, plain, options, rules, found_facts)
        if measurement.row(plain).ms is not None:
            remembered.keep(measurement)
    return measurement


def _measure(
    network: Network, plain: str, options: RunOptions, rules: Rules, found_facts: dict[str, str]
) -> Measurement:
    others = [name for name in runtimes_of(options.device) if name != plain]
    lacks = {name: lack(network, name, options.device) for name in others}
    able = [name for name in others if lacks[name] is None]
    rows = trial(network, plain, able, options, rules)
    for row in rows:
        if row.left_out:
            what = "fails and stays, being the plain one" if row is rows[0] else "is left out"
            logger.warning("%s: runtime %s %s: %s", network.name, row.runtime, what, row.left_out)
    rows += [Row(runtime=name, left_out=reason) for name, reason in lacks.items() if reason]
    chosen = _choose(rows[0], rows[1:])
    logger.info("%s: runtime %s, plain %s", network.name, chosen, plain)
    images = next((len(array) for array in network.example().values() if array.ndim == 4), 1)
    return Measurement(
        network=network.name,
        digest=network.digest,
        facts=found_facts,
        taken=datetime.now(UTC),
        images=images,
        plain=plain,
        chosen=chosen,
        rows=tuple(rows),
    )


def _choose(plain: Row, others: list[Row]) -> str:
    able = {row.ms: row for row in others if row.left_out is None and row.ms is not None}
    if plain.ms is None or not able:
        return plain.runtime
    best = able[min(able)]
    pairs = list(zip(best.turns_ms, plain.turns_ms, strict=False))  # its turns end when it lags
    won = sum(its <= CLEARLY * plains for its, plains in pairs)
    clearly = min(able) <= CLEARLY * plain.ms and won >= MOSTLY * len(pairs)
    return best.runtime if clearly else plain.runtime
