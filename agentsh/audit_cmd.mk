# agentsh audit: sources are listed here.
