complete -c hprobe -s f -l config-file -d 'Configuration file for this record: an absolute path' -r -F
complete -c hprobe -s H -l heartbeat -d 'Send it as org.clearlinux/heartbeat/ping instead of org.clearlinux/hello/world'
complete -c hprobe -s l -l locale -d 'Add the locale'
complete -c hprobe -s u -l uptime -d 'Add the time since the machine started'
complete -c hprobe -s b -l bundles -d 'Add the names of the installed bundles'
complete -c hprobe -s h -l help -d 'Print help (see more with \'--help\')'
complete -c hprobe -s V -l version -d 'Print version'
