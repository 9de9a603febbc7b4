"""The directory monitor: queues Jobs when files arrive."""
