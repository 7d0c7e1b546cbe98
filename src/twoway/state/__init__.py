"""The state store: what each side was last known to hold, what was seen and is not settled, and the journal.

One SQLite file (WAL, mode 0600) by default, or a PostgreSQL database. Everything is written through
`twoway.state.store.Store`.
"""
