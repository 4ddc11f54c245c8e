"""The ledger: an append-only chain of what runs decided, in SQLite or PostgreSQL."""
