"""syncd: watch photo folders, read what each photo says of itself, upload each distinct photo exactly once."""

__version__ = "0.1.0"
