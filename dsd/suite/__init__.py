"""What to run: the suite's folder, recipes, tasks, downloads."""
