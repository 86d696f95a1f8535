#!/bin/sh
# Makes the files of the container image:
#
#   rootfs.sh DIR BUILD CA
#
# DIR is made; BUILD is the directory in which the release put the program and the
# third-party licences; CA is a bundle of certificate authorities. The image's root
# is DIR/root; DIR/state holds what belongs to the program's user.
set -eu

if [ $# -ne 3 ]; then
	echo "rootfs.sh: 3 arguments are wanted; usage: rootfs.sh DIR BUILD CA" >&2
	exit 2
fi
dir=$1 build=$2 ca=$3
if [ ! -s "$ca" ]; then
	echo "rootfs.sh: there are no certificate authorities in $ca; install ca-certificates" >&2
	exit 1
fi
source=$(cd "$(dirname "$0")/../.." && pwd)
umask 022
mkdir "$dir" "$dir/root" "$dir/state" "$dir/state/taxii-forwarder"
chmod 0700 "$dir/state/taxii-forwarder"
root=$dir/root

install -D -m 0755 "$build/taxii-forwarder" "$root/usr/bin/taxii-forwarder"
# Where Go looks first (crypto/x509, root_linux.go).
install -D -m 0644 "$ca" "$root/etc/ssl/certs/ca-certificates.crt"
install -D -m 0644 "$source/LICENSE" "$root/usr/share/doc/taxii-forwarder/LICENSE"
install -D -m 0644 "$build/THIRD_PARTY_LICENSES.txt" "$root/usr/share/doc/taxii-forwarder/THIRD_PARTY_LICENSES.txt"
install -D -m 0644 "$source/config.example.hcl" "$root/usr/share/doc/taxii-forwarder/config.example.hcl"
# For the configuration, the secrets and what is mounted over them.
mkdir -p "$root/etc/taxii-forwarder" "$root/run/secrets"
mkdir -m 1777 "$root/tmp"
chmod 1777 "$root/tmp"
# Names for the numbers; looked up by nothing, shown by tools.
echo 'taxii-forwarder:x:65532:65532::/var/lib/taxii-forwarder:/sbin/nologin' >"$root/etc/passwd"
echo 'taxii-forwarder:x:65532:' >"$root/etc/group"
