"""Run by Alembic: migrate over the connection that `twoway.state.database` hands in."""

from alembic import context

from twoway.state.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite alters tables by building them anew.
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
