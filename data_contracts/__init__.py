"""What goes into the pipeline and what passes between its stages. Imports nothing of ours."""
