# chroot.sh: minimal Debian systems to build and test in; sourced after common.sh.
#
# Their mounts are in a namespace of their own: they end with the command, and
# a chroot can be removed at any time (rm -rf --one-file-system).

# sx_chroot_run DIR COMMAND... -- with /proc, shared memory and terminals of its own,
# none of which outlives the command; the system's /dev is never in there
sx_chroot_run() {
	local dir=$1
	shift
	# shellcheck disable=SC2016
	unshare --mount --pid --fork --kill-child --propagation private bash -c '
		set -e
		mount -t proc proc "$1/proc"
		mount -t tmpfs -o mode=1777 tmpfs "$1/dev/shm"
		mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/dev/pts"
		exec chroot "$@"' sx_chroot_run "$dir" \
		env -i HOME=/root TERM="${TERM:-dumb}" PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 ${CI:+CI="$CI"} \
		${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} "$@" </dev/null
}

# sx_chroot_make SUITE DIR -- a minimal Debian in DIR
sx_chroot_make() {
	local suite=$1 dir=$2 new=$2.new
	[ ! -e "$dir/complete" ] || return 0
	[ "$SX_UID" = 0 ] || sx_die "only root can make a chroot of Debian $suite" "Run this as root."
	sx_install_packages debootstrap util-linux
	rm -rf --one-file-system "$dir" "$new"
	sx_say "making a chroot of Debian $suite"
	# shellcheck disable=SC2086
	debootstrap --variant=minbase "$suite" "$new" ${STREAMX_DEBIAN_MIRROR:-} >"$dir.log" 2>&1 ||
		sx_die "debootstrap failed" "Its log: $dir.log"
	printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d"
	chmod +x "$new/usr/sbin/policy-rc.d"
	# a mirror that lags behind is good enough for a test
	printf 'Acquire::Check-Valid-Until "false";\n' >"$new/etc/apt/apt.conf.d/50streamx"
	apt-config dump --no-empty Acquire::http::Proxy >>"$new/etc/apt/apt.conf.d/50streamx"
	# a stable release comes with its updates, like any system
	if [ "$suite" != sid ]; then
		sed -n -E "s,^deb ([^ ]*[^/])/* $suite .*,deb \1 $suite-updates main\ndeb \1-security $suite-security main,p" \
			"$new/etc/apt/sources.list" >"$new/etc/apt/sources.list.d/updates.list"
	fi
	touch "$new/complete"
	mv "$new" "$dir"
}

# sx_chroot_sources DIR -- the sources to /streamx in there
sx_chroot_sources() {
	local dir=$1
	rm -rf "$dir/streamx"
	mkdir -p "$dir/streamx"
	tar -C "$SX_ROOT" --exclude=./build --exclude=./.git --exclude='./tmp_check*' --exclude='*.o' --exclude='*.so' -cf - . |
		tar -C "$dir/streamx" -xf - --no-same-owner
}

# sx_chroot_suite MAJOR -- which Debian has it
sx_chroot_suite() {
	case $1 in
		15) echo bookworm ;;
		17) echo trixie ;;
		18) echo sid ;;
		*) sx_die "no release of Debian has PostgreSQL $1" ;;
	esac
}

# sx_has_packages MAJOR -- has this system's own release the packages?
sx_has_packages() {
	grep -q 'Candidate: [^(]' <<<"$(apt-cache policy "postgresql-server-dev-$1" 2>/dev/null)"
}
