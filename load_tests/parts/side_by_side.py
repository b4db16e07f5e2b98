"""One picture through the networks alone, the in-process pipeline and the service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from load_tests.findings import Cell, Finding, Section
from load_tests.measured import Measured, infer, infer_file, with_clients
from load_tests.pictures import LABEL, Picture
from load_tests.target import Target
from load_tests.without_service.run import Alone, in_process, networks_alone

CLIENTS = (1, 8, 32, 64)
JUDGED_AT = 32
COLUMNS = [
    "", "images/s", "p50 ms", "p95 ms", "p99 ms", "CPU-ms an image", "client's CPU-ms", "cores busy"
]  # fmt: skip
OVER_IN_PROCESS_MS = 10.0


@dataclass(frozen=True, slots=True)
class SideBySide:
    """``networks``: measured before and after the service, which the machine may treat unlike.
    ``service``: by clients, with JSON; ``files``: at JUDGED_AT clients, the file as the body."""

    picture: Picture
    networks: list[Alone]
    pipeline: Alone
    service: dict[int, Measured]
    files: Measured

    @property
    def networks_cpu_ms(self) -> float:
        return sum(one.cpu_ms for one in self.networks) / len(self.networks)

    @property
    def capacity(self) -> float:
        """Images a second: the most that was reached."""
        return max(one.summary.rate for one in self.service.values())


def measure(
    target: Target,
    picture: Picture,
    key: str,
    idle_cores: float,
    *,
    seconds: float,
    clients: Sequence[int] = CLIENTS,
) -> SideBySide:
    expects = LABEL if picture.faces == 1 else '"bbox"'
    request = infer(picture.base64, key, expects=expects)
    before = networks_alone(picture, seconds)
    pipeline = in_process(picture, seconds)
    service = {
        count: with_clients(target, request, count, seconds, idle_cores) for count in clients
    }
    file = infer_file(picture.content, key, expects=expects)
    files = with_clients(target, file, JUDGED_AT, seconds, idle_cores)
    after = networks_alone(picture, seconds)
    return SideBySide(picture, [before, after], pipeline, service, files)


def section(found: SideBySide, share_bar: float) -> Section:
    """``share_bar``: of the networks' own cost, what the service must not fall below."""
    rows: list[list[Cell]] = []
    for name, alone in zip(("before", "after"), found.networks, strict=True):
        rows.append([f"networks alone, {name}", alone.rate, None, None, None, alone.cpu_ms])
    rows.append(
        ["in-process pipeline", found.pipeline.rate, found.pipeline.single_ms, None, None,
         found.pipeline.cpu_ms]
    )  # fmt: skip
    runs = [(f"service, {clients} clients", run) for clients, run in found.service.items()]
    for name, run in [*runs, (f"service, {JUDGED_AT} clients, image/jpeg", found.files)]:
        s = run.summary
        rows.append(
            [name, s.rate, s.p50_ms, s.p95_ms, s.p99_ms, run.cpu_ms,
             run.client_cpu_ms, run.machine_cores]
        )  # fmt: skip
    return Section(
        found.picture.name,
        COLUMNS,
        rows,
        _findings(found, share_bar),
        _notes(found),
        {
            "faces": found.picture.faces,
            "networks": [asdict(one) for one in found.networks],
            "pipeline": asdict(found.pipeline),
            "service": {clients: run.figures() for clients, run in found.service.items()},
            "files": found.files.figures(),
        },
    )


def _findings(found: SideBySide, share_bar: float) -> list[Finding]:
    name = found.picture.name
    findings = []
    if run := found.service.get(JUDGED_AT):
        alone_rate = sum(one.rate for one in found.networks) / len(found.networks)
        findings += [
            Finding("1", f"{name}: networks alone to the service at {JUDGED_AT} clients, per "
                    "CPU-second", found.networks_cpu_ms / run.cpu_ms, share_bar, at_least=True),
            Finding("1", f"{name}: the same with the file as the body",
                    found.networks_cpu_ms / found.files.cpu_ms, None),
            Finding("1", f"{name}: the same by the wall's clock (the client shares the cores)",
                    run.summary.rate / alone_rate, None),
        ]  # fmt: skip
    if found.picture.faces == 1 and (run := found.service.get(1)):
        assert found.pipeline.single_ms is not None
        over_ms = run.summary.p50_ms - found.pipeline.single_ms
        findings.append(
            Finding("2", f"{name}: one client over the in-process pipeline, p50", over_ms,
                    OVER_IN_PROCESS_MS, "ms")
        )  # fmt: skip
    return findings


def _notes(found: SideBySide) -> list[str]:
    notes = []
    failed = {n: run.summary.statuses for n, run in found.service.items() if run.summary.failed}
    if failed:
        notes.append(f"Not all answers were good (clients: statuses): {failed}.")
    run = found.service[max(found.service)] if found.service else None
    if shown := found.service.get(JUDGED_AT, run):
        roles = ", ".join(f"{n} {ms:.2f}" for n, ms in shown.cpu_ms_by_role.items() if ms >= 0.05)
        notes.append(f"Where the CPU-ms go (with the idle service's own): {roles}.")
        if shown.summary.stages:
            stages = ", ".join(f"{n} {ms:.1f}" for n, ms in shown.summary.stages.items())
            notes.append(f"Server-Timing, median ms: {stages}.")
    stages = ", ".join(f"{n} {ms:.1f}" for n, ms in found.pipeline.stages.items())
    notes.append(
        f"In-process: {stages} ms an image and worker; the networks alone would take "
        f"{100 * (found.pipeline.share or 0):.0f} % of its time."
    )
    return notes
