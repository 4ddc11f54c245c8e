"""Where artifacts and decisions are kept: the stage store and the dossier. No Prefect, no torch."""
