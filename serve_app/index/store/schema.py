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
    Column("key", Text, nullable=False),
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
)

job = Table(
    "job",
    metadata,
    Column("id", Text, primary_key=True),
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
    Index("ix_job_row_digest", "job", "digest"),
    Index("ix_job_row_outcome", "job", "outcome", "position"),
)
