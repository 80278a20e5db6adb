"""What feeds an algorithm: replay memory, episodes, and the loops that play and learn."""
