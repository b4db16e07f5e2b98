"""Jobs, what they stage, and where templates came from."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "template_source",
        sa.Column(
            "generation",
            sa.Text,
            sa.ForeignKey("gallery.generation", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("source", sa.Text, nullable=False),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False, server_default=""),
        sa.Column("fingerprint", sa.Text),
        sa.Column("total", sa.BigInteger),
        *(
            sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
            for name in ("done", "accepted", "rejected", "duplicates")
        ),
        sa.Column("generation", sa.Text),
        sa.Column("holder", sa.Text),
        sa.Column("held_until", sa.Float, nullable=False, server_default="0"),
        sa.Column("resumed_at", sa.Float, nullable=False, server_default="0"),
        sa.Column("resumed_done", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("changed_at", sa.Float, nullable=False),
    )
    op.create_table(
        "job_row",
        sa.Column("job", sa.Text, sa.ForeignKey("job.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        sa.Column("digest", sa.LargeBinary),
        sa.Column("same_as", sa.BigInteger),
    )
    op.create_index("ix_job_row_digest", "job_row", ["job", "digest"])
    op.create_index("ix_job_row_outcome", "job_row", ["job", "outcome", "position"])
    if op.get_bind().dialect.name == "postgresql":
        # As of templates: ANALYZE would keep samples of what is removed.
        for column in ("source", "label"):
            op.execute(f"ALTER TABLE job_row ALTER COLUMN {column} SET STATISTICS 0")
        op.execute("ALTER TABLE template_source ALTER COLUMN source SET STATISTICS 0")


def downgrade() -> None:
    op.drop_index("ix_job_row_outcome", "job_row")
    op.drop_index("ix_job_row_digest", "job_row")
    for table in ("job_row", "job", "template_source"):
        op.drop_table(table)
