"""What ``/health`` takes while slow clients hold connections: ``python -m load_tests.bench_edge``
with the port of a service on this machine."""

from __future__ import annotations

import argparse
import asyncio

from load_tests.slow_clients import KINDS, crowd, percentile, probed

MIXED = {"idle": 1000, "slow heads": 500, "slow bodies": 500, "slow readers": 200}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--clients", type=int, default=1000, help="of one kind")
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    print("| clients | probes | p50 | p99 | worst | ended by the service |")
    print("|---|---|---|---|---|---|")
    crowds = [("none", {}), *((kind, {kind: options.clients}) for kind in KINDS)]
    for name, counts in [*crowds, ("all together", MIXED)]:
        print(asyncio.run(line(name, counts, options.port, options.seconds)), flush=True)


async def line(name: str, counts: dict[str, int], port: int, seconds: float) -> str:
    probing = asyncio.create_task(probed(port, seconds))  # from before they come
    async with crowd(port, counts) as slow:
        taken = await probing
        ended = sum(slow.ended.values())
    figures = " | ".join(f"{1000 * percentile(taken, share):.1f}" for share in (0.5, 0.99, 1))
    told = " + ".join(f"{count} {kind}" for kind, count in counts.items()) or "none"
    return f"| {name}: {told} | {len(taken)} | {figures} | {ended} |"


if __name__ == "__main__":
    main()
