# The policy model: sources are listed here, one line each.
