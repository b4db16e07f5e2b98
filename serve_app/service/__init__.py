"""The online driver: identify, build, add and remove over three ports, galleries over a fourth,
jobs over a fifth, records over two more.

``recognition`` is the service; ``enrolment`` makes templates of images and labels; ``rejections``
keeps those that were not made; ``embedding`` makes vectors of crops; ``concurrency`` bounds what
one request has under way; ``galleries`` is the service of listings and upkeep, ``jobs`` that of
bulk jobs, ``records`` that of people's data and the audit log, ``readiness`` that of probes. Knows
ports, types, errors, policy and the pipeline's configuration; must not know HTTP, Ray, models or
FAISS.
"""

from serve_app.service.concurrency import IMAGES_IN_FLIGHT, each_alone, in_flight
from serve_app.service.enrolment import Pair
from serve_app.service.galleries import (
    DEFAULT_PAGE,
    MAX_PAGE,
    GalleryPage,
    GalleryService,
    TemplatePage,
)
from serve_app.service.jobs import JobService, RejectionPage
from serve_app.service.readiness import Check, Readiness
from serve_app.service.recognition import (
    Enrolment,
    Identification,
    Recognition,
    RecognitionService,
)
from serve_app.service.records import AuditPage, RecordService
from serve_app.service.rejections import Rejection
from serve_app.service.tenancy import TenantGalleries, TenantIndex, TenantJobs
from serve_app.service.tenant_records import TenantAuditLog, TenantPeople

__all__ = [
    "DEFAULT_PAGE",
    "IMAGES_IN_FLIGHT",
    "MAX_PAGE",
    "AuditPage",
    "Check",
    "Enrolment",
    "GalleryPage",
    "GalleryService",
    "Identification",
    "JobService",
    "Pair",
    "Readiness",
    "Recognition",
    "RecognitionService",
    "RecordService",
    "Rejection",
    "RejectionPage",
    "TemplatePage",
    "TenantAuditLog",
    "TenantGalleries",
    "TenantIndex",
    "TenantJobs",
    "TenantPeople",
    "each_alone",
    "in_flight",
]
