# common.sh: what scripts/quickstart, scripts/test and bench/run share; sourced by bash.
#
# Nothing here touches the system's PostgreSQL: the extension is installed
# into a copy of the installation (PostgreSQL finds its directories relative
# to its programs), and every server has a data directory of its own.  As root
# all that is built or run belongs to the user "postgres", whose account comes
# with the packages; as a plain user it is your own.
#
#   sx_prepare release|check|sanitize    packages, sources, private PostgreSQL
#   sx_build                             compiles and installs into it
#
# Afterwards:
#   SX_ROOT     the repository
#   SX_HOME     where things are built and kept: STREAMX_BUILD, or as root
#               /var/cache/streamx/..., or build/ in the repository
#   SX_BUILD    SX_HOME/release, SX_HOME/check or SX_HOME/sanitize
#   SX_SRC      copy of the sources, where they are compiled
#   SX_BIN      programs of the private PostgreSQL
#   SX_USER     who runs servers and tests

SX_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
SX_UID=$(id -u)

# Messages, prompts and sort order of what we call must not depend on the
# caller's settings, and no server but our own is to be reached by accident.
export LC_ALL=C.UTF-8
unset LANGUAGE MAKEFLAGS MAKELEVEL MFLAGS
SX_PG_CONFIG=${PG_CONFIG:-}
SX_MAJOR=${STREAMX_MAJOR:-15}	# of the PostgreSQL packages, where PG_CONFIG names none
for sx_var in "${!PG@}"; do
	unset "$sx_var"
done
unset sx_var

sx_say() {
	printf '%s\n' "$*" >&2
}

