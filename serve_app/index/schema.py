"""The store's tables. Changes go through ``migrations``; a test holds the two together."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
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
    Column("state", Text, nullable=False, server_default="ready"),
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
    # A removed row is a tombstone: it keeps neither label nor embedding.
    Column("label", Text),
    Column("embedding", LargeBinary),  # little-endian float32
    Column("added_seq", BigInteger, nullable=False),
    Column("removed_seq", BigInteger),
    Index("ix_template_added", "generation", "added_seq"),
    Index("ix_template_removed", "generation", "removed_seq"),
)
