complete -c telem-record-gen -s c -l class -d 'Classification, as in org.example/disk/full (required)' -r -f
complete -c telem-record-gen -s s -l severity -d 'Severity: 1 (low), 2 (medium), 3 (high) or 4 (critical)' -r -f
complete -c telem-record-gen -s p -l payload -d 'Payload; without -p and -P, it is read from standard input' -r -f
complete -c telem-record-gen -s P -l payload-file -d 'File with the payload; counts more than -p' -r -F
complete -c telem-record-gen -s R -l record-version -d 'Version of the payload\'s format, 0 to 4294967295' -r -f
complete -c telem-record-gen -s e -l event-id -d 'Event id, 32 characters of 0123456789abcdef [default: random]' -r -f
complete -c telem-record-gen -s f -l config-file -d 'Configuration file for this record: an absolute path' -r -F
complete -c telem-record-gen -s o -l echo -d 'Print the record on standard output'
complete -c telem-record-gen -s n -l no-post -d 'Do not send the record, print it'
complete -c telem-record-gen -s h -l help -d 'Print help (see more with \'--help\')'
complete -c telem-record-gen -s V -l version -d 'Print version'