sx_die() {
	printf '%s: %s\n' "${0##*/}" "$1" >&2
	[ $# -lt 2 ] || printf '  %s\n' "${@:2}" >&2
	exit 1
}

# ---------------------------------------------------------------- packages

SX_PACKAGES_BUILD="gcc g++ make libc6-dev procps librdkafka-dev libsimdjson-dev libssl-dev"
# a|b: whichever is installed already, or else the first that can be had
SX_PACKAGES_KAFKA="ca-certificates openjdk-17-jre-headless|openjdk-21-jre-headless|default-jre-headless maven kcat"
SX_PACKAGES_SUPERSET="python3 python3-venv ca-certificates"

# sx_missing_packages NAME... -- prints those that are not installed
sx_missing_packages() {
	local name
	for name in "$@"; do
		# shellcheck disable=SC2086
		grep -qx installed <<<"$(dpkg-query -W -f '${db:Status-Status}\n' ${name//|/ } 2>/dev/null)" ||
			printf '%s ' "$name"
	done
}

# sx_available_packages NAME... -- of a|b the first that can be had
sx_available_packages() {
	local name one
	for name in "$@"; do
		for one in ${name//|/ }; do
			! grep -q 'Candidate: [^(]' <<<"$(apt-cache policy "$one" 2>/dev/null)" || break
		done
		printf '%s ' "$one"
	done
}

# sx_install_packages NAME... -- installs what is missing, from Debian
#
# Leaves every PostgreSQL cluster as it is: none is created, and a running one
# is not upgraded behind its owner's back.  No daemon that comes with a package
# is started: what is needed is started by whoever needs it.
sx_install_packages() {
	local missing sudo= rc=0 policy=/usr/sbin/policy-rc.d policy_is_ours=
	local dropin=/etc/postgresql-common/createcluster.d/streamx-setup.conf
	local apt="apt-get -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3"

	command -v dpkg-query >/dev/null ||
		sx_die "this is not a Debian system" "Install by hand: $*"
	missing=$(sx_missing_packages "$@")
	[ -n "$missing" ] || return 0
	if [ "$SX_UID" != 0 ]; then
		if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
			sudo=sudo
		else
			sx_die "packages are missing and only root can install them" \
				"Run as root: apt-get install --no-install-recommends $(sx_available_packages $missing)"
		fi
	fi

	sx_say "installing packages: $missing"
	SX_APT_LOG=$(mktemp)
	{
		# shellcheck disable=SC2086
		$sudo env DEBIAN_FRONTEND=noninteractive $apt update &&
			missing=$(sx_available_packages $missing) &&
			if $apt -s install $missing | grep -q '^Inst postgresql-[0-9]* \[' &&
				command -v pg_lsclusters >/dev/null && pg_lsclusters -h | grep -qw online; then
				echo "E: a running PostgreSQL cluster would be upgraded and restarted"
				false
			else
				# Debian's update-alternatives stumbles over its absence
				$sudo mkdir -p /usr/share/man/man1 /etc/postgresql-common/createcluster.d
				echo "create_main_cluster = false" | $sudo tee "$dropin" >/dev/null
				if [ ! -e "$policy" ]; then
					policy_is_ours=yes
					printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
					$sudo chmod 755 "$policy"
				fi
				$sudo env DEBIAN_FRONTEND=noninteractive $apt \
					-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
					install $missing || rc=$?
				$sudo rm -f "$dropin"
				[ -z "$policy_is_ours" ] || $sudo rm -f "$policy"
				[ "$rc" = 0 ]
			fi
	} >"$SX_APT_LOG" 2>&1 </dev/null || {
		tail -n 20 "$SX_APT_LOG" >&2
		sx_die "could not install packages" "The whole log: $SX_APT_LOG"
	}
	rm -f "$SX_APT_LOG"
}

# ----------------------------------------------------- places and the user

# sx_as_user COMMAND... -- runs it as SX_USER, from a directory it may be in
sx_as_user() {
	(sx_exec_as_user "$@")
}

# sx_exec_as_user COMMAND... -- becomes it; with "&", $! is the command itself
sx_exec_as_user() {
	cd "$SX_HOME"
	if [ "$SX_UID" = 0 ]; then
		exec setpriv --reuid="$SX_USER" --regid="$SX_USER" --init-groups \
			env HOME="$SX_HOME/home" USER="$SX_USER" LOGNAME="$SX_USER" SHELL=/bin/bash "$@"
	fi
	exec "$@"
}

# sx_copy_sources -- SX_ROOT to SX_SRC, keeping what is compiled there
sx_copy_sources() {
	local new=$SX_BUILD/src.new keep

	rm -rf "$new"
	mkdir -p "$new" "$SX_SRC/src"
	tar -C "$SX_ROOT" --exclude=./.git --exclude=./build --exclude='./tmp_check*' \
		--exclude=./results --exclude=./output_iso --exclude='./regression.*' \
		--exclude=./bench/produce --exclude=./bench/ceiling \
		--exclude='*.o' --exclude='*.a' --exclude='*.so' --exclude='*.d' --exclude='*.bc' -cf - . |
		tar -C "$new" -xf - --no-same-owner
	# objects of sources that are unchanged stay usable: tar keeps the times
	(cd "$SX_SRC" && find . -type f \( -name '*.o' -o -name '*.d' -o -name '*.so' \) \
		-not -path './tmp_check*' -print) | while IFS= read -r keep; do
		if [ -d "$new/${keep%/*}" ] && { [ "${keep##*.}" = so ] ||
			[ -f "$new/${keep%.*}.c" ] || [ -f "$new/${keep%.*}.cpp" ]; }; then
			cp -p "$SX_SRC/$keep" "$new/$keep"
		fi
	done
	for keep in bench/produce bench/ceiling; do
		[ ! -f "$SX_SRC/$keep" ] || cp -p "$SX_SRC/$keep" "$new/$keep"
	done
	# a shared library that outlived one of its objects has to be linked anew
	[ "$(cd "$SX_SRC" && find src -name '*.o' | sort)" = "$(cd "$new" && find src -name '*.o' | sort)" ] ||
		rm -f "$new"/*.so
	rm -rf "$SX_SRC"
	mv "$new" "$SX_SRC"
	[ "$SX_UID" != 0 ] || chown -R "$SX_USER:" "$SX_SRC"
}

# sx_copy_postgres -- the installation of $1 (a pg_config) to SX_BUILD/postgres
#
# Made anew when the original changes (packages upgraded or added).
sx_copy_postgres() {
	local pg_config=$1 bindir sharedir libdir version stamp top=$SX_BUILD/postgres

	bindir=$("$pg_config" --bindir)
	sharedir=$("$pg_config" --sharedir)
	libdir=$("$pg_config" --pkglibdir)
	version=$("$pg_config" --version)
	stamp="$version $bindir $(find "$bindir" "$libdir" "$sharedir" -printf '%p %T@\n' | sort | cksum)"
	case $bindir in
		*/lib/postgresql/*/bin) SX_BIN=$top/lib/postgresql/${bindir##*/lib/postgresql/} ;;
		*) SX_BIN=$top/bin ;;
	esac
	if [ "$(cat "$SX_BUILD/postgres.stamp" 2>/dev/null)" = "$stamp" ]; then
		return 0
	fi
	rm -rf "$top" "$SX_BUILD/postgres.stamp"
	case $bindir in
		*/lib/postgresql/*/bin)	# Debian's layout, or a copy that was made here
			mkdir -p "$top/lib/postgresql" "$top/share/postgresql" "$top/include"
			cp -a "${bindir%/bin}" "$top/lib/postgresql/"
			cp -a "$sharedir" "$top/share/postgresql/"
			ln -s /usr/include/postgresql "$top/include/postgresql"
			;;
		*)
			mkdir -p "$top"
			cp -a "${bindir%/bin}/." "$top/"
			;;
	esac
	[ "$SX_UID" != 0 ] || chown -R -h "$SX_USER:" "$top"
	# the system's own build of streamx, if any, must not be mistaken for ours
	find "$top" \( -name 'streamx.so' -o -name 'streamx_syntax.so' -o -name 'streamx.control' \
		-o -name 'streamx--*.sql' \) -delete
	printf '%s\n' "$stamp" >"$SX_BUILD/postgres.stamp"
}

# sx_find_home -- sets SX_HOME, and makes it
sx_find_home() {
	if [ "$SX_UID" = 0 ]; then
		: "${STREAMX_BUILD:=/var/cache/streamx/$(printf '%s' "$SX_ROOT" | cksum | cut -d' ' -f1)}"
	else
		: "${STREAMX_BUILD:=$SX_ROOT/build}"
	fi
	mkdir -p "$STREAMX_BUILD"
	SX_HOME=$(cd "$STREAMX_BUILD" && pwd -P)
}

# sx_prepare release|check|sanitize [PACKAGE...] -- everything up to the compiler
sx_prepare() {
	local kind=$1 pg_config
	shift

	if [ -n "$SX_PG_CONFIG" ]; then
		pg_config=$SX_PG_CONFIG
		# shellcheck disable=SC2086
		sx_install_packages $SX_PACKAGES_BUILD "$@"
		"$pg_config" --version >/dev/null || sx_die "cannot run PG_CONFIG \"$pg_config\""
	else
		pg_config=/usr/lib/postgresql/$SX_MAJOR/bin/pg_config
		# shellcheck disable=SC2086
		sx_install_packages "postgresql-$SX_MAJOR" "postgresql-server-dev-$SX_MAJOR" $SX_PACKAGES_BUILD "$@"
	fi

	if [ "$SX_UID" = 0 ]; then
		SX_USER=postgres
		id "$SX_USER" >/dev/null 2>&1 || sx_die "there is no user \"$SX_USER\"" \
			"PostgreSQL does not run as root; install the package postgresql-common."
	else
		SX_USER=$(id -un)
	fi
	sx_find_home
	mkdir -p "$SX_HOME/$kind" "$SX_HOME/home"
	SX_BUILD=$SX_HOME/$kind
	SX_SRC=$SX_BUILD/src
	SX_KIND=$kind
	[ "$SX_UID" != 0 ] || chown "$SX_USER:" "$SX_HOME" "$SX_BUILD" "$SX_HOME/home"

	exec {SX_LOCK}>"$SX_BUILD/lock"
	flock -w 600 "$SX_LOCK" || sx_die "another run is using \"$SX_BUILD\""
	sx_copy_postgres "$pg_config"
	sx_copy_sources
	export PATH=$SX_BIN:$PATH
}

# sx_make ARGUMENT... -- make in SX_SRC with the flags of this kind of build;
# SX_TIME_LIMIT: seconds that it may take
sx_make() {
	local flags=() san="-fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all"
	# what is inlined or fortified is nothing that sanitizers can look at
	san+=" -O1 -g -fno-omit-frame-pointer -Wp,-U_FORTIFY_SOURCE"
	case $SX_KIND in
		check) flags=(COPT="-Werror -DUSE_ASSERT_CHECKING=1" CXX="g++ -Werror" STOP_POINTS=1) ;;
		# the warnings of an instrumented build are not the code's
		sanitize) flags=(COPT="-w -DUSE_ASSERT_CHECKING=1 $san" CXX="g++ -w $san" STOP_POINTS=1) ;;
	esac
	# shellcheck disable=SC2086
	sx_as_user ${SX_TIME_LIMIT:+timeout --foreground -k 60 $SX_TIME_LIMIT} \
		make -C "$SX_SRC" --no-print-directory PG_CONFIG="$SX_BIN/pg_config" "${flags[@]}" "$@" </dev/null
}

# sx_build -- compiles and installs; 1 and the compiler's words if that fails
sx_build() {
	local log=$SX_BUILD/build.log makefile
	# objects of other flags are of no use
	makefile=$(cat "$SX_SRC/Makefile" "$SX_ROOT/scripts/lib/common.sh" | cksum)
	if [ "$(cat "$SX_BUILD/flags" 2>/dev/null)" != "$makefile" ]; then
		sx_make -s clean >"$log" 2>&1 || true
		printf '%s\n' "$makefile" >"$SX_BUILD/flags"
	fi
	if ! { sx_make -s -j"$(nproc)" && sx_make -s install; } >"$log" 2>&1; then
		cat "$log" >&2
		return 1
	fi
}

# sx_build_release -- compiles what users get, beside a build for tests
sx_build_release() {
	local log=$SX_BUILD/build-release.log dir=$SX_BUILD/release

	sx_as_user mkdir -p "$dir"
	if ! {
		tar -C "$SX_ROOT" --exclude='*.o' --exclude='*.d' -cf - Makefile streamx.control src sql |
			sx_as_user tar -C "$dir" -xf - --no-same-owner &&
			sx_as_user make -s -C "$dir" PG_CONFIG="$SX_BIN/pg_config" COPT=-Werror CXX="g++ -Werror" \
				-j"$(nproc)" all </dev/null
	} >"$log" 2>&1; then
		cat "$log" >&2
		return 1
	fi
}

# sx_kafka VERB... -- scripts/kafka, as SX_USER
sx_kafka() {
	sx_as_user env STREAMX_CACHE="$SX_HOME/cache" "$SX_SRC/scripts/kafka" "$@"
}

# sx_get_kafka -- fetches the broker, once; by the caller's own Maven settings
sx_get_kafka() {
	export STREAMX_CACHE=$SX_HOME/cache
	"$SX_ROOT/scripts/kafka" get >/dev/null </dev/null
}

# sx_unlock -- others may build here again; what runs in the background must
# not inherit the lock either
sx_unlock() {
	[ -z "${SX_LOCK:-}" ] || exec {SX_LOCK}>&-
	SX_LOCK=
}

# ------------------------------------------------------------------ servers

# sx_free_port FROM -- prints a TCP port of 127.0.0.1 that nobody listens on
sx_free_port() {
	local port=$1
	while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
		port=$((port + 1))
	done
	printf '%s\n' "$port"
}

# sx_start_server SETTING=VALUE... -- a private server in a fresh directory
#
# Sets SX_RUN (its directory, removed by sx_stop_server), SX_PORT, SX_SOCKET
# (directory of the unix socket, closed to other users: no password there) and
# SX_PASSWORD (for user postgres by TCP).
sx_start_server() {
	local setting
	SX_RUN=$(sx_as_user mktemp -d "$SX_HOME/run.XXXXXX")
	SX_SOCKET=$(sx_as_user mktemp -d /tmp/streamx.XXXXXX)
	SX_PASSWORD=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
	printf '%s\n' "$SX_PASSWORD" | sx_as_user tee "$SX_RUN/password" >/dev/null
	sx_as_user "$SX_BIN/initdb" -D "$SX_RUN/data" -U postgres --encoding=UTF8 --locale=C.UTF-8 \
		--auth-local=trust --auth-host=scram-sha-256 --pwfile="$SX_RUN/password" \
		>"$SX_RUN/initdb.log" 2>&1 || {
		cat "$SX_RUN/initdb.log" >&2
		return 1
	}
	SX_PORT=$(sx_free_port 54320)
	{
		printf "shared_preload_libraries = 'streamx, streamx_syntax'\nlisten_addresses = '127.0.0.1'\n"
		printf "port = %s\nunix_socket_directories = '%s'\n" "$SX_PORT" "$SX_SOCKET"
		for setting in "$@"; do
			printf "%s = '%s'\n" "${setting%%=*}" "${setting#*=}"
		done
	} >>"$SX_RUN/data/postgresql.conf"
	# closed: the lock would live as long as the server
	sx_unlock
	sx_as_user "$SX_BIN/pg_ctl" -D "$SX_RUN/data" -l "$SX_RUN/server.log" -w -t 60 start >/dev/null || {
		tail -n 30 "$SX_RUN/server.log" >&2
		return 1
	}
}

# sx_stop_server -- stops it and removes its directory; harmless if there is none
sx_stop_server() {
	[ -n "${SX_RUN:-}" ] || return 0
	if [ -f "$SX_RUN/data/postmaster.pid" ]; then
		sx_as_user "$SX_BIN/pg_ctl" -D "$SX_RUN/data" -m fast -w -t 30 stop >/dev/null 2>&1 ||
			sx_as_user "$SX_BIN/pg_ctl" -D "$SX_RUN/data" -m immediate -w -t 30 stop >/dev/null 2>&1 || true
	fi
	rm -rf "$SX_RUN" "$SX_SOCKET"
	SX_RUN=
}

# sx_psql ARGUMENT... -- psql on that server, stopping at the first error
sx_psql() {
	sx_as_user "$SX_BIN/psql" -X -q -v ON_ERROR_STOP=1 -h "$SX_SOCKET" -p "$SX_PORT" -U postgres \
		-d "${SX_DATABASE:-postgres}" "$@"
}
