#!/bin/sh
# Makes what a Windows build links into the program, its version and its
# manifest:
#
#   resources.sh VERSION
#
# VERSION has three numbers. The go command finds the object by its name, in any
# later build for Windows on amd64; equal input makes equal bytes.
set -eu

case ${1:-} in
*[!0-9.]* | *.*.*.* | *..* | .* | *.) version= ;;
*.*.*) version=$1 ;;
*) version= ;;
esac
if [ $# -ne 1 ] || [ -z "$version" ]; then
	echo "resources.sh: the version has to be three numbers; usage: resources.sh 1.2.3" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
to=$(cd "$here/../../cmd/taxii-forwarder" && pwd)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for f in resources.json taxii-forwarder.manifest; do
	sed "s/@VERSION@/$version/g" "$here/$f" >"$work/$f"
done

# What runs here is built for here, whatever is being released.
unset GOOS GOARCH GOAMD64 GOARM64 GOFLAGS
go run github.com/tc-hib/go-winres@v0.3.3 make --arch amd64 --in "$work/resources.json" --out "$work/rsrc"
mv "$work/rsrc_windows_amd64.syso" "$to/"
