#!/bin/sh
# Builds one package and prints its path:
#
#   SOURCE_DATE_EPOCH=… package.sh deb|rpm amd64|arm64 VERSION BINARY OUTDIR
#
# BINARY is the program for that architecture. It writes its manual and completions
# itself; one that does not run here is built for this machine as well, for that.
# Equal input makes equal bytes.
# THIRD_PARTY_LICENSES may name a file to put beside the documentation.
set -eu

usage() {
	echo "package.sh: $1; usage: SOURCE_DATE_EPOCH=… package.sh deb|rpm amd64|arm64 VERSION BINARY OUTDIR" >&2
	exit 2
}
[ $# -eq 5 ] || usage "5 arguments are wanted"
format=$1 arch=$2 version=${3#v} binary=$4 out=$5
case $format in deb | rpm) ;; *) usage "there is no format \"$format\"" ;; esac
case $arch in amd64 | arm64) ;; *) usage "there is no architecture \"$arch\"" ;; esac
case $version in [0-9]*.[0-9]*.[0-9]*) ;; *) usage "\"$version\" is not a version such as 1.2.3" ;; esac
case ${SOURCE_DATE_EPOCH:-} in '' | *[!0-9]*) usage "SOURCE_DATE_EPOCH has to be the time of the release, in seconds" ;; esac
[ -f "$binary" ] || usage "there is no binary $binary"
mkdir -p "$out"
out=$(cd "$out" && pwd)
here=$(cd "$(dirname "$0")" && pwd)

STAGE=$(mktemp -d)
trap 'rm -rf "$STAGE"' EXIT
date=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)

# What runs here is built for here, whatever is being released.
unset GOOS GOARCH GOARM64 GOAMD64 GOFLAGS
cp "$binary" "$STAGE/taxii-forwarder"
chmod 0755 "$STAGE/taxii-forwarder"
program=$STAGE/taxii-forwarder
if ! "$program" version >/dev/null 2>&1; then
	program=$STAGE/host
	(
		cd "$here/../.."
		CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-X main.version=$version -X main.date=$date" -o "$program" ./cmd/taxii-forwarder
	)
fi
"$program" man >"$STAGE/taxii-forwarder.1"
"$program" completion bash >"$STAGE/taxii-forwarder.bash"
"$program" completion zsh >"$STAGE/_taxii-forwarder"
"$program" completion fish >"$STAGE/taxii-forwarder.fish"
gzip -9n "$STAGE/taxii-forwarder.1"
# The release gathers them: what is linked asks for its licence to be passed on.
if [ -n "${THIRD_PARTY_LICENSES:-}" ]; then
	gzip -9n <"$THIRD_PARTY_LICENSES" >"$STAGE/THIRD_PARTY_LICENSES.txt.gz"
else
	echo 'Built without packaging/release, which writes this file.' | gzip -9n >"$STAGE/THIRD_PARTY_LICENSES.txt.gz"
fi

maintainer=$(sed -n 's/^maintainer: //p' "$here/nfpm.yaml")
# A pre-release sorts before its release: 1.0.0-rc.1 is 1.0.0~rc.1.
gzip -9n >"$STAGE/changelog.Debian.gz" <<EOT
taxii-forwarder ($(echo "$version" | sed 's/-/~/')-1) stable; urgency=medium

  * Release $version.

 -- $maintainer  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
EOT
{
	cat <<-EOT
	Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
	Upstream-Name: taxii-forwarder

	Files: *
	Copyright: $(sed -n 's/^Copyright (c) //p' "$here/../../LICENSE")
	License: Expat

	License: Expat
	EOT
	# The text proper, as a field's continuation lines.
	sed '1,/^Copyright/d; s/^/ /; s/^ $/ ./' "$here/../../LICENSE" | sed '1{/^ \.$/d}'
} >"$STAGE/copyright"

# The account is described twice, as rpm needs it before it unpacks anything.
if ! grep -qxF "$(tail -n 1 "$here/sysusers.conf")" "$here/rpm/pre"; then
	echo "package.sh: rpm/pre does not make the account of sysusers.conf" >&2
	exit 1
fi

export STAGE PACKAGE_ARCH="$arch" PACKAGE_VERSION="$version"
cd "$here"
mkdir "$STAGE/out"
go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2 package --packager "$format" --config nfpm.yaml --target "$STAGE/out/" >&2
for file in "$STAGE/out/"*; do
	mv "$file" "$out/"
	echo "$out/${file##*/}"
done
