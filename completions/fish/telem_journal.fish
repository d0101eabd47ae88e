complete -c telem_journal -s r -l record_id -d 'Only the record with this id' -r -f
complete -c telem_journal -s e -l event_id -d 'Only records of the event with this id' -r -f
complete -c telem_journal -s c -l classification -d 'Only records of this class, or, if it ends in /*, of those that start so' -r -f
complete -c telem_journal -s b -l boot_id -d 'Only records that were delivered in the boot with this id' -r -f
complete -c telem_journal -l since -d 'Only records that were delivered at this time or later: RFC 3339, or relative to now as in -2h' -r -f
complete -c telem_journal -l until -d 'Only records that were delivered before this time' -r -f
complete -c telem_journal -s i -l include_record -d 'Print also the payload, if it was kept (record_retention_enabled)'
complete -c telem_journal -s V -l verbose -d 'Print also a header line and the number of records'
complete -c telem_journal -l follow -d 'Wait for more records, and print each when it is delivered'
complete -c telem_journal -l json -d 'Print each record as a JSON object in a line of its own'
complete -c telem_journal -s h -l help -d 'Print this text'
