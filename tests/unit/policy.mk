# Unit tests, listed here.
