"""The store's tables. Changes go through ``migrations``; a test holds the two together."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

READY, STAGING, PREVIOUS = "ready", "staging", "previous"
HIDDEN = (STAGING, PREVIOUS)
"""What is not served. Asked this way, a damaged state is found out and hides no gallery."""

gallery = Table(
    "gallery",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("tenant", Text, nullable=False, server_default=""),
    Column("key", Text, nullable=False),  # with the tenant's name before it (tenancy.owned)
    # A UUID, new with every build of the gallery: caches of another generation are worthless.
    Column("generation", Text, nullable=False, unique=True),
    Column("index_type", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("model_id", Text, nullable=False),
    Column("next_id", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    # Grows by one with each mutation. Changes up to floor_seq may have been pruned.
    Column("seq", BigInteger, nullable=False),
    Column("floor_seq", BigInteger, nullable=False, server_default="0"),
    # READY: the key's gallery. STAGING: of a job, unseen until it is published. PREVIOUS: what was
    # replaced, for a rollback.
    Column("state", Text, nullable=False, server_default="ready"),
    # Seconds since the epoch.
    Column("created_at", Float, nullable=False, server_default="0"),
    Column("changed_at", Float, nullable=False, server_default="0"),
    # Of the newest removal: snapshots older than it hold what has to go.
    Column("removed_seq", BigInteger, nullable=False, server_default="0"),
    # Of the oldest removal that a snapshot may hold, 0 if there is none.
    Column("removed_at", Float, nullable=False, server_default="0"),
    # Up to which seq somebody asked for a fresh index; it is there when a snapshot has reached it.
    Column("wanted_seq", BigInteger, nullable=False, server_default="0"),
    Column("crc", BigInteger),  # of what decides what the gallery is (damage.check_of_gallery)
    UniqueConstraint("tenant", "key", name="uq_gallery_tenant_key"),
)

template = Table(
    "template",
    metadata,
    Column(
        "generation",
        Text,
        ForeignKey("gallery.generation", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    # A removed row is a tombstone: it keeps nothing of its label and its embedding.
    Column("label", Text),
    # A label may be longer than an index takes (PostgreSQL: 2,700 bytes).
    Column("label_digest", LargeBinary),  # records.label_digest
    Column("embedding", LargeBinary),  # little-endian float32
    Column("added_seq", BigInteger, nullable=False),
    Column("removed_seq", BigInteger),
    Column("crc", BigInteger),  # of id, label and embedding (records.check_of)
    # Of the tenant's data key that seals label and embedding in one (the column of the latter);
    # NULL: they are not encrypted.
    Column("key_version", Integer),
    Index("ix_template_added", "generation", "added_seq"),
    Index("ix_template_removed", "generation", "removed_seq"),
    Index("ix_template_label", "generation", "label_digest"),
)

operation = Table(
    "operation",
    metadata,
    # What makes a repeated mutation answer as the first did: ids and counts, never labels.
    Column("id", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("generation", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("ids", Text, nullable=False),  # JSON
    Column("count", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("ix_operation_created", "created_at"),
)

snapshot = Table(
    "snapshot",
    metadata,
    Column("name", Text, primary_key=True),
    Column(
        "generation",
        Text,
        ForeignKey("gallery.generation", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("shard", Integer, nullable=False),
    Column("shards", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("next_id", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("ix_snapshot_newest", "generation", "shards", "shard", "seq"),
)

lease = Table(
    "lease",
    metadata,
    # Who does a piece of upkeep, so that others needn't. Nothing's correctness rests on it.
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Float, nullable=False),
)

template_source = Table(
    "template_source",
    metadata,
    # Where a template's image was read, if a job was asked to keep that: for embedding it anew.
    Column(
        "generation",
        Text,
        ForeignKey("gallery.generation", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("key_version", Integer),  # as in ``template``
)

job = Table(
    "job",
    metadata,
    Column("id", Text, primary_key=True),  # with the tenant's name before it, as a gallery's key
    Column("tenant", Text, nullable=False, server_default=""),
    Column("caller", Text, nullable=False, server_default=""),  # JSON: types.Caller
    Column("key", Text, nullable=False),
    Column("mode", Text, nullable=False),  # JobMode
    Column("digest", Text, nullable=False),  # of what was asked
    Column("request", Text, nullable=False),  # JSON, without secrets
    Column("state", Text, nullable=False),  # JobState
    Column("message", Text, nullable=False, server_default=""),
    # Of its input: a job that goes on must find the rows that it left.
    Column("fingerprint", Text),
    Column("total", BigInteger),
    # The first so many rows of the input are staged, or rejected; the rest is not begun.
    Column("done", BigInteger, nullable=False, server_default="0"),
    Column("accepted", BigInteger, nullable=False, server_default="0"),
    Column("rejected", BigInteger, nullable=False, server_default="0"),
    Column("duplicates", BigInteger, nullable=False, server_default="0"),
    Column("generation", Text),  # staged, or published
    # Who runs it, until when if nothing more is heard: seconds since the epoch.
    Column("holder", Text),
    Column("held_until", Float, nullable=False, server_default="0"),
    # Of the present run: rows that were done when it began, and when that was.
    Column("resumed_at", Float, nullable=False, server_default="0"),
    Column("resumed_done", BigInteger, nullable=False, server_default="0"),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False),
    Index("ix_job_newest", "tenant", "created_at"),
)

job_row = Table(
    "job_row",
    metadata,
    # What became of a row of a job's input, until its report is written.
    Column("job", Text, ForeignKey("job.id", ondelete="CASCADE"), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("outcome", Text, nullable=False),  # RowOutcome
    Column("reason", Text, nullable=False, server_default=""),
    Column("digest", LargeBinary),  # of the image's bytes: the same image again is found by it
    Column("same_as", BigInteger),  # the position that showed the same image first
    Column("key_version", Integer),  # of source and label, as in ``template``
    Index("ix_job_row_digest", "job", "digest"),
    Index("ix_job_row_outcome", "job", "outcome", "position"),
)

counter = Table(
    "counter",
    metadata,
    # "access": grows with every change of a tenant or an API key, so that replicas see what is new.
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

tenant = Table(
    "tenant",
    metadata,
    Column("name", Text, primary_key=True),
    Column("quota", Text, nullable=False, server_default="{}"),  # JSON: access.Quota
    Column("created_at", Float, nullable=False),
    # Since when its data keys are gone for good; none is made for it again.
    Column("erased_at", Float),
    Column("revision", BigInteger, nullable=False),  # of the counter "access" when it was changed
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("name", Text, nullable=False),  # what its maker calls it
    Column("secret", Text, nullable=False),  # its Argon2id hash, as a PHC string
    Column("scopes", Text, nullable=False),  # separated by spaces
    Column("quota", Text, nullable=False, server_default="{}"),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    Column("revision", BigInteger, nullable=False),
    Index("ix_api_key_revision", "revision"),
)

rate = Table(
    "rate",
    metadata,
    # Token buckets that the ingress replicas share: what was left at a moment.
    Column("subject", Text, primary_key=True),  # of a key or a tenant
    Column("level", Float, nullable=False),
    Column("at", Float, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    # Append-only, by triggers. ``chain``: the gallery's whole name; its rows are numbered from 0.
    Column("chain", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("tenant", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("actor", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("result", Text, nullable=False),  # "ok", or an error's code
    Column("generation", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("ids", Text, nullable=False),  # of templates, runs as FIRST-LAST
    Column("count", BigInteger, nullable=False),
    Column("operation", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),  # of all this and the digest before it
    Index("ix_audit_time", "tenant", "at"),
)

audit_chain = Table(
    "audit_chain",
    metadata,
    Column("chain", Text, primary_key=True),
    # The oldest row that is kept, and the digest of the one before it.
    Column("first", BigInteger, nullable=False),
    Column("before", LargeBinary, nullable=False),
    # The number that the next row gets, and the digest of the newest.
    Column("next", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)

data_key = Table(
    "data_key",
    metadata,
    # What seals a tenant's labels and embeddings, itself sealed by a master key.
    Column("tenant", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("wrapped_by", Text, nullable=False),  # the master key's id
    Column("created_at", Float, nullable=False),
)
