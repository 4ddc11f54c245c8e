"""Pure decisions: gates and statistics as functions of values. No Prefect, torch, disk, network or clock."""
