"""The types of columns, of which each database has its own. Migrations are written with them as well."""

from typing import Final

import sqlalchemy as sa

Text: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Compared byte by byte, whatever language the database was made for: ids are read on from where a window ended."""
Number: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""64 bits. SQLite's have as many under any name; as a key it takes none but INTEGER for the row's own number."""
