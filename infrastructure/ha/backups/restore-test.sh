#!/bin/sh
# restore-test.sh postgres|qdrant|redis|full|cleanup: the old name of `aeterna-dr restore-test`. It restores the newest
# backup into a sandbox, starts a server on it, questions it, and ends with 0 only when all of that passed in time.
#
#   RESTORE_DIR        where the sandbox is made and restore-test-report.json is left (/tmp/aeterna-restore-test)
#   RTO_LIMIT_SECONDS  objective (900)
#   S3_BUCKET_PG       the repository; else the stack file's. Its key: $AETERNA_DR_KEY_FILE, else the stack file's
#   AETERNA_DR         the program (aeterna-dr)
#   LOG_DIR            where restore-test.log is appended to (/var/log/aeterna), if it is there
# PG_RESTORE_PORT has no use any more: the server listens on no port.
set -u

program=${AETERNA_DR:-aeterna-dr}
directory=${RESTORE_DIR:-/tmp/aeterna-restore-test}
limit=${RTO_LIMIT_SECONDS:-900}
log=${LOG_DIR:-/var/log/aeterna}/restore-test.log

usage() {
    echo "usage: restore-test.sh postgres|qdrant|redis|full|cleanup" >&2
    exit 2
}

# The value of a member of our JSON, which has one member on a line.
member() {
    printf '%s\n' "$document" | sed -n "s/^ *\"$1\": \(.*[^,]\),\{0,1\}\$/\1/p" | head -n 1
}

write_report() {
    met=false
    [ "$1" -eq 0 ] && met=true
    elapsed=$(member recovery_seconds)
    total=$(member total_seconds)
    status=$(member verdict)
    [ -n "$status" ] || status='"unknown"'
    # Not through a name that somebody else may have put there.
    new=$(mktemp "$directory/report.XXXXXX") || return 1
    cat > "$new" <<REPORT
{
  "timestamp": "$(date -u +%Y-%m-%dT%H:%M:%SZ)",
  "rto_limit_seconds": $limit,
  "total_elapsed_seconds": ${total:-null},
  "rto_met": $met,
  "components": {"postgresql": {"elapsed_seconds": ${elapsed:-null}, "status": $status}}
}
REPORT
    mv "$new" "$directory/restore-test-report.json"
}

test_postgres() {
    set -- restore-test postgres --work "$directory" --rto "${limit}s"
    [ -n "${S3_BUCKET_PG:-}" ] && set -- --repo "$S3_BUCKET_PG" "$@"
    [ -n "${AETERNA_DR_KEY_FILE:-}" ] && set -- --key-file "$AETERNA_DR_KEY_FILE" "$@"
    # In a subshell: where it cannot be opened, dash ends the shell whose own redirection it is.
    (: >> "$log") 2>/dev/null || log=/dev/null
    # What it says meanwhile goes to stderr and into the log; its exit code is the last line.
    document=$({ { "$program" --json "$@"; echo "$?"; } 2>&1 >&3 | tee -a "$log" >&2; } 3>&1)
    code=$(printf '%s\n' "$document" | tail -n 1)
    document=$(printf '%s\n' "$document" | sed '$d')
    printf '%s\n' "$document" | tee -a "$log"
    write_report "$code" || { [ "$code" -eq 0 ] && code=1; }
    return "$code"
}

[ $# -eq 1 ] || usage
case $limit in
    '' | *[!0-9]*) echo "restore-test.sh: RTO_LIMIT_SECONDS '$limit' is no number of seconds" >&2; exit 2 ;;
esac
case $1 in
    postgres)
        [ -d "$directory" ] || mkdir -p -m 0755 "$directory" || exit 1
        test_postgres
        ;;
    cleanup) exec "$program" restore-test cleanup --work "$directory" ;;
    full | qdrant | redis)
        echo "restore-test.sh: '$1' is not built yet: nothing was restored, nothing is known" >&2
        exit 1
        ;;
    *) usage ;;
esac
