"""Which precision an extractor runs at: the one that is asked for, or the fastest that was found to
be as accurate here. And which others its embeddings may be mixed with."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from serve_app.config.pipeline import PrecisionSetting
from serve_app.errors import ConfigError, ModelError
from serve_app.models.conversion.to_int8 import int8_file, newest_int8
from serve_app.models.network import Network
from serve_app.models.precision.half import fp16_runtime, why_not_fp16
from serve_app.models.precision.precision import BF16, FP16, FP32, LOWER_ON, Precision
from serve_app.models.precision.record import PrecisionRecord, PrecisionRecords
from serve_app.models.runtime import Session, runs_on
from serve_app.models.runtime.open_vino import has_bf16
from serve_app.models.selection.choice import RunOptions, open_network
from serve_app.models.selection.fastest import CLEARLY
from serve_app.models.selection.forms import open_in
from serve_app.models.selection.machine import facts

logger = logging.getLogger(__name__)

CALIBRATE = "face-serve models calibrate DIRECTORY"


@dataclass(frozen=True, slots=True)
class PrecisionChoice:
    """``mixable``: the other precisions that were checked to give the same answers with this one,
    in whichever role."""

    precision: Precision = FP32
    mixable: tuple[Precision, ...] = ()


PLAIN = PrecisionChoice()


def choose_precision(
    network: Network, wanted: PrecisionSetting, options: RunOptions, *, mirror: bool
) -> PrecisionChoice:
    """``auto`` is fp32, with ``runtime: fastest`` the fastest that the record of this machine
    allows. One that is named is taken on its user's word, with a warning in the log where no record
    says that it is as accurate.

    Raises ConfigError where what is named can't be had here.
    """
    here = facts(options.device, options.threads)
    records = PrecisionRecords(options.cache_dir)
    record = records.find(network.name, network.digest, mirror=mirror, facts=here)
    if wanted == "auto":
        may = (
            record is not None and options.runtime == "fastest" and options.device.kind in LOWER_ON
        )
        chosen = _fastest(network, record, here, options) if record and may else FP32
    else:
        chosen = _named(network, wanted, options)
        _warn_unless_accurate(network, chosen, record)
    mixable = () if record is None else record.mixable
    others = tuple(other for other in mixable if other != chosen) if chosen in mixable else ()
    return PrecisionChoice(chosen, others)


def open_at(network: Network, precision: Precision, options: RunOptions) -> Session:
    """Load ``network`` at ``precision``; at fp32 in the runtime of ``options``, at fp16 in that one
    or, where it is ``auto`` or ``fastest``, in the first that can. Raises ConfigError, ModelError.
    """
    if precision == FP32:
        return open_network(network, options)
    if precision == FP16:
        return open_in(network, fp16_runtime(network, options), replace(options, fp16=True))
    if precision == BF16:
        return open_in(network, "openvino", replace(options, bf16=True))
    assert precision.digest is not None
    file = int8_file(network.digest, precision.digest, options.cache_dir)
    if file is None:
        raise ModelError(f"{network.name}: {precision} is not whole in the cache: {CALIBRATE}")
    return open_in(replace(network, path=file), "openvino", options)


def why_not(precision: PrecisionSetting, options: RunOptions) -> str | None:
    """Why this machine can't run a lower precision; None: it can."""
    if precision == "fp16":
        return why_not_fp16(options)
    if options.device.kind != "cpu":
        return f"precision {precision} is for the CPU, the device is {options.device}"
    if not runs_on("openvino", options.device):
        return f"precision {precision} needs OpenVINO: pip install openvino"
    if precision == "bf16" and not has_bf16(options.device):
        return "precision bf16: OpenVINO finds a processor without it"
    return None


def _fastest(
    network: Network, record: PrecisionRecord, here: dict[str, str], options: RunOptions
) -> Precision:
    fp32_ms = record.rows[0].ms
    faster = [
        (row.ms, precision)
        for precision in record.mixable
        if (row := record.row(precision)) and row.ms and fp32_ms and row.ms <= CLEARLY * fp32_ms
    ]
    if not faster:
        return FP32
    if record.facts != here:
        logger.warning(
            "%s: its precisions were measured with other runtimes or threads, so it runs in fp32: "
            "%s measures anew", network.name, CALIBRATE,
        )  # fmt: skip
        return FP32
    chosen = min(faster, key=lambda entry: entry[0])[1]
    if chosen.digest and int8_file(network.digest, chosen.digest, options.cache_dir) is None:
        logger.warning("%s: %s is not whole in the cache, so it runs in fp32", network.name, chosen)
        return FP32
    logger.info("%s: precision %s, as calibrated", network.name, chosen)
    return chosen


def _named(network: Network, wanted: PrecisionSetting, options: RunOptions) -> Precision:
    if wanted == "fp32":
        return FP32
    if reason := why_not(wanted, options):
        raise ConfigError(f"{network.name}: {reason}; choose auto or fp32")
    if wanted in ("fp16", "bf16"):
        return FP16 if wanted == "fp16" else BF16
    digest = newest_int8(network.digest, options.cache_dir)
    if digest is None:
        raise ConfigError(
            f"{network.name}: precision int8 is a network made of your own photographs, and none "
            f"was made here: {CALIBRATE}"
        )
    return Precision("int8", digest)


def _warn_unless_accurate(
    network: Network, chosen: Precision, record: PrecisionRecord | None
) -> None:
    row = None if record is None else record.row(chosen)
    if chosen != FP32 and row is None:
        logger.warning(
            "%s: how accurate %s is was not checked on this machine: %s does", network.name,
            chosen, CALIBRATE,
        )  # fmt: skip
    elif row is not None and not row.accurate:
        logger.warning("%s: %s is less accurate than fp32: %s", network.name, chosen,
                       "; ".join(row.lost))  # fmt: skip
