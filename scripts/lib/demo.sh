# demo.sh: a private server with a stream of clicks, for scripts/quickstart and
# examples/*/run; sourced by bash after common.sh.
#
#   sx_demo_build generator|kafka [PACKAGE...]   packages, extension, broker
#   sx_demo_start generator|kafka [SETTING=VALUE...]
#                                   starts broker and server; sets SX_STREAM, the
#                                   statements that make the stream "clicks", and
#                                   SX_DATABASE, which has the extension
#   sx_demo_hold                    until a signal, or until the server is stopped
#   sx_demo_stop                    stops and removes all of it; harmless otherwise

sx_demo_producer=
sx_demo_broker=

sx_demo_build() {
	local kafka=
	[ "$1" != kafka ] || kafka=yes
	shift
	# shellcheck disable=SC2086
	sx_prepare release ${kafka:+$SX_PACKAGES_KAFKA} "$@"
	sx_say "building streamx in $SX_SRC (the first time takes a minute)"
	sx_build || sx_die "the build failed"
	if [ -n "$kafka" ]; then
		sx_get_kafka || sx_die "there is no broker"
		sx_make -s -C bench produce
	fi
}

sx_demo_start() {
	local kafka=
	[ "$1" != kafka ] || kafka=yes
	shift
	if [ -n "$kafka" ]; then
		sx_say "starting Apache Kafka"
		sx_demo_broker=$(sx_as_user mktemp -d "$SX_HOME/kafka.XXXXXX")
		sx_unlock
		SX_BROKER=$(sx_kafka start "$sx_demo_broker" 0)
		sx_kafka topic create "$SX_BROKER" clicks 4 >/dev/null
		# 1,000 events a second, with the time of sending; its own time limit is a
		# safety net for the case that nobody is left to stop it
		sx_exec_as_user timeout --foreground 86400 "$SX_SRC/bench/produce" --brokers "$SX_BROKER" --topic clicks \
			--partitions 4 --pages 20 --rate 1000 --now --events 0 --quiet </dev/null >/dev/null 2>&1 &
		sx_demo_producer=$!
		SX_STREAM="CREATE SERVER broker TYPE 'kafka' FOREIGN DATA WRAPPER streamx OPTIONS (bootstrap_servers '$SX_BROKER');

CREATE FOREIGN TABLE clicks (
  ts timestamptz OPTIONS (path 'event_time'), page text, user_id bigint, amount numeric
) SERVER broker OPTIONS (topic 'clicks', format 'json', event_time 'ts', watermark '2 seconds');"
	else
		SX_STREAM="CREATE SERVER demo TYPE 'generator' FOREIGN DATA WRAPPER streamx;

CREATE FOREIGN TABLE clicks (
  ts timestamptz OPTIONS (expression 'now()'),
  page text OPTIONS (expression '''page-'' || floor(20 * random() ^ 2)'),
  user_id bigint OPTIONS (expression 'floor(1000 * random())'),
  amount numeric OPTIONS (expression 'round((100 * random())::numeric, 2)')
) SERVER demo OPTIONS (rows_per_second '1000', event_time 'ts', watermark '2 seconds');"
	fi

	sx_say "starting a PostgreSQL server of its own"
	sx_start_server synchronous_commit=off "$@" || sx_die "the server did not start"
	SX_DATABASE=postgres sx_psql -c 'CREATE DATABASE demo' </dev/null
	SX_DATABASE=demo
	sx_psql -c 'CREATE EXTENSION streamx' </dev/null
}

sx_demo_hold() {
	trap 'exit 0' INT TERM HUP
	while [ -f "$SX_RUN/data/postmaster.pid" ]; do
		sleep 1 &
		wait $! || true
	done
}

sx_demo_stop() {
	if [ -n "$sx_demo_producer" ]; then
		kill "$sx_demo_producer" 2>/dev/null || true
		wait "$sx_demo_producer" 2>/dev/null || true
		sx_demo_producer=
	fi
	sx_stop_server
	if [ -n "$sx_demo_broker" ]; then
		sx_kafka stop "$sx_demo_broker" || true
		rm -rf "$sx_demo_broker"
		sx_demo_broker=
	fi
}
