"""Numbers from predictions: each family validates what it is given, measures, and evaluates to a dictionary."""
