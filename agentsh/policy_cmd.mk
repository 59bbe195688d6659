# agentsh policy: sources are listed here.
