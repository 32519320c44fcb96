#!/bin/sh
# backup-postgres.sh wal|base|dump|cleanup|verify: the old name of aeterna-dr's commands for PostgreSQL.
#
#   wal PATH NAME   archive_command = '…/backup-postgres.sh wal %p %f': 0 once the segment is durable in the repository.
#                   `aeterna-dr backup watch` captures the same WAL within seconds; both may run.
#   base            a base backup; the next one stores only what changed
#   dump [PATH]     a logical backup of all databases, then PG_DATABASE (aeterna) as PATH (/backups/latest.dump) for pg_restore
#   cleanup         forgets what is older than RETENTION_DAYS (30; 0: all but the newest), never the newest of a kind
#   verify          reads and compares everything in the repository; fails when there is no base backup, or WAL is missing between
#                   two points that can be restored
#
#   S3_BUCKET       the repository, a path or s3://BUCKET/PREFIX; else the stack file's, else s3://aeterna-backups/postgres
#   AETERNA_DR      the program (aeterna-dr); AETERNA_DR_STACK its stack file, AETERNA_DR_KEY_FILE the repository's key
#   PG_HOST, PG_PORT, PG_USER, PGPASSWORD   the server (localhost, 5432, postgres), only where there is no stack file
#   LOG_DIR         where backup-postgres.log is appended to (/var/log/aeterna), if it is there
# The exit codes are aeterna-dr's (docs/cli.md).
set -u

program=${AETERNA_DR:-aeterna-dr}
log=${LOG_DIR:-/var/log/aeterna}/backup-postgres.log
days=${RETENTION_DAYS:-30}

usage() {
    echo "usage: backup-postgres.sh wal PATH NAME | base | dump [PATH] | cleanup | verify" >&2
    exit 2
}

has_stack() { [ -n "${AETERNA_DR_STACK:-}" ] || [ -e /etc/aeterna-dr/stack.yaml ]; }

# A stack of one server, where nobody has described one. Double quotes of YAML, for whatever the values hold.
quoted() { printf '"%s"' "$(printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g')"; }
stack_of_one() {
    password=
    # PG… is libpq's own, and is not looked at.
    [ -n "${PGPASSWORD:-}" ] && password='    password_environment: AETERNA_DR_PG_PASSWORD'
    cat <<STACK
name: backup-postgres
stores:
  postgres:
    objectives: {rto: 5m, rpo: 5m}
    scope: aeterna-postgres
    user: $(quoted "${PG_USER:-postgres}")
    database: postgres
$password
    nodes:
      - {name: postgres-1, address: $(quoted "${PG_HOST:-localhost}:${PG_PORT:-5432}"), patroni: $(quoted "http://${PG_HOST:-localhost}:8008")}
STACK
}

# The program with the repository's options; its output on stdout and in the log.
run() {
    if [ -n "${S3_BUCKET:-}" ]; then set -- --repo "$S3_BUCKET" "$@"
    elif ! has_stack; then set -- --repo s3://aeterna-backups/postgres "$@"
    fi
    [ -n "${AETERNA_DR_KEY_FILE:-}" ] && set -- --key-file "$AETERNA_DR_KEY_FILE" "$@"
    # In a subshell: where it cannot be opened, dash ends the shell whose own redirection it is.
    if ! (: >> "$log") 2>/dev/null; then
        "$program" "$@"
        return
    fi
    code=$({ { "$program" "$@" 2>&1; echo $? >&3; } | tee -a "$log" >&4; } 3>&1)
    return "$code"
} 4>&1

# Of the server: with its stack file, or one for this run alone.
run_on_server() {
    if has_stack; then run "$@"; return; fi
    stack=
    trap '[ -z "$stack" ] || rm -f "$stack"' EXIT
    trap 'exit 130' HUP INT TERM
    # A signal must not fall between the file and its name.
    stack=$(trap '' HUP INT TERM; mktemp "${TMPDIR:-/tmp}/backup-postgres.XXXXXX") || exit 1
    stack_of_one > "$stack"
    [ -n "${PGPASSWORD:-}" ] && export AETERNA_DR_PG_PASSWORD="$PGPASSWORD"
    run --stack "$stack" "$@"
}

case ${1:-} in
    wal)
        [ $# -eq 3 ] || usage
        run archive-push "$2" "$3"
        ;;
    base)
        [ $# -eq 1 ] || usage
        run_on_server backup postgres
        ;;
    dump)
        [ $# -le 2 ] || usage
        run_on_server backup postgres --logical || exit
        run export postgres latest --database "${PG_DATABASE:-aeterna}" --output "${2:-/backups/latest.dump}" --replace
        ;;
    cleanup)
        [ $# -eq 1 ] || usage
        case $days in
            '' | *[!0-9]*) echo "backup-postgres.sh: RETENTION_DAYS '$days' is no number of days" >&2; exit 2 ;;
        esac
        if [ "$days" -eq 0 ]; then run repo prune --keep-last 1; else run repo prune --keep-within "${days}d"; fi
        ;;
    verify)
        [ $# -eq 1 ] || usage
        run repo check --read-data || exit
        if ! run --json backups list | grep -q '"kind": "base"'; then
            echo "backup-postgres.sh: there is no base backup" >&2
            exit 1
        fi
        run recovery-points postgres --exit-code
        ;;
    *) usage ;;
esac
