"""A server, its work pools and its workers on this machine: ``lorafirst up`` and ``down``."""
