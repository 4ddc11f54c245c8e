"""Ed25519 keys, keyrings, and in-toto statements in DSSE envelopes."""
