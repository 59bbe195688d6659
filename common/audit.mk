# The audit chain: sources, the writer program and its links are listed here.
