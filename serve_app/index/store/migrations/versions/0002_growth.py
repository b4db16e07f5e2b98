"""Checks of rows, kept answers, snapshots, leases, and what upkeep needs to know."""

import sqlalchemy as sa
from alembic import op

from serve_app.index.records import check_of, label_digest
from serve_app.index.store.damage import CHECKED, check_of_gallery

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

GALLERY = (
    ("created_at", sa.Float),
    ("changed_at", sa.Float),
    ("removed_seq", sa.BigInteger),
    ("removed_at", sa.Float),
    ("wanted_seq", sa.BigInteger),
)


def upgrade() -> None:
    for name, kind in GALLERY:
        op.add_column("gallery", sa.Column(name, kind, nullable=False, server_default="0"))
    op.add_column("gallery", sa.Column("crc", sa.BigInteger))
    _check_galleries()
    op.add_column("template", sa.Column("label_digest", sa.LargeBinary))
    op.add_column("template", sa.Column("crc", sa.BigInteger))
    _fill_in()
    op.create_index("ix_template_label", "template", ["generation", "label_digest"])
    if op.get_bind().dialect.name == "postgresql":
        # ANALYZE would keep samples of them in pg_statistic, also of those that were removed.
        for column in ("label", "embedding"):
            op.execute(f"ALTER TABLE template ALTER COLUMN {column} SET STATISTICS 0")
    op.create_table(
        "operation",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("generation", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("ids", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_index("ix_operation_created", "operation", ["created_at"])
    op.create_table(
        "snapshot",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column(
            "generation",
            sa.Text,
            sa.ForeignKey("gallery.generation", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("shard", sa.Integer, nullable=False),
        sa.Column("shards", sa.Integer, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("next_id", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_index("ix_snapshot_newest", "snapshot", ["generation", "shards", "shard", "seq"])
    op.create_table(
        "lease",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
    )


def downgrade() -> None:
    for table in ("lease", "snapshot", "operation"):
        op.drop_table(table)
    op.drop_index("ix_template_label", "template")
    op.drop_column("template", "crc")
    op.drop_column("template", "label_digest")
    for name in ("crc", *(name for name, _ in GALLERY)):
        op.drop_column("gallery", name)


def _check_galleries() -> None:
    """Checks of the galleries that are there already."""
    columns = ("id", "crc", *CHECKED)
    gallery = sa.table("gallery", *(sa.column(name) for name in columns))
    connection = op.get_bind()
    for row in connection.execute(sa.select(gallery)).all():
        crc = check_of_gallery(dict(row._mapping))
        connection.execute(sa.update(gallery).where(gallery.c.id == row.id).values(crc=crc))


def _fill_in() -> None:
    """Digests and checks of the templates that are there already, a page at a time."""
    template = sa.table(
        "template",
        *(
            sa.column(name)
            for name in ("generation", "id", "label", "embedding", "label_digest", "crc")
        ),
    )
    keys = sa.tuple_(template.c.generation, template.c.id)
    page = (
        sa.select(template.c.generation, template.c.id, template.c.label, template.c.embedding)
        .where(template.c.label.is_not(None))
        .order_by(template.c.generation, template.c.id)
        .limit(10_000)
    )
    fill = (
        sa.update(template)
        .where(
            template.c.generation == sa.bindparam("of_generation"),
            template.c.id == sa.bindparam("of_id"),
        )
        .values(label_digest=sa.bindparam("digest"), crc=sa.bindparam("check"))
    )
    connection = op.get_bind()
    query = page
    while rows := connection.execute(query).all():
        connection.execute(
            fill,
            [
                {
                    "of_generation": generation,
                    "of_id": number,
                    "digest": label_digest(label),
                    "check": check_of(number, label, embedding),
                }
                for generation, number, label, embedding in rows
            ],
        )
        query = page.where(keys > rows[-1][:2])
