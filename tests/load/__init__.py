"""Four of each process on PostgreSQL and Redis, two hundred apps, kills and restarts: what is lost? ``make load``."""
