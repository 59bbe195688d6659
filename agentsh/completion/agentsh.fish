# fish completion for agentsh(1)

function __agentsh_packs
    agentsh policy list 2>/dev/null | awk 'NF { print $1 }'
end

function __agentsh_sessions
    agentsh session list --json 2>/dev/null | sed -n 's/^ *"name": "\([A-Za-z0-9._-]*\)".*/\1/p'
end

complete -c agentsh -f
for line in 'wrap run a command under a policy' 'approve answer held requests' 'audit show and verify the log' \
        'policy check, explain, test policies' 'mount govern one directory' 'umount end such a mount' \
        'session list sessions' 'diff show what a session changed' 'undo take back what a session did' 'trash restore what was deleted' 'detect which mechanisms are here'
    set -l word (string split -m 1 ' ' $line)
    complete -c agentsh -n __fish_use_subcommand -a $word[1] -d $word[2]
end

set -l wrap '__fish_seen_subcommand_from wrap'
complete -c agentsh -n $wrap -l isolate -d 'demand the whole sandbox'
complete -c agentsh -n $wrap -l pack -x -a '(__agentsh_packs)' -d 'policy pack'
complete -c agentsh -n $wrap -l policy -r -F -d 'policy of your own'
complete -c agentsh -n $wrap -l workspace -x -a '(__fish_complete_directories)' -d 'what the agent works on'
complete -c agentsh -n $wrap -l mount-at -x -d 'where the sandbox sees the workspace'
complete -c agentsh -n $wrap -l mount -x -a '(__fish_complete_directories)' -d 'one more directory, governed'
complete -c agentsh -n $wrap -l print-plan -d 'only tell what the sandbox would see'
complete -c agentsh -n $wrap -l name -x -d 'name of the session'
complete -c agentsh -n $wrap -l env -x -d 'set a variable'
complete -c agentsh -n $wrap -l dns -x -d 'resolver to ask'
complete -c agentsh -n $wrap -l approver -x -a 'cli tty none' -d 'who answers held requests'
complete -c agentsh -n $wrap -l quiet -d 'no closing line'
complete -c agentsh -n $wrap -a '(__fish_complete_subcommand --fcs-skip=2)'

set -l audit '__fish_seen_subcommand_from audit'
complete -c agentsh -n $audit -a 'cat verify'
complete -c agentsh -n $audit -l json
complete -c agentsh -n $audit -l session -x -a 'last (__agentsh_sessions)'
complete -c agentsh -n $audit -l gate -x -a 'fs net exec ctl'
complete -c agentsh -n $audit -l decision -x -a 'allow deny'
complete -c agentsh -n $audit -l dir -x -a '(__fish_complete_directories)'
complete -c agentsh -n $audit -l strict
complete -c agentsh -n $audit -l quick

set -l policy '__fish_seen_subcommand_from policy'
complete -c agentsh -n $policy -a 'check explain test list show (__agentsh_packs)'
complete -c agentsh -n $policy -F
for option in file op exec net unix env signal workspace home
    complete -c agentsh -n $policy -l $option -r
end

set -l mount '__fish_seen_subcommand_from mount'
complete -c agentsh -n '__fish_seen_subcommand_from mount umount' -x -a '(__fish_complete_directories)'
complete -c agentsh -n $mount -l pack -x -a '(__agentsh_packs)' -d 'policy pack'
complete -c agentsh -n $mount -l policy -r -F -d 'policy of your own'
complete -c agentsh -n $mount -l read-only -d 'nothing can be changed'
complete -c agentsh -n $mount -l name -x -d 'name of the session'
complete -c agentsh -n $mount -l approver -x -a 'cli none' -d 'who answers held requests'
complete -c agentsh -n $mount -l foreground -d 'stay and log to standard error'
complete -c agentsh -n $mount -l quiet -d 'no closing line'
complete -c agentsh -n '__fish_seen_subcommand_from umount' -l lazy -d 'also when in use'
complete -c agentsh -n '__fish_seen_subcommand_from session' -a 'list show (__agentsh_sessions)'
complete -c agentsh -n '__fish_seen_subcommand_from approve' -a 'list allow deny'
for word in diff undo
    complete -c agentsh -n "__fish_seen_subcommand_from $word" -a 'last (__agentsh_sessions)'
    complete -c agentsh -n "__fish_seen_subcommand_from $word" -l to -x -d 'record of the audit log'
end
for option in name-status stat json
    complete -c agentsh -n '__fish_seen_subcommand_from diff' -l $option
end
for option in dry-run force quiet
    complete -c agentsh -n '__fish_seen_subcommand_from undo' -l $option
end
set -l trash '__fish_seen_subcommand_from trash'
complete -c agentsh -n $trash -a 'list restore purge'
complete -c agentsh -n $trash -F
complete -c agentsh -n $trash -l session -x -a '(__agentsh_sessions)'
complete -c agentsh -n $trash -l to -r -F
for option in force all expired dry-run
    complete -c agentsh -n $trash -l $option
end
complete -c agentsh -n '__fish_seen_subcommand_from session detect approve policy trash' -l json
