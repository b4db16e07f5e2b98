"""Galleries and their templates."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "gallery",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False, server_default=""),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("generation", sa.Text, nullable=False, unique=True),
        sa.Column("index_type", sa.Text, nullable=False),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("dimension", sa.Integer, nullable=False),
        sa.Column("model_id", sa.Text, nullable=False),
        sa.Column("next_id", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("floor_seq", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("state", sa.Text, nullable=False, server_default="ready"),
        sa.UniqueConstraint("tenant", "key", name="uq_gallery_tenant_key"),
    )
    op.create_table(
        "template",
        sa.Column(
            "generation",
            sa.Text,
            sa.ForeignKey("gallery.generation", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("label", sa.Text),
        sa.Column("embedding", sa.LargeBinary),
        sa.Column("added_seq", sa.BigInteger, nullable=False),
        sa.Column("removed_seq", sa.BigInteger),
    )
    op.create_index("ix_template_added", "template", ["generation", "added_seq"])
    op.create_index("ix_template_removed", "template", ["generation", "removed_seq"])


def downgrade() -> None:
    op.drop_table("template")
    op.drop_table("gallery")
