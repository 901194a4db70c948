"""The web side: HTTP in, one `Intake` behind it. Statuses are decided here and nowhere else."""
