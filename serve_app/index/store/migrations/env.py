"""Alembic's hook: runs the revisions on the engine that ``index.store.engine`` hands over."""

from alembic import context

from serve_app.index.store.engine import WRITE
from serve_app.index.store.schema import metadata

engine = context.config.attributes["engine"]
with engine.connect().execution_options(**{WRITE: True}) as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        transaction_per_migration=True,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()
