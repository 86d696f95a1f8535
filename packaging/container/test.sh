#!/bin/sh
# Runs the program in the image's files as an engine would, without an engine: as
# the image's user, in a root that is read-only but for the state and /tmp, with no
# capabilities and no way to get any. What is run is read from the Dockerfile.
#
#   test.sh BUILD
#
# BUILD is the directory in which the release put the program for this machine.
# Needs root, to mount.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
if [ $# -ne 1 ] || [ ! -x "$1/taxii-forwarder" ]; then
	echo "test.sh: the directory of a built program is wanted; usage: test.sh BUILD" >&2
	exit 2
fi
build=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# exec_form prints the words of an instruction that is written as a JSON list.
exec_form() { sed -n "s/^$1.*\[\(.*\)\]\$/\1/p" "$here/Dockerfile" | tr -d '",'; }
user=$(sed -n 's/^USER //p' "$here/Dockerfile")
entrypoint=$(exec_form ENTRYPOINT)
cmd=$(exec_form CMD)
health=$(exec_form HEALTHCHECK)
environment=$(sed -n 's/^ENV //p' "$here/Dockerfile")
state=$(exec_form VOLUME)
for value in "$user" "$entrypoint" "$cmd" "$health" "$environment" "$state"; do
	[ -n "$value" ] || { echo "test.sh: an instruction is missing from the Dockerfile" >&2; exit 1; }
done

"$here/rootfs.sh" "$work/files" "$build" /etc/ssl/certs/ca-certificates.crt
image=$work/image
mv "$work/files/root" "$image"
mkdir -p "$image/var/lib"
mv "$work/files/state/taxii-forwarder" "$image$state"
chown -R "$user" "$image$state"

mkdir "$work/config" "$work/secrets"
printf 'a key that nobody checks' >"$work/secrets/key"
chown -R "$user" "$work/secrets"
chmod 0500 "$work/secrets"
cat >"$work/config/config.hcl" <<'EOT'
feed "nowhere" {
  api_root_url = "http://127.0.0.1:1/root/"
  auth "bearer" {
    token = credential("key")
  }
}
sink "file" "out" {
  path = "/var/lib/taxii-forwarder/out.ndjson"
}
http {
  listen = "off"
}
EOT

export image work user entrypoint cmd health environment state
# Whatever happens, nothing outlives the namespace of processes.
unshare --mount --propagation private --pid --fork --mount-proc --kill-child sh -eu <<'EOT'
mount --bind "$image" "$image"
mount --bind "$work/config" "$image/etc/taxii-forwarder"
mount --bind "$work/secrets" "$image/run/secrets"
mount -o remount,bind,ro "$image/etc/taxii-forwarder"
mount -o remount,bind,ro "$image/run/secrets"
mount -t tmpfs -o mode=1777,size=64m none "$image/tmp"
mkdir "$work/volume"
cp -a "$image$state/." "$work/volume"
mount --bind "$work/volume" "$image$state"
mount -o remount,bind,ro "$image"

die() {
	echo "test.sh: $1" >&2
	[ ! -s "$work/log" ] || cat "$work/log" >&2
	exit 1
}
inside() { env -i PATH="$PATH" $environment setpriv --no-new-privs chroot --userspec="$user" --groups= "$image" "$@"; }

code=0; inside $health >/dev/null 2>"$work/said" || code=$?
[ $code -eq 1 ] || die "before the start the health check ends with $code, not with 1"
inside $entrypoint demo >"$work/log" 2>&1 || die "the demo fails"

inside $entrypoint $cmd >"$work/log" 2>&1 &
job=$!
tries=0
until inside $health >"$work/said" 2>&1; do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || die "not healthy after 20 seconds: $(cat "$work/said")"
	kill -0 $job 2>/dev/null || die "ended: $(cat "$work/said")"
	sleep 0.2
done
[ "$(stat -c %u:%g "$image$state/state.db")" = "$user" ] || die "the state does not belong to $user"
if inside $entrypoint state backup /copy.db >"$work/said" 2>&1; then die "the root file system can be written"; fi
grep -q 'read-only file system' "$work/said" || die "writing to the root file system: $(cat "$work/said")"
program=$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$image$state/control.json")
for field in CapInh CapPrm CapEff CapAmb; do
	grep -q "^$field:[[:space:]]*0*\$" /proc/$program/status || die "the program has capabilities: $(grep ^Cap /proc/$program/status)"
done
grep -q '^NoNewPrivs:[[:space:]]*1' /proc/$program/status || die "the program may get privileges"

kill -TERM "$program"
code=0; wait $job || code=$?
[ $code -eq 0 ] || die "stopped with SIGTERM, it ends with $code"
EOT
echo "the image's files work: healthy as $user on a read-only root, stopped by SIGTERM"
