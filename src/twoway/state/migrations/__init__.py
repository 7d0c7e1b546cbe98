"""Alembic's migrations of the state. They ship in the wheel and run at start."""
