"""What a network is made of, what it has learned, and how trainings differ."""
