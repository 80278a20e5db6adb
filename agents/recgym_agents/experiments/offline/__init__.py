"""Learning from the logs of shops: local policy improvement, and supervised learning with RL."""
