"""What is to be run: folders of recipes, recipes, tasks."""
