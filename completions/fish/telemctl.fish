# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_telemctl_global_optspecs
    string join \n V/version
end

function __fish_telemctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_telemctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_telemctl_using_subcommand
    set -l cmd (__fish_telemctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c telemctl -n "__fish_telemctl_needs_command" -s V -l version -d 'Print version'
complete -c telemctl -n "__fish_telemctl_needs_command" -f -a "stop" -d 'Stop all telemetry services'
complete -c telemctl -n "__fish_telemctl_needs_command" -f -a "start" -d 'Start all telemetry services'
complete -c telemctl -n "__fish_telemctl_needs_command" -f -a "restart" -d 'Stop all telemetry services, and start them again'
complete -c telemctl -n "__fish_telemctl_needs_command" -f -a "is-active" -d 'Tell whether records are taken and sent'
complete -c telemctl -n "__fish_telemctl_needs_command" -f -a "opt-in" -d 'Allow records to be taken and sent; starts nothing'
complete -c telemctl -n "__fish_telemctl_needs_command" -f -a "opt-out" -d 'Withdraw that, stop all services, and delete what was collected'
complete -c telemctl -n "__fish_telemctl_needs_command" -f -a "journal" -d 'Show which records were delivered'
complete -c telemctl -n "__fish_telemctl_needs_command" -f -a "status" -d 'Show on one screen how telemetry is doing'
complete -c telemctl -n "__fish_telemctl_needs_command" -f -a "preview" -d 'Show what would leave this machine, and where each value comes from'
complete -c telemctl -n "__fish_telemctl_needs_command" -f -a "spool" -d 'Look at records that wait for delivery, or delete them'
complete -c telemctl -n "__fish_telemctl_needs_command" -f -a "rejected" -d 'Look at records that the server rejected; try again, or delete them'
complete -c telemctl -n "__fish_telemctl_needs_command" -f -a "config" -d 'Show the settings in effect, and where each comes from'
complete -c telemctl -n "__fish_telemctl_needs_command" -f -a "test" -d 'Send a heartbeat, and wait until the server took it'
complete -c telemctl -n "__fish_telemctl_using_subcommand journal" -s r -l record_id -d 'Only the record with this id' -r -f
complete -c telemctl -n "__fish_telemctl_using_subcommand journal" -s e -l event_id -d 'Only records of the event with this id' -r -f
complete -c telemctl -n "__fish_telemctl_using_subcommand journal" -s c -l classification -d 'Only records of this class, or, if it ends in /*, of those that start so' -r -f
complete -c telemctl -n "__fish_telemctl_using_subcommand journal" -s b -l boot_id -d 'Only records that were delivered in the boot with this id' -r -f
complete -c telemctl -n "__fish_telemctl_using_subcommand journal" -l since -d 'Only records that were delivered at this time or later: RFC 3339, or relative to now as in -2h' -r -f
complete -c telemctl -n "__fish_telemctl_using_subcommand journal" -l until -d 'Only records that were delivered before this time' -r -f
complete -c telemctl -n "__fish_telemctl_using_subcommand journal" -s i -l include_record -d 'Print also the payload, if it was kept (record_retention_enabled)'
complete -c telemctl -n "__fish_telemctl_using_subcommand journal" -s V -l verbose -d 'Print also a header line and the number of records'
complete -c telemctl -n "__fish_telemctl_using_subcommand journal" -l follow -d 'Wait for more records, and print each when it is delivered'
complete -c telemctl -n "__fish_telemctl_using_subcommand journal" -l json -d 'Print each record as a JSON object in a line of its own'
complete -c telemctl -n "__fish_telemctl_using_subcommand journal" -s h -l help -d 'Print this text'
complete -c telemctl -n "__fish_telemctl_using_subcommand status" -l json -d 'Print a JSON object'
complete -c telemctl -n "__fish_telemctl_using_subcommand status" -s h -l help -d 'Print this text'
complete -c telemctl -n "__fish_telemctl_using_subcommand preview" -s c -l class -d 'Classification of the record' -r -f
complete -c telemctl -n "__fish_telemctl_using_subcommand preview" -s s -l severity -d 'Severity of the record: 1 (low) to 4 (critical)' -r -f
complete -c telemctl -n "__fish_telemctl_using_subcommand preview" -s p -l payload -d 'Payload of the record' -r -f
complete -c telemctl -n "__fish_telemctl_using_subcommand preview" -s f -l config_file -d 'Configuration file to be used in place of the one that telemd would find' -r -F
complete -c telemctl -n "__fish_telemctl_using_subcommand preview" -l json -d 'Print a JSON object'
complete -c telemctl -n "__fish_telemctl_using_subcommand preview" -s h -l help -d 'Print this text'
complete -c telemctl -n "__fish_telemctl_using_subcommand spool; and not __fish_seen_subcommand_from list show purge" -s h -l help -d 'Print this text'
complete -c telemctl -n "__fish_telemctl_using_subcommand spool; and not __fish_seen_subcommand_from list show purge" -f -a "list" -d 'List the records that wait, in the order in which they will be delivered'
complete -c telemctl -n "__fish_telemctl_using_subcommand spool; and not __fish_seen_subcommand_from list show purge" -f -a "show" -d 'Print a record as it waits'
complete -c telemctl -n "__fish_telemctl_using_subcommand spool; and not __fish_seen_subcommand_from list show purge" -f -a "purge" -d 'Delete all records that wait'
complete -c telemctl -n "__fish_telemctl_using_subcommand spool; and __fish_seen_subcommand_from list" -l json -d 'Print each record as a JSON object in a line of its own'
complete -c telemctl -n "__fish_telemctl_using_subcommand spool; and __fish_seen_subcommand_from list" -s h -l help -d 'Print this text'
complete -c telemctl -n "__fish_telemctl_using_subcommand spool; and __fish_seen_subcommand_from show" -s h -l help -d 'Print this text'
complete -c telemctl -n "__fish_telemctl_using_subcommand spool; and __fish_seen_subcommand_from purge" -s h -l help -d 'Print this text'
complete -c telemctl -n "__fish_telemctl_using_subcommand rejected; and not __fish_seen_subcommand_from list show retry purge" -s h -l help -d 'Print this text'
complete -c telemctl -n "__fish_telemctl_using_subcommand rejected; and not __fish_seen_subcommand_from list show retry purge" -f -a "list" -d 'List the records that the server rejected'
complete -c telemctl -n "__fish_telemctl_using_subcommand rejected; and not __fish_seen_subcommand_from list show retry purge" -f -a "show" -d 'Print a record as it was rejected'
complete -c telemctl -n "__fish_telemctl_using_subcommand rejected; and not __fish_seen_subcommand_from list show retry purge" -f -a "retry" -d 'Put records into the spool again, all if none is named'
complete -c telemctl -n "__fish_telemctl_using_subcommand rejected; and not __fish_seen_subcommand_from list show retry purge" -f -a "purge" -d 'Delete all rejected records'
complete -c telemctl -n "__fish_telemctl_using_subcommand rejected; and __fish_seen_subcommand_from list" -l json -d 'Print each record as a JSON object in a line of its own'
complete -c telemctl -n "__fish_telemctl_using_subcommand rejected; and __fish_seen_subcommand_from list" -s h -l help -d 'Print this text'
complete -c telemctl -n "__fish_telemctl_using_subcommand rejected; and __fish_seen_subcommand_from show" -s h -l help -d 'Print this text'
complete -c telemctl -n "__fish_telemctl_using_subcommand rejected; and __fish_seen_subcommand_from retry" -s h -l help -d 'Print this text'
complete -c telemctl -n "__fish_telemctl_using_subcommand rejected; and __fish_seen_subcommand_from purge" -s h -l help -d 'Print this text'
complete -c telemctl -n "__fish_telemctl_using_subcommand config" -s f -l config_file -d 'File to be looked at in place of the one that telemd would find' -r -F
complete -c telemctl -n "__fish_telemctl_using_subcommand config" -l check -d 'Only tell whether the settings can be used'
complete -c telemctl -n "__fish_telemctl_using_subcommand config" -l json -d 'Print a JSON object'
complete -c telemctl -n "__fish_telemctl_using_subcommand config" -s h -l help -d 'Print this text'
complete -c telemctl -n "__fish_telemctl_using_subcommand test" -l timeout -d 'How long to wait for the server' -r -f
complete -c telemctl -n "__fish_telemctl_using_subcommand test" -s h -l help -d 'Print this text'
