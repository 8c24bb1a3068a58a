class BackupError(Exception):
    """A backup, a restore or a transfer that was not made. Its text says why, and what to do."""
