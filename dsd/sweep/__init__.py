"""Many runs: the phases of all recipes, arms and seeds as jobs that wait for each other."""
