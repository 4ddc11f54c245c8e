"""What each command does; its place among the others is in ``flows.command_line``."""
