"""Host of the HTTP API: composes the stages behind it. Computes nothing itself but drawing."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from fastapi import FastAPI
from ray.serve.handle import DeploymentHandle

from serve_app.access.ring import KeyRing
from serve_app.api.answered import each_of
from serve_app.api.app import create_app
from serve_app.api.edge import Edge
from serve_app.api.hosts import ANY, Hosts
from serve_app.api.request_log import RequestLog
from serve_app.api.watching import Watching
from serve_app.batching import Admission
from serve_app.config import IngressBatching, PipelineConfig, ServiceArgs, validate
from serve_app.config.access import check_access
from serve_app.deployments.access import RayAccess, served_host
from serve_app.deployments.clients import RayDetector, RayExtractor
from serve_app.deployments.haproxy import proxy_proof
from serve_app.deployments.index_client import RayIndex
from serve_app.deployments.jobs_client import RayJobs
from serve_app.deployments.metrics import ingress_gauges, open_meters
from serve_app.deployments.readiness import stage_checks
from serve_app.deployments.records_client import RayRecords
from serve_app.deployments.sampler import sampling
from serve_app.deployments.stage_caller import StageCaller
from serve_app.deployments.store_caller import StoreCaller
from serve_app.fetching import Fetcher, SwitchedOff
from serve_app.imaging import leave_threads_to_callers
from serve_app.service import (
    GalleryService,
    JobService,
    Readiness,
    RecognitionService,
    RecordService,
    TenantAuditLog,
    TenantGalleries,
    TenantIndex,
    TenantJobs,
    TenantPeople,
)
from serve_app.tracing import open_tracing


class Ingress:
    def __init__(
        self,
        detector: DeploymentHandle,
        extractor: DeploymentHandle,
        shards: Sequence[DeploymentHandle],
        pipeline: PipelineConfig,
        args: ServiceArgs,
    ) -> None:
        leave_threads_to_callers()
        # Here and not where the application is built: only here Serve is sure to run already.
        check_access(args.access, served_host())
        timeout_s = args.limits.request_timeout_s
        self._admission = Admission()
        self._meters = open_meters(args.observability.metrics)
        self._detector = RayDetector(detector, timeout_s, self._admission, self._meters)
        self._extractor = RayExtractor(extractor, timeout_s, self._admission, self._meters)
        self._index = RayIndex(shards, timeout_s, self._admission, self._meters)
        self._checks = stage_checks(detector, extractor, shards)
        stage = StageCaller("index", shards[0], timeout_s)
        store = StoreCaller(stage)
        self._jobs, self._records = RayJobs(store), RayRecords(store)
        self._ring = KeyRing(RayAccess(stage)) if args.access.keys else None
        self._pipeline = pipeline
        self._args = args
        self._configure({})

    async def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        self._configure(user_config)

    def _configure(self, user_config: Mapping[str, Any]) -> None:
        batching = validate(IngressBatching, user_config, "user_config")
        self._detector.configure(batching.detector)
        self._extractor.configure(batching.extractor)
        self._index.configure(batching.index)
        self._admission.configure(batching.admission)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Ray Serve's hook: the app is built in the replica, so nothing of it is pickled."""
        service = RecognitionService(
            self._detector, self._extractor, TenantIndex(self._index), self._pipeline
        )
        return create_app(
            service,
            GalleryService(TenantGalleries(self._index)),
            JobService(TenantJobs(self._jobs), self._args.jobs.inputs),
            RecordService(TenantPeople(self._records), TenantAuditLog(self._records)),
            self._fetcher(),
            self._pipeline,
            self._args.limits,
            self._admission,
            self._watching(),
            self._ring,
            self._edge(),
        )

    def _edge(self) -> Edge:
        # A page that gets a browser to ask us has no key to send: no name of its own helps it.
        usual = (ANY,) if self._args.access.keys else ()
        return Edge(Hosts(self._args.hosts or usual), proxy_proof(os.environ))

    def _fetcher(self) -> Fetcher | SwitchedOff:
        fetch = self._args.fetch
        if not fetch.enabled:
            return SwitchedOff()
        return Fetcher(
            allow=fetch.allow,
            max_bytes=self._args.limits.image_bytes,
            timeout_s=fetch.timeout_s,
        )

    def _watching(self) -> Watching:
        config = self._args.observability
        observe = self._meters.answers()
        if config.request_log:
            # Not sys.stdout: Serve makes lines of its own log of that, and drops them.
            observe = each_of(observe, RequestLog(sys.__stdout__ or sys.stdout))
        gauges = ingress_gauges(
            self._meters,
            {"detector": self._detector, "extractor": self._extractor, "index": self._index},
            self._admission,
        )
        beside = partial(sampling, gauges, config.metrics.interval_s)
        return Watching(
            observe=observe,
            tracing=open_tracing(config.tracing, "ingress"),
            readiness=Readiness(self._checks),
            beside=beside if config.metrics.enabled else contextlib.nullcontext,
        )
