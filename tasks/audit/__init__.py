"""Reading dossiers: what happened in a run, from its files alone."""
