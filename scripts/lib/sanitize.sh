# sanitize.sh: servers and tests under AddressSanitizer and UndefinedBehaviorSanitizer;
# sourced after common.sh, for builds of the kind "sanitize".
#
# PostgreSQL itself is the one that is installed: in the private copy a script stands in
# for the program "postgres" and loads the sanitizer's runtime before it.  So what is watched is
# the code of streamx, and in PostgreSQL's what goes through libc's functions; memory of palloc is watched
# by the block.  Processes that a test makes crash crash as ever.

# sx_sanitize DIR -- prepares SX_BIN and the environment; reports will go to DIR
sx_sanitize() {
	local runtime

	SX_REPORTS=$1
	sx_as_user mkdir -p "$SX_BUILD/sanitizers"
	mkdir -p "$SX_REPORTS"
	[ "$SX_UID" != 0 ] || chown "$SX_USER:" "$SX_REPORTS"

	# The runtime has to start before the constructors of other libraries: one that
	# calls bindtextdomain() would have it ask for a translation while gettext is locked.
	runtime=$(readlink -f "$(gcc -print-file-name=libasan.so)")
	printf '%s\n' '#include <stdlib.h>' \
		'static void __attribute__((constructor)) first(void) { free(malloc(1)); }' |
		sx_as_user gcc -x c -O0 -shared -fPIC -Wl,-z,initfirst -o "$SX_BUILD/sanitizers/first.so" -

	if [ ! -e "$SX_BIN/postgres.plain" ]; then
		mv "$SX_BIN/postgres" "$SX_BIN/postgres.plain"
	fi
	{
		printf '#!/bin/bash\n'
		printf 'export LD_PRELOAD="%s %s${LD_PRELOAD:+ $LD_PRELOAD}"\n' "$runtime" "$SX_BUILD/sanitizers/first.so"
		# shellcheck disable=SC2016
		printf 'exec -a "$0" "$0.plain" "$@"\n'
	} >"$SX_BIN/postgres"
	chmod 755 "$SX_BIN/postgres"

	export STREAMX_SANITIZE=1
	export PG_TEST_TIMEOUT_DEFAULT=${PG_TEST_TIMEOUT_DEFAULT:-600}
	ASAN_OPTIONS=log_path=$SX_REPORTS/report:abort_on_error=1:detect_leaks=0:detect_stack_use_after_return=0
	ASAN_OPTIONS+=:allocator_may_return_null=1:quarantine_size_mb=64
	ASAN_OPTIONS+=:handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0
	UBSAN_OPTIONS=log_path=$SX_REPORTS/report:print_stacktrace=1:halt_on_error=1:abort_on_error=1
	export ASAN_OPTIONS UBSAN_OPTIONS
}

# sx_sanitize_reports -- prints how many there are, and each one's beginning to stderr
sx_sanitize_reports() {
	local report n=0

	for report in "$SX_REPORTS"/report.*; do
		[ -s "$report" ] || continue
		n=$((n + 1))
		[ "$n" -gt "${STREAMX_REPORTS:-20}" ] || {
			printf '# sanitizer: %s\n' "$report"
			head -n "${STREAMX_LOG_LINES:-40}" "$report"
		} >&2
	done
	printf '%d\n' "$n"
}
