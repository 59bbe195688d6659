# Shells look here for the completions of an installed program.
bashcompdir = $(datadir)/bash-completion/completions
zshcompdir = $(datadir)/zsh/site-functions
fishcompdir = $(datadir)/fish/vendor_completions.d
dist_bashcomp_DATA = %D%/agentsh.bash
dist_zshcomp_DATA = %D%/_agentsh
dist_fishcomp_DATA = %D%/agentsh.fish
