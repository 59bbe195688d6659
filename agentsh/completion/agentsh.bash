# bash completion for agentsh(1)

_agentsh_sessions() {
	agentsh session list --json 2>/dev/null | sed -n 's/^ *"name": "\([A-Za-z0-9._-]*\)".*/\1/p'
}

_agentsh_packs() {
	agentsh policy list 2>/dev/null | awk 'NF { print $1 }'
}

_agentsh_words() { # WORD...: those that begin with what was typed
	mapfile -t COMPREPLY < <(compgen -W "$*" -- "$cur")
}

_agentsh_files() {
	mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
	compopt -o filenames 2>/dev/null
}

# the value of an option; status 1 when the word before is none that takes one
_agentsh_value() {
	case $1 in
	--pack) _agentsh_words "$(_agentsh_packs)" ;;
	--policy | --pub | --key | --anchor | --file | --to) _agentsh_files -f ;;
	--workspace | --home | --dir | --mount-at | --mount) _agentsh_files -d ;;
	--approver) _agentsh_words cli tty none ;;
	--session) _agentsh_words last "$(_agentsh_sessions)" ;;
	--gate) _agentsh_words fs net exec ctl ;;
	--decision) _agentsh_words allow deny redirect soft_delete absorb ;;
	--name | --env | --dns | --pattern | --reason | --op | --net | --unix | --signal) COMPREPLY=() ;;
	*) return 1 ;;
	esac
}

_agentsh() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} i
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		_agentsh_words wrap approve audit policy mount umount session diff undo trash detect --help --version
		return
	fi
	if [[ ${COMP_WORDS[1]} = wrap ]]; then
		for ((i = 2; i < COMP_CWORD; i++)); do
			if [[ ${COMP_WORDS[i]} = -- ]]; then
				# the command to run, then its own words
				if ((i + 1 == COMP_CWORD)); then _agentsh_files -c; else _agentsh_files -f; fi
				return
			fi
		done
	fi
	if [[ ${COMP_WORDS[1]} != approve ]] && _agentsh_value "$prev"; then
		return
	fi
	case ${COMP_WORDS[1]},$COMP_CWORD,${COMP_WORDS[2]} in
	wrap,*) _agentsh_words --isolate --pack --policy --workspace --mount-at --mount --print-plan --name --env --dns \
		--approver --quiet --help -- ;;
	approve,2,*) _agentsh_words list --help ;;
	approve,3,*) _agentsh_words allow deny --json ;;
	approve,*) _agentsh_words --once --session --pattern --reason ;;
	audit,2,*) _agentsh_words cat verify --help ;;
	audit,*,cat) _agentsh_words --json --session --gate --decision --all --dir --no-color ;;
	audit,*,verify) _agentsh_words --dir --pub --key --anchor --strict --quick --json ;;
	policy,2,*) _agentsh_words check explain test list show --help ;;
	policy,3,list) _agentsh_words --json ;;
	policy,3,*) _agentsh_files -f
		mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W "$(_agentsh_packs)" -- "$cur") ;;
	policy,*,explain) _agentsh_words --file --op --exec --net --unix --env --signal --json \
		--workspace --home ;;
	policy,*) _agentsh_words --json --workspace --home ;;
	mount,*) if [[ $cur = -* ]]; then
			_agentsh_words --pack --policy --read-only --name --approver --foreground --quiet --help
		else _agentsh_files -d; fi ;;
	umount,*) if [[ $cur = -* ]]; then _agentsh_words --lazy --help; else _agentsh_files -d; fi ;;
	session,2,*) _agentsh_words list show --help ;;
	session,3,show) _agentsh_words "$(_agentsh_sessions)" ;;
	session,*) _agentsh_words --json ;;
	diff,2,* | undo,2,*) _agentsh_words last "$(_agentsh_sessions)" ;;
	diff,*,*) _agentsh_words --name-status --stat --json --to --help ;;
	undo,*,*) _agentsh_words --to --dry-run --force --quiet --help ;;
	trash,2,*) _agentsh_words list restore purge --help ;;
	trash,*,list) _agentsh_words --session --json ;;
	trash,*,restore) _agentsh_words --session --to --force --json ;;
	trash,*,purge) _agentsh_words --session --all --expired --max-mb --max-count --dry-run --json ;;
	detect,*) _agentsh_words --json --help ;;
	esac
}

complete -F _agentsh agentsh
